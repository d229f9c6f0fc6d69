# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused, VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import (
    AuthoritySpec,
    authority_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import (
    CLOCK_TOLERANCE,
    KEY_TYPES,
    KeyFacts,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.model import (
    CertificateState,
    Entry,
    InstallTrustBundle,
    IssueCertificate,
    RecordCertificate,
    RemoveCertificate,
    RemoveLeftovers,
    SetAttributes,
    expected_entries,
    leaf_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import parse_san
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.plan import (
    describe_certificate,
    plan_certificates,
    restart_required,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import (
    Anchor,
    Authority,
    Bundle,
    Trust,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.simulation import (
    simulate_certificates,
)

NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
CA = authority_certificate(AuthoritySpec("/ca", "CA", "ecdsa-p256", 3650 * DAY), NOW - 30 * DAY)
ANCHOR, NEXT, BEFORE, OLD, FOREIGN = (
    Anchor(name, f"-----{name}-----") for name in ("ca", "next", "before", "old", "foreign")
)
TRUST = Trust(issuing=(ANCHOR,))
AUTHORITY = Authority(TRUST, CA, clock=NOW)
BUNDLE = Bundle((ANCHOR,))
NOBODY = Authority(clock=NOW)
REPLACING = dataclasses.replace(AUTHORITY, replaces=True)

SERVER = CertificateSpec(
    name="dockerd",
    profile="server",
    present=True,
    common_name="dockerd",
    subject_alternative_names=(parse_san("DNS:localhost"), parse_san("IP:172.17.0.1")),
    origins={parse_san("IP:172.17.0.1"): "gateway of network bridge"},
    directory="/etc/wormhole/server",
    owner=None,
    group=None,
    directory_mode=0o755,
    key_mode=0o400,
    certificate_mode=0o444,
    key_type="ecdsa-p256",
    validity=365 * DAY,
    renew_before=100 * DAY,
    uid=0,
    gid=0,
)
CLIENT = dataclasses.replace(
    SERVER,
    name="jenkins",
    profile="client",
    common_name="jenkins",
    subject_alternative_names=(),
    directory="/etc/j",
)


def installed(spec, *, at=NOW, **certificate):
    """The state of a host with a certificate issued at this time, with these fields changed."""
    facts = dataclasses.replace(leaf_certificate(spec, CA, at), **certificate)
    return CertificateState(
        entries=expected_entries(spec),
        trust_bundle=(ANCHOR,),
        certificate=facts,
        key=KeyFacts(facts.key_type, facts.public_key_sha256),
        issued_by="issuing",
    )


def change(state, **fields):
    return dataclasses.replace(state, **fields)


def without(state, *names):
    return change(state, entries={name: entry for name, entry in state.entries.items() if name not in names})


def with_entry(state, name, entry):
    return change(state, entries={**state.entries, name: entry})


def plan_one(spec, state, authority=AUTHORITY, now=NOW):
    return plan_certificates([spec], {spec.name: state}, authority, now)


def codes(plan):
    return [reason.code for reason in plan.reasons]


GOOD = installed(SERVER)
EXPIRED = dataclasses.replace(FOREIGN, not_after=NOW - DAY)
WRONG_ISSUER = ["wrong_issuer", "trust_bundle_outdated"]


def test_a_new_host_gets_everything():
    plan = plan_certificates(
        [SERVER, CLIENT], {"dockerd": CertificateState(), "jenkins": CertificateState()}, AUTHORITY, NOW
    )
    assert [(reason.subject, reason.code) for reason in plan.reasons] == [
        ("dockerd", "missing"),
        ("jenkins", "missing"),
    ]
    assert plan.actions == (IssueCertificate(SERVER, BUNDLE), IssueCertificate(CLIENT, BUNDLE))
    assert plan.before == {"dockerd": {"state": "absent"}, "jenkins": {"state": "absent"}}
    assert plan.after["dockerd"]["subject_alternative_names"] == ["DNS:localhost", "IP:172.17.0.1"]


def test_a_correct_certificate_is_unchanged():
    assert plan_one(SERVER, GOOD).is_empty


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (CertificateState(), ["missing"]),
        (without(GOOD, "cert.pem"), ["missing"]),
        (without(GOOD, "key.pem"), ["missing"]),
        (change(GOOD, certificate=None, unreadable={"cert.pem": "x"}), ["unreadable"]),
        (change(GOOD, key=None, unreadable={"key.pem": "x"}), ["unreadable"]),
        (change(GOOD, key=KeyFacts("ecdsa-p256", "22" * 32)), ["key_mismatch"]),
        # Recorded, and of an authority that has expired.
        (change(GOOD, issued_by="", recorded=True, trust_bundle=(EXPIRED,)), WRONG_ISSUER),
        (installed(SERVER, authority_key_identifier="ff" * 20), ["wrong_issuer"]),
        (
            installed(
                SERVER, subject_alternative_names=SERVER.subject_alternative_names[:1], common_name="x"
            ),
            ["wrong_common_name", "san_missing"],
        ),
        (installed(SERVER, subject_alternative_names=SERVER.subject_alternative_names[::-1]), []),
        (installed(SERVER, common_name="other"), ["wrong_common_name"]),
        (installed(SERVER, key_type="ecdsa-p384"), ["wrong_key_type"]),
        (installed(dataclasses.replace(SERVER, key_type="rsa-3072")), ["wrong_key_type"]),
        (installed(SERVER, extended_key_usage=("clientAuth",)), ["wrong_key_usage"]),
        (installed(SERVER, extended_key_usage=("clientAuth", "serverAuth")), ["wrong_key_usage"]),
        (installed(SERVER, extended_key_usage=()), ["wrong_key_usage"]),
        (installed(SERVER, key_usage=("keyEncipherment",)), ["wrong_key_usage"]),
        (installed(SERVER, critical_extensions=("basicConstraints",)), ["wrong_key_usage"]),
        (installed(SERVER, is_ca=True), ["wrong_key_usage"]),
        (installed(SERVER, subject_key_identifier=""), ["wrong_key_usage"]),
        (installed(SERVER, not_before=NOW + DAY), ["not_yet_valid"]),
        (installed(SERVER, not_before=NOW), []),
        (installed(SERVER, not_after=NOW), ["expires_soon"]),
        (installed(SERVER, not_after=NOW - datetime.timedelta(seconds=1)), ["expired"]),
        (installed(SERVER, not_after=NOW + 100 * DAY), ["expires_soon"]),
        (installed(SERVER, not_after=NOW + 100 * DAY + datetime.timedelta(seconds=1)), []),
        (installed(SERVER, at=NOW - 400 * DAY, common_name="other"), ["wrong_common_name", "expired"]),
    ],
)
def test_a_wrong_certificate_is_replaced_with_its_key_unless_it_is_renewed_in_time(state, expected):
    plan = plan_one(SERVER, state)
    assert codes(plan) == expected
    issue = IssueCertificate(SERVER, BUNDLE, keep_key=expected == ["expires_soon"])
    assert plan.actions[:1] == ((issue,) if expected else ())
    assert restart_required(plan) == bool(expected)


NETWORK, EXTRA = parse_san("IP:172.18.0.1"), parse_san("IP:192.0.2.7")
WITH_NETWORK = dataclasses.replace(
    SERVER,
    subject_alternative_names=(*SERVER.subject_alternative_names, NETWORK),
    deferrable=frozenset([NETWORK]),
)
WITH_BOTH = dataclasses.replace(
    WITH_NETWORK, subject_alternative_names=(*WITH_NETWORK.subject_alternative_names, EXTRA)
)


@pytest.mark.parametrize(
    ("spec", "state", "expected", "restart"),
    [
        pytest.param(WITH_NETWORK, GOOD, ["san_missing"], False, id="a network came"),
        pytest.param(WITH_BOTH, GOOD, ["san_missing", "san_missing"], True, id="a name came too"),
        pytest.param(WITH_BOTH, installed(WITH_NETWORK), ["san_missing"], True, id="a name came"),
        pytest.param(SERVER, installed(WITH_NETWORK), ["san_surplus"], False, id="a network went"),
        pytest.param(WITH_NETWORK, installed(WITH_BOTH), ["san_surplus"], False, id="a name went"),
    ],
)
def test_for_names_alone_the_key_stays_and_the_engine_restarts_only_for_urgent_ones(
    spec, state, expected, restart
):
    plan = plan_one(spec, state)
    assert codes(plan) == expected
    assert plan.actions == (IssueCertificate(spec, BUNDLE, keep_key=True, deferrable=not restart),)
    assert restart_required(plan) is restart


@pytest.mark.parametrize(
    ("state", "code", "action"),
    [
        (
            change(without(GOOD, "ca.pem"), trust_bundle=None),
            "trust_bundle_outdated",
            InstallTrustBundle(SERVER, BUNDLE),
        ),
        (change(GOOD, trust_bundle=(EXPIRED,)), "trust_bundle_outdated", InstallTrustBundle(SERVER, BUNDLE)),
        (with_entry(GOOD, "key.pem", Entry(0o444, 0, 0)), "mode_drift", SetAttributes(SERVER, "key.pem")),
        (with_entry(GOOD, "cert.pem", Entry(0o444, 1, 0)), "owner_drift", SetAttributes(SERVER, "cert.pem")),
        (with_entry(GOOD, "ca.pem", Entry(0o444, 0, 1)), "owner_drift", SetAttributes(SERVER, "ca.pem")),
        (with_entry(GOOD, "", Entry(0o700, 0, 0)), "mode_drift", SetAttributes(SERVER, "")),
        (change(GOOD, leftovers=("/etc/x",)), "leftover", RemoveLeftovers(SERVER, ("/etc/x",))),
        (change(GOOD, unrecorded=("cert.pem",)), "not_recorded", RecordCertificate(SERVER)),
        # A new trust bundle is recorded when it is written.
        (
            change(GOOD, trust_bundle=(ANCHOR, FOREIGN), unrecorded=("ca.pem",)),
            "trust_bundle_outdated",
            InstallTrustBundle(SERVER, BUNDLE),
        ),
    ],
)
def test_drift_is_corrected_without_a_new_certificate(state, code, action):
    plan = plan_one(SERVER, state)
    assert codes(plan) == [code]
    assert plan.actions == (action,)
    assert restart_required(plan) == isinstance(action, InstallTrustBundle)


def test_owner_and_mode_of_one_file_are_two_reasons_and_one_action():
    plan = plan_one(SERVER, with_entry(GOOD, "key.pem", Entry(0o644, 1000, 1000)))
    assert codes(plan) == ["mode_drift", "owner_drift"]
    assert len(plan.actions) == 1


def test_reasons_say_what_a_person_can_act_on():
    state = change(installed(SERVER, subject_alternative_names=()), issued_by="", recorded=True)
    assert plan_one(SERVER, state, REPLACING).texts()[:3] == [
        "wrong issuer: expected CN=CA, found CN=CA, an earlier authority of the same name",
        "SAN missing: DNS localhost",
        "SAN missing: IP 172.17.0.1 (gateway of network bridge)",
    ]


def test_a_client_never_restarts_the_engine():
    assert not restart_required(plan_one(CLIENT, CertificateState()))


def test_other_files_in_the_directory_are_no_reason():
    assert plan_one(SERVER, change(GOOD, other_files=("notes.txt",))).is_empty


def test_another_validity_does_not_reissue_but_another_window_does():
    assert plan_one(dataclasses.replace(SERVER, validity=300 * DAY), GOOD).is_empty
    assert codes(plan_one(dataclasses.replace(SERVER, renew_before=365 * DAY), GOOD)) == ["expires_soon"]


GONE = dataclasses.replace(CLIENT, present=False)
IDENTITY = installed(CLIENT)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (CertificateState(), []),
        (IDENTITY, ["not_wanted"]),
        (without(IDENTITY, "key.pem", "cert.pem"), ["not_wanted"]),
        (CertificateState(entries={"": Entry(0o755, 0, 0)}), ["not_wanted"]),
        (CertificateState(entries={"": Entry(0o755, 0, 0)}, other_files=("notes.txt",)), []),
        (CertificateState(leftovers=("/etc/.j.pending",)), ["leftover"]),
        (change(IDENTITY, unreadable={"cert.pem": "x"}, certificate=None), ["not_wanted"]),
    ],
)
def test_a_client_with_state_absent_is_removed(state, expected):
    plan = plan_one(GONE, state)
    assert codes(plan) == expected
    assert plan.actions == ((RemoveCertificate(GONE),) if expected else ())
    assert plan_one(GONE, simulate_certificates({"jenkins": state}, plan, AUTHORITY, NOW)["jenkins"]).is_empty


