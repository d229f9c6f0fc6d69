# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._core.authority import (
    AuthoritySpec,
    AuthorityState,
    CreateAuthority,
    SetMode,
    authority_certificate,
    check_authority,
    describe_authority,
    parse_authority,
    plan_authority,
    simulate_authority,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import KeyFacts

NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
SPEC = AuthoritySpec("/ca", "CA", "ecdsa-p256", 3650 * DAY)
CERTIFICATE = authority_certificate(SPEC, NOW)
GOOD = AuthorityState(0o700, 0o400, KeyFacts("ecdsa-p256", CERTIFICATE.public_key_sha256), 0o444, CERTIFICATE)


def certificate(**fields):
    return dataclasses.replace(GOOD, certificate=dataclasses.replace(CERTIFICATE, **fields))


def test_where_there_is_none_one_is_made():
    plan = plan_authority(SPEC, AuthorityState(), NOW)
    assert [reason.code for reason in plan.reasons] == ["missing"]
    assert plan.actions == (CreateAuthority(),)
    assert plan.before == {}
    assert plan.after["subject"] == "CN=CA"


def test_one_that_is_there_stays_whatever_the_options_say():
    other = AuthoritySpec("/ca", "Other", "rsa-4096", DAY)
    assert plan_authority(other, GOOD, NOW).is_empty


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (dataclasses.replace(GOOD, certificate=None), "found ca.key without ca.pem"),
        (dataclasses.replace(GOOD, key=None), "found ca.pem without ca.key"),
        (dataclasses.replace(GOOD, key=KeyFacts("ecdsa-p256", "ff" * 32)), "the key of another certificate"),
        (certificate(is_ca=False), "a certificate of no authority"),
        (
            certificate(key_usage=("digitalSignature",)),
            "expected key usage keyCertSign, found digitalSignature",
        ),
        (certificate(key_usage=()), "found none"),
        (certificate(subject_key_identifier=""), "expected a subject key identifier"),
        (certificate(not_after=NOW - DAY), "one that expired at 2026-11-22T12:00:00Z"),
        (certificate(not_before=NOW + DAY), "valid from 2026-11-24T12:00:00Z"),
        (AuthorityState(directory_mode=0o755, foreign=("notes.txt",)), "such as notes.txt"),
    ],
)
def test_what_cannot_issue_is_refused_and_the_remedy_named(state, complaint):
    with pytest.raises(Refused) as caught:
        plan_authority(SPEC, state, NOW)
    assert complaint in str(caught.value)
    assert caught.value.remedy


def test_a_good_one_can_issue():
    assert check_authority("/ca", GOOD, NOW) == CERTIFICATE


@pytest.mark.parametrize(
    ("fields", "action", "text"),
    [
        ({"directory_mode": 0o755}, SetMode("", 0o700), "mode of /ca: expected 0700, found 0755"),
        ({"key_mode": 0o644}, SetMode("ca.key", 0o400), "mode of /ca/ca.key: expected 0400, found 0644"),
        (
            {"certificate_mode": 0o600},
            SetMode("ca.pem", 0o444),
            "mode of /ca/ca.pem: expected 0444, found 0600",
        ),
    ],
)
def test_modes_are_mended(fields, action, text):
    plan = plan_authority(SPEC, dataclasses.replace(GOOD, **fields), NOW)
    assert plan.actions == (action,)
    assert plan.texts() == [text]
    assert plan.before != plan.after


modes = st.sampled_from([0o400, 0o444, 0o600, 0o700, 0o755])


@given(
    st.one_of(
        st.just(AuthorityState()),
        st.builds(AuthorityState, modes, modes, st.just(GOOD.key), modes, st.just(CERTIFICATE)),
    )
)
def test_after_a_plan_nothing_is_left_to_do(state):
    after = simulate_authority(SPEC, state, plan_authority(SPEC, state, NOW), NOW)
    assert plan_authority(SPEC, after, NOW).is_empty


def test_what_is_not_there_has_no_facts():
    assert describe_authority(SPEC, AuthorityState(), NOW) == {"directory": "/ca"}
    assert describe_authority(SPEC, GOOD, NOW)["days_left"] == 3650


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("directory", "ca"),
        ("directory", "/"),
        ("common_name", ""),
        ("common_name", "x" * 65),
        ("validity_days", 0),
        ("validity_days", 40000),
    ],
)
def test_options_that_cannot_be_meant_are_refused(option, value):
    options = {"directory": "/ca", "common_name": "CA", "key_type": "ed25519", "validity_days": 10}
    parse_authority(**options)
    with pytest.raises(InvalidInput, match=option):
        parse_authority(**{**options, option: value})
