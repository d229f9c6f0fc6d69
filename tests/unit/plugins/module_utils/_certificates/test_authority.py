# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import (
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
    profile_obstacle,
    successor_name,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority_plan import (
    describe_authority,
    missing_key_text,
    plan_authority,
    waiting_text,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import KeyFacts
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.authority_simulation import (
    simulate_authority,
)

NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
SPEC = AuthoritySpec("/ca", "CA", "ecdsa-p256", 3650 * DAY)
CERTIFICATE = authority_certificate(SPEC, NOW)
MODES = {"": 0o700, "ca.key": 0o400, "ca.pem": 0o444}
GOOD = AuthorityState(MODES, KeyFacts("ecdsa-p256", CERTIFICATE.public_key_sha256), CERTIFICATE)


def certificate(**fields):
    return dataclasses.replace(GOOD, certificate=dataclasses.replace(CERTIFICATE, **fields))


def test_a_missing_authority_is_created():
    plan = plan_authority(SPEC, AuthorityState(), NOW)
    assert [reason.code for reason in plan.reasons] == ["missing"]
    assert plan.actions == (CreateAuthority(),)
    assert plan.before == {}
    assert plan.after["subject"] == "CN=CA"


def test_an_existing_authority_is_not_changed_by_options():
    other = AuthoritySpec("/ca", "Other", "rsa-4096", DAY)
    assert plan_authority(other, GOOD, NOW).is_empty


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (dataclasses.replace(GOOD, certificate=None), "ca.key without ca.pem"),
        (dataclasses.replace(GOOD, key=KeyFacts("ecdsa-p256", "ff" * 32)), "the key of another certificate"),
        (certificate(is_ca=False), "CN=CA is not a certificate authority"),
        (
            certificate(key_usage=("digitalSignature",)),
            "expected key usage keyCertSign, found digitalSignature",
        ),
        (certificate(key_usage=()), "CN=CA has no key usage, so strict clients reject certificates"),
        (certificate(subject_key_identifier=""), "has no subject key identifier"),
        (
            certificate(key_usage=(), subject_key_identifier=""),
            "has no key usage and no subject key identifier",
        ),
        (certificate(not_after=NOW - DAY), "CN=CA expired at 2026-11-22T12:00:00Z"),
        (certificate(not_before=NOW + DAY), "is not valid before 2026-11-24T12:00:00Z"),
        (AuthorityState(modes={"": 0o755}, other_files=("notes.txt",)), "such as notes.txt"),
    ],
)
def test_an_unusable_authority_is_rejected_with_a_remedy(state, complaint):
    with pytest.raises(Refused) as caught:
        plan_authority(SPEC, state, NOW)
    assert complaint in str(caught.value)
    assert caught.value.remedy


def test_a_missing_key_is_reported_and_is_an_error_only_if_it_is_needed():
    lost = dataclasses.replace(GOOD, key=None, modes={**MODES, "ca.pem": 0o600})
    assert [type(action) for action in plan_authority(SPEC, lost, NOW).actions] == [SetMode]
    assert "backup" in missing_key_text(SPEC, lost)
    assert missing_key_text(SPEC, GOOD) == ""
    with pytest.raises(Refused, match=r"ca.pem without ca.key"):
        check_authority("/ca", lost, NOW)
    for stage in ("trust", "reissue", "drop"):
        with pytest.raises(Refused, match="backup"):
            plan_authority(dataclasses.replace(SPEC, stage=stage), lost, NOW)


@pytest.mark.parametrize("fields", [{"key_usage": ()}, {"subject_key_identifier": ""}])
def test_an_authority_that_strict_clients_reject_issues_nothing_but_is_replaced_by_a_rotation(fields):
    state = certificate(**fields)
    assert "rotate" in profile_obstacle("/ca", state)
    assert profile_obstacle("/ca", GOOD) == ""
    plan = plan_authority(dataclasses.replace(SPEC, stage="trust"), state, NOW)
    (action,) = plan.actions
    assert action.spec.common_name == "CA G2"
    trusted = dataclasses.replace(state, successor=CERTIFICATE)
    assert plan_authority(SPEC, trusted, NOW).is_empty
    assert plan_authority(dataclasses.replace(SPEC, stage="reissue"), trusted, NOW).actions == (Promote(),)