def test_a_client_can_be_removed_without_an_authority():
    assert codes(plan_one(GONE, IDENTITY, Authority(obstacle="it is lost"))) == ["not_wanted"]


def test_a_server_is_never_removed_as_a_client():
    with pytest.raises(Refused, match="holds a server certificate, not the client certificate"):
        plan_one(GONE, installed(dataclasses.replace(SERVER, directory="/etc/j")))


# --- the authority --------------------------------------------------------------------------------


def test_without_an_authority_everything_is_planned():
    assert codes(plan_one(SERVER, CertificateState(), NOBODY)) == ["missing"]
    state = change(GOOD, issued_by="", recorded=True, trust_bundle=(EXPIRED,))
    assert codes(plan_one(SERVER, state, NOBODY)) == ["wrong_issuer"]


def test_the_prediction_for_a_new_host_does_not_depend_on_the_authority():
    with_it, without_it = (
        plan_one(SERVER, CertificateState(), authority) for authority in (AUTHORITY, NOBODY)
    )
    assert (with_it.before, with_it.after, with_it.reasons) == (
        without_it.before,
        without_it.after,
        without_it.reasons,
    )


def test_an_authority_that_cannot_sign_is_an_error_only_if_a_certificate_has_to_be_issued():
    lost = dataclasses.replace(AUTHORITY, obstacle="its key is lost")
    assert plan_one(SERVER, GOOD, lost).is_empty
    assert codes(plan_one(SERVER, with_entry(GOOD, "", Entry(0o700, 0, 0)), lost)) == ["mode_drift"]
    with pytest.raises(Refused, match="its key is lost"):
        plan_one(SERVER, CertificateState(), lost)


