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
    CreateSuccessor,
    DropFormer,
    Promote,
    SetMode,
    authority_certificate,
    check_authority,
    parse_authority,
    successor_name,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.authority_plan import (
    describe_authority,
    lost_key_text,
    plan_authority,
    simulate_authority,
    waiting_text,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import KeyFacts

NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
SPEC = AuthoritySpec("/ca", "CA", "ecdsa-p256", 3650 * DAY)
CERTIFICATE = authority_certificate(SPEC, NOW)
MODES = {"": 0o700, "ca.key": 0o400, "ca.pem": 0o444}
GOOD = AuthorityState(MODES, KeyFacts("ecdsa-p256", CERTIFICATE.public_key_sha256), CERTIFICATE)


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
        (dataclasses.replace(GOOD, certificate=None), "ca.key without ca.pem"),
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
        (AuthorityState(modes={"": 0o755}, foreign=("notes.txt",)), "such as notes.txt"),
    ],
)
def test_what_cannot_issue_is_refused_and_the_remedy_named(state, complaint):
    with pytest.raises(Refused) as caught:
        plan_authority(SPEC, state, NOW)
    assert complaint in str(caught.value)
    assert caught.value.remedy


def test_a_lost_key_is_told_and_stops_what_needs_it_only():
    lost = dataclasses.replace(GOOD, key=None, modes={**MODES, "ca.pem": 0o600})
    assert [type(action) for action in plan_authority(SPEC, lost, NOW).actions] == [SetMode]
    assert "backup" in lost_key_text(SPEC, lost)
    assert lost_key_text(SPEC, GOOD) == ""
    with pytest.raises(Refused, match=r"ca.pem without ca.key"):
        check_authority("/ca", lost, NOW)
    for stage in ("trust", "reissue", "drop"):
        with pytest.raises(Refused, match="backup"):
            plan_authority(dataclasses.replace(SPEC, stage=stage), lost, NOW)


def test_a_good_one_can_issue():
    assert check_authority("/ca", GOOD, NOW) == CERTIFICATE


@pytest.mark.parametrize(
    ("name", "mode", "action", "text"),
    [
        ("", 0o755, SetMode("", 0o700), "mode of /ca: expected 0700, found 0755"),
        ("ca.key", 0o644, SetMode("ca.key", 0o400), "mode of /ca/ca.key: expected 0400, found 0644"),
        (
            "ca.pem",
            0o600,
            SetMode("ca.pem", 0o444),
            "mode of /ca/ca.pem: expected 0444, found 0600",
        ),
    ],
)
def test_modes_are_mended(name, mode, action, text):
    plan = plan_authority(SPEC, dataclasses.replace(GOOD, modes={**MODES, name: mode}), NOW)
    assert plan.actions == (action,)
    assert plan.texts() == [text]
    assert plan.before != plan.after


def test_a_chain_has_to_be_complete_and_each_member_of_it_an_authority():
    issuing = dataclasses.replace(CERTIFICATE, issuer="CN=root")
    root = dataclasses.replace(CERTIFICATE, subject="CN=root", issuer="CN=root", path_length=1)
    good = dataclasses.replace(GOOD, certificate=issuing, chain=(root,))
    assert check_authority("/ca", good, NOW) == issuing
    with pytest.raises(Refused, match="followed by its chain"):
        check_authority(
            "/ca", dataclasses.replace(good, chain=(), chain_fault="CN=CA without its issuer"), NOW
        )
    short = dataclasses.replace(root, path_length=0)
    with pytest.raises(Refused, match="CN=root: expected a path length of 1 at least"):
        check_authority("/ca", dataclasses.replace(good, chain=(short,)), NOW)
    expired = dataclasses.replace(root, not_after=NOW - DAY)
    with pytest.raises(Refused, match="CN=root: .* expired"):
        check_authority("/ca", dataclasses.replace(good, chain=(expired,)), NOW)


def at(stage, **fields):
    return dataclasses.replace(SPEC, stage=stage, **fields)


SUCCESSOR = dataclasses.replace(
    CERTIFICATE, subject="CN=CA G2", issuer="CN=CA G2", common_name="CA G2", public_key_sha256="22" * 32
)
TRUSTED = dataclasses.replace(GOOD, successor=SUCCESSOR)
HANDED_OVER = dataclasses.replace(
    GOOD, certificate=SUCCESSOR, key=KeyFacts("ecdsa-p256", "22" * 32), former=CERTIFICATE
)