def test_the_successor_of_an_authority_without_a_common_name_has_the_requested_one():
    (action,) = plan_authority(
        dataclasses.replace(SPEC, stage="trust"), certificate(common_name=""), NOW
    ).actions
    assert action.spec.common_name == "CA G2"


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
def test_modes_are_corrected(name, mode, action, text):
    plan = plan_authority(SPEC, dataclasses.replace(GOOD, modes={**MODES, name: mode}), NOW)
    assert plan.actions == (action,)
    assert plan.texts() == [text]
    assert plan.before != plan.after


def test_a_chain_must_be_complete_and_consist_of_authorities():
    issuing = dataclasses.replace(CERTIFICATE, issuer="CN=root")
    root = dataclasses.replace(CERTIFICATE, subject="CN=root", issuer="CN=root", path_length=1)
    good = dataclasses.replace(GOOD, certificate=issuing, chain=(root,))
    assert check_authority("/ca", good, NOW) == issuing
    with pytest.raises(Refused, match="/ca: the chain does not end in a root: CN=CA is not followed"):
        check_authority(
            "/ca",
            dataclasses.replace(good, chain=(), chain_fault="CN=CA is not followed by its issuer CN=root"),
            NOW,
        )
    short = dataclasses.replace(root, path_length=0)
    with pytest.raises(Refused, match="CN=root has path length 0, but the chain needs at least 1"):
        check_authority("/ca", dataclasses.replace(good, chain=(short,)), NOW)
    expired = dataclasses.replace(root, not_after=NOW - DAY)
    with pytest.raises(Refused, match="CN=root expired"):
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
def test_each_stage_of_a_rotation_has_one_action(stage, state, code, action):
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
        # Repeating a whole run does not begin another rotation.
        ("trust", HANDED_OVER),
        ("reissue", GOOD),
        ("reissue", HANDED_OVER),
        ("drop", GOOD),
        ("drop", TRUSTED),
    ],
)
def test_a_completed_stage_changes_nothing(stage, state):
    assert plan_authority(at(stage), state, NOW).is_empty


def test_a_successor_takes_key_type_and_validity_from_the_options_and_a_name_of_its_own():
    spec = at("trust", key_type="rsa-4096", validity=100 * DAY, common_name="ignored")
    (action,) = plan_authority(spec, GOOD, NOW).actions
    assert (action.spec.key_type, action.spec.validity, action.spec.common_name) == (
        "rsa-4096",
        100 * DAY,
        "CA G2",
    )


def test_nothing_is_dropped_while_hosts_have_not_completed_the_stage():
    spec = at("drop", waits_for=("web3",))
    assert plan_authority(spec, HANDED_OVER, NOW).is_empty
    assert "web3" in waiting_text(spec, HANDED_OVER)
    assert waiting_text(at("drop"), HANDED_OVER) == ""
    assert waiting_text(spec, GOOD) == ""


def test_no_successor_is_created_for_an_intermediate_authority():
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
        plan = plan_authority(spec, state, NOW)
        state = simulate_authority(spec, state, plan, NOW)
        if "rotation" in plan.after:
            assert plan.after["rotation"] == describe_authority("/ca", state, NOW)["rotation"]
    assert plan_authority(spec, state, NOW).is_empty


def test_a_missing_authority_is_described_only_by_its_directory():
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
def test_invalid_options_are_rejected(option, value):
    options = {"directory": "/ca", "common_name": "CA", "key_type": "ed25519", "validity_days": 10}
    options |= {"rotation": None, "rotation_waits_for": []}
    parse_authority(options["directory"], options)
    options[option] = value
    with pytest.raises(InvalidInput, match=option):
        parse_authority(options["directory"], options)