def test_an_authority_that_expires_within_the_renewal_window_issues_nothing():
    late = CA.not_after - SERVER.renew_before
    with pytest.raises(Refused, match="expires at .*, within the renewal window"):
        plan_one(SERVER, CertificateState(), dataclasses.replace(AUTHORITY, clock=late), late)
    earlier = late - datetime.timedelta(seconds=1)
    assert codes(
        plan_one(SERVER, CertificateState(), dataclasses.replace(AUTHORITY, clock=earlier), earlier)
    ) == ["missing"]


@pytest.mark.parametrize("skew", [CLOCK_TOLERANCE, -CLOCK_TOLERANCE])
def test_clocks_that_differ_too_much_are_an_error(skew):
    authority = dataclasses.replace(AUTHORITY, clock=NOW - skew)
    assert codes(plan_one(SERVER, CertificateState(), authority)) == ["missing"]
    further = dataclasses.replace(AUTHORITY, clock=NOW - skew * 1.01)
    with pytest.raises(VerificationFailed, match="clock of the host"):
        plan_one(SERVER, CertificateState(), further)
    assert plan_one(SERVER, GOOD, further).is_empty


def test_a_certificate_never_outlives_its_authority():
    late = CA.not_after - 150 * DAY
    assert leaf_certificate(SERVER, CA, late).not_after == CA.not_after
    assert leaf_certificate(SERVER, CA, CA.not_before).not_before == CA.not_before