@pytest.mark.parametrize(
    ("stage", "state", "code", "action"),
    [
        ("trust", GOOD, "no_successor", CreateSuccessor),
        ("reissue", TRUSTED, "not_issuing", Promote),
        ("drop", HANDED_OVER, "former_trusted", DropFormer),
        (None, dataclasses.replace(HANDED_OVER, unfinished=True), "rotation_unfinished", Promote),
    ],
)
def test_each_stage_of_a_rotation_takes_one_step(stage, state, code, action):
    plan = plan_authority(at(stage), state, NOW)
    assert [reason.code for reason in plan.reasons] == [code]
    assert [type(each) for each in plan.actions] == [action]
    if stage is not None:
        assert plan.before["rotation"] != plan.after["rotation"]


@pytest.mark.parametrize(
    ("stage", "state"),
    [
        (None, TRUSTED),
        (None, HANDED_OVER),
        ("trust", TRUSTED),
        # A run that is repeated as a whole does not begin another rotation.
        ("trust", HANDED_OVER),
        ("reissue", GOOD),
        ("reissue", HANDED_OVER),
        ("drop", GOOD),
        ("drop", TRUSTED),
    ],
)
def test_a_stage_that_is_reached_changes_nothing(stage, state):
    assert plan_authority(at(stage), state, NOW).is_empty


def test_a_successor_takes_key_type_and_validity_from_the_options_and_a_name_of_its_own():
    spec = at("trust", key_type="rsa-4096", validity=100 * DAY, common_name="ignored")
    (action,) = plan_authority(spec, GOOD, NOW).actions
    assert (action.spec.key_type, action.spec.validity, action.spec.common_name) == (
        "rsa-4096",
        100 * DAY,
        "CA G2",
    )


def test_nothing_is_dropped_while_hosts_are_waited_for():
    spec = at("drop", waits_for=("web3",))
    assert plan_authority(spec, HANDED_OVER, NOW).is_empty
    assert "web3" in waiting_text(spec, HANDED_OVER)
    assert waiting_text(at("drop"), HANDED_OVER) == ""
    assert waiting_text(spec, GOOD) == ""


def test_what_is_not_its_own_issuer_gets_no_successor_of_another_kind():
    state = dataclasses.replace(GOOD, certificate=dataclasses.replace(CERTIFICATE, issuer="CN=root"))
    with pytest.raises(Refused, match=r"next.key and next.pem"):
        plan_authority(at("trust"), state, NOW)


def test_a_rotation_needs_an_authority():
    with pytest.raises(Refused, match="provision"):
        plan_authority(at("trust"), AuthorityState(), NOW)


@pytest.mark.parametrize(
    ("name", "follows"),
    [("CA", "CA G2"), ("CA G2", "CA G3"), ("CA G9", "CA G10"), ("x" * 64, "x" * 61 + " G2"), ("G2", "G2 G2")],
)
def test_generations_are_counted(name, follows):
    assert successor_name(name) == follows
    assert len(follows) <= 64


numbers = st.sampled_from([0o400, 0o444, 0o600, 0o700, 0o755])


@given(
    st.sampled_from([None, "trust", "reissue", "drop"]),
    st.sampled_from(
        [AuthorityState(), GOOD, TRUSTED, HANDED_OVER, dataclasses.replace(HANDED_OVER, unfinished=True)]
    ),
    st.dictionaries(st.sampled_from(sorted(MODES)), numbers),
)
def test_after_a_plan_nothing_is_left_to_do(stage, state, modes):
    if state.certificate is None:
        stage = None
    else:
        state = dataclasses.replace(state, modes={**state.modes, **modes})
    spec = at(stage)
    for _run in range(2 if state.unfinished else 1):
        state = simulate_authority(spec, state, plan_authority(spec, state, NOW), NOW)
    assert plan_authority(spec, state, NOW).is_empty


def test_what_is_not_there_has_no_facts():
    assert describe_authority("/ca", AuthorityState(), NOW) == {"directory": "/ca"}
    assert describe_authority("/ca", GOOD, NOW)["days_left"] == 3650


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