# --- laws -----------------------------------------------------------------------------------------

names = st.lists(
    st.sampled_from([parse_san(text) for text in ("DNS:a", "DNS:b", "IP:10.0.0.1", "IP:fd00::1")]),
    unique=True,
).map(lambda found: tuple(sorted(found)))
modes = st.sampled_from([0o400, 0o440, 0o444, 0o644, 0o755])
ids = st.integers(0, 2)
moments = st.integers(-500, 500).map(lambda days: NOW + days * DAY)

specs = st.builds(
    lambda profile, present, **fields: dataclasses.replace(
        SERVER, profile=profile, present=present or profile == "server", **fields
    ),
    profile=st.sampled_from(["server", "client"]),
    present=st.booleans(),
    common_name=st.sampled_from(["a", "b"]),
    subject_alternative_names=names,
    key_type=st.sampled_from(KEY_TYPES),
    validity=st.integers(2, 400).map(lambda days: days * DAY),
    renew_before=st.just(DAY),
    uid=ids,
    gid=ids,
    key_mode=modes,
    certificate_mode=modes,
    directory_mode=modes,
)
entries = st.dictionaries(
    st.sampled_from(["ca.pem", "cert.pem", "key.pem"]), st.builds(Entry, modes, ids, ids)
).flatmap(lambda found: st.builds(Entry, modes, ids, ids).map(lambda directory: {"": directory, **found}))


@st.composite
def states(draw):
    """States that can be observed. Most of them are almost correct."""
    if draw(st.booleans()):
        return CertificateState(leftovers=draw(st.sampled_from([(), ("/x",)])))
    found = draw(entries)
    facts = dataclasses.replace(
        leaf_certificate(draw(specs), CA, NOW),
        not_before=draw(moments),
        not_after=draw(moments),
        public_key_sha256=draw(st.sampled_from(["11" * 32, "22" * 32])),
        authority_key_identifier=draw(st.sampled_from([CA.subject_key_identifier, ""])),
    )
    broken = draw(st.sets(st.sampled_from(["cert.pem", "key.pem"]))) & set(found)
    return CertificateState(
        entries=found,
        other_files=draw(st.sampled_from([(), ("notes.txt",)])),
        trust_bundle=draw(st.sampled_from([(ANCHOR,), (FOREIGN,), ()])) if "ca.pem" in found else None,
        certificate=facts if "cert.pem" in found and "cert.pem" not in broken else None,
        key=KeyFacts(facts.key_type, "11" * 32) if "key.pem" in found and "key.pem" not in broken else None,
        unreadable=dict.fromkeys(broken, "broken"),
        issued_by=draw(st.sampled_from(["issuing", ""])),
        leftovers=draw(st.sampled_from([(), ("/x",)])),
        unrecorded=draw(st.sampled_from([(), ("ca.pem",), ("ca.pem", "key.pem")])),
    )


def planned(spec, state):
    try:
        return plan_one(spec, state)
    except Refused:
        assume(False)


@given(specs, states())
def test_after_a_plan_nothing_is_left_to_do(spec, state):
    plan = planned(spec, state)
    after = simulate_certificates({spec.name: state}, plan, AUTHORITY, NOW)
    assert plan_one(spec, after[spec.name]).is_empty


@given(specs, states())
def test_a_plan_shows_a_difference_or_says_why_there_is_none(spec, state):
    """A reason states what a diff cannot show, such as another key or a date."""
    plan = planned(spec, state)
    assert bool(plan.reasons) == bool(plan.actions) == (spec.name in plan.after)
    assert {reason.subject for reason in plan.reasons} <= {spec.name}


@given(specs, states())
def test_the_diffs_after_is_the_next_diffs_before(spec, state):
    plan = planned(spec, state)
    assume(plan.actions and spec.present)
    after = simulate_certificates({spec.name: state}, plan, AUTHORITY, NOW)[spec.name]
    # Another common name leads to a next plan with a before.
    nxt = plan_one(dataclasses.replace(spec, common_name="c"), after)
    if any(isinstance(action, IssueCertificate) for action in plan.actions):
        assert nxt.before[spec.name] == plan.after[spec.name]


@given(specs, states())
def test_other_files_survive(spec, state):
    after = simulate_certificates({spec.name: state}, planned(spec, state), AUTHORITY, NOW)[spec.name]
    assert after.other_files == state.other_files


@given(specs, states())
def test_no_result_holds_pem_or_the_bundle(spec, state):
    plan = planned(spec, state)
    text = f"{plan.before}{plan.after}{describe_certificate(spec, state, plan.reasons, NOW)}"
    assert "BEGIN" not in text
    assert ANCHOR.pem not in text


@pytest.mark.parametrize(
    ("spec", "fields", "kept"),
    [
        # A client may read its files at any time, and an engine be started after a power cut.
        (CLIENT, {"not_after": NOW + 50 * DAY}, True),
        (SERVER, {"not_after": NOW + 50 * DAY}, True),
        (CLIENT, {"not_after": NOW - DAY}, False),
        (SERVER, {"not_after": NOW + 50 * DAY, "common_name": "other"}, False),
        (CLIENT, {"common_name": "other"}, False),
        (CLIENT, {"not_after": NOW + 50 * DAY, "common_name": "other"}, False),
    ],
)
def test_what_is_renewed_before_it_expires_keeps_its_key(spec, fields, kept):
    (action,) = plan_one(spec, installed(spec, **fields)).actions
    assert action.keep_key == kept


# --- rotation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["former", "successor"])
def test_certificates_of_other_authorities_in_the_rotation_are_unchanged(part):
    assert plan_one(SERVER, change(GOOD, issued_by=part)).is_empty


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (change(GOOD, issued_by="retired"), "is no longer trusted"),
        (change(installed(SERVER, common_name="other"), issued_by="former"), "is still trusted"),
        (change(installed(SERVER, at=NOW - 300 * DAY), issued_by="former"), "is still trusted"),
    ],
)
def test_a_task_does_not_overtake_a_rotation(state, said):
    with pytest.raises(Refused, match=said) as caught:
        plan_one(SERVER, state)
    assert "rotate" in caught.value.remedy


@pytest.mark.parametrize("part", ["former", "retired"])
def test_an_unusable_certificate_is_replaced_even_then(part):
    state = change(installed(SERVER, at=NOW - 700 * DAY), issued_by=part)
    assert "expired" in codes(plan_one(SERVER, state))
    for broken in (
        change(without(GOOD, "key.pem"), key=None),
        change(GOOD, key=None, unreadable={"key.pem": "half of it"}),
        change(GOOD, key=KeyFacts("ecdsa-p256", "99" * 32)),
    ):
        (action,) = plan_one(SERVER, change(broken, issued_by=part)).actions
        assert isinstance(action, IssueCertificate)


IN_ROTATION = Authority(Trust(issuing=(ANCHOR,), successor=(NEXT,), retired=(OLD,)), CA, clock=NOW)
HANDED_OVER = Authority(Trust(issuing=(ANCHOR,), former=(BEFORE,)), CA, clock=NOW)


@pytest.mark.parametrize(
    ("authority", "present", "wanted", "restart"),
    [
        # It only grows: the engine need not read it before the successor issues.
        (IN_ROTATION, (ANCHOR,), (ANCHOR, NEXT), False),
        (IN_ROTATION, (ANCHOR, FOREIGN), (ANCHOR, NEXT), True),
        (IN_ROTATION, (ANCHOR, OLD), (ANCHOR, NEXT, OLD), False),
        (IN_ROTATION, (), (ANCHOR, NEXT), True),
        (HANDED_OVER, (EXPIRED,), (ANCHOR, BEFORE), True),
        (HANDED_OVER, (BEFORE,), (ANCHOR, BEFORE), False),
    ],
)
def test_a_bundle_gains_the_successor_and_keeps_previous_authorities(authority, present, wanted, restart):
    plan = plan_one(SERVER, change(GOOD, trust_bundle=present), authority)
    (action,) = plan.actions
    assert action.bundle.anchors == wanted
    assert restart_required(plan) == restart


@pytest.mark.parametrize("present", [(ANCHOR, NEXT), (NEXT, ANCHOR), (ANCHOR, NEXT, OLD)])
def test_a_bundle_with_all_required_authorities_is_unchanged(present):
    assert plan_one(SERVER, change(GOOD, trust_bundle=present), IN_ROTATION).is_empty


@pytest.mark.parametrize("present", [(ANCHOR,), (ANCHOR, BEFORE)])
def test_a_dropped_authority_is_not_added_again(present):
    assert plan_one(SERVER, change(GOOD, trust_bundle=present), HANDED_OVER).is_empty


# --- limits of an authority -----------------------------------------------------------------------


def limited(**fields):
    return dataclasses.replace(AUTHORITY, certificate=dataclasses.replace(CA, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"extended_key_usage": ("clientAuth",)},
        {"permitted_names": ("DNS:example.com",)},
        {"permitted_names": ("DNS:localhost", "IP:10.0.0.0/8")},
        {"permitted_names": ("IP:fd00::/8",)},
        {"excluded_names": ("IP:172.16.0.0/12",)},
    ],
)
def test_certificates_that_clients_would_reject_are_not_issued(fields):
    with pytest.raises(Refused, match="CN=CA"):
        plan_one(SERVER, CertificateState(), limited(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"extended_key_usage": ("clientAuth", "serverAuth")},
        {"extended_key_usage": ("anyExtendedKeyUsage",)},
        {"permitted_names": ("DNS:localhost",)},
        {"permitted_names": ("DNS:localhost", "IP:172.16.0.0/12")},
        {"excluded_names": ("DNS:example.com", "IP:10.0.0.0/8")},
    ],
)
def test_limits_that_permit_a_certificate_are_accepted(fields):
    assert codes(plan_one(SERVER, CertificateState(), limited(**fields))) == ["missing"]


def test_a_limit_of_any_authority_in_the_chain_counts():
    root = dataclasses.replace(CA, subject="CN=root", permitted_names=("IP:10.0.0.0/8",))
    with pytest.raises(Refused, match="CN=root"):
        plan_one(SERVER, CertificateState(), dataclasses.replace(AUTHORITY, chain=(root,)))
