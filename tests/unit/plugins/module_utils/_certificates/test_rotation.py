# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import (
    AuthoritySpec,
    authority_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import KeyFacts
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.model import (
    CertificateState,
    Entry,
    InstallTrustBundle,
    IssueCertificate,
    leaf_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import parse_san
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.plan import restart_required
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.reissue import reissue_spec
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.rotation import (
    STEPS,
    plan_rotation,
    select_certificates,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import (
    Anchor,
    Authority,
    Trust,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.simulation import (
    simulate_certificates,
)

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
FIRST = authority_certificate(AuthoritySpec("/ca", "CA", "ecdsa-p256", 3650 * DAY), NOW - 30 * DAY)
SECOND = authority_certificate(AuthoritySpec("/ca", "CA G2", "ecdsa-p256", 3650 * DAY), NOW - DAY)
F, N, OLD, FOREIGN = (Anchor(name, f"-----{name}-----") for name in ("first", "second", "old", "foreign"))

STABLE = Authority(Trust((F,)), FIRST, clock=NOW)
TRUSTING = Authority(Trust((F,), successor=(N,)), FIRST, clock=NOW)
REISSUING = Authority(Trust((N,), former=(F,)), SECOND, clock=NOW)
DROPPED = Authority(Trust((N,), retired=(F,)), SECOND, clock=NOW)

SERVER, CLIENT, OTHER = "/etc/wormhole/server", "/etc/wormhole/identities/a", "/etc/wormhole/identities/b"


def leaf(directory, *, issuer=FIRST, names=("IP:172.17.0.1",), **fields):
    profile = "serverAuth" if directory == SERVER else "clientAuth"
    given_names = tuple(map(parse_san, names)) if directory == SERVER else ()
    spec = reissue_spec(
        directory,
        dataclasses.replace(
            FIRST,
            subject="CN=leaf",
            common_name="leaf",
            is_ca=False,
            extended_key_usage=(profile,),
            subject_alternative_names=given_names,
            not_before=NOW - 25 * DAY,
            not_after=NOW + 340 * DAY,
        ),
    )
    return dataclasses.replace(leaf_certificate(spec, issuer, NOW - 20 * DAY), **fields)


def state(directory, *, by="former", bundle=(F,), **fields):
    issuer = SECOND if by == "issuing" else FIRST
    certificate = leaf(directory, issuer=issuer, **fields)
    modes = {"": 0o755, "ca.pem": 0o444, "cert.pem": 0o444, "key.pem": 0o400}
    return CertificateState(
        entries={name: Entry(mode, 1000, 0) for name, mode in modes.items()},
        trust_bundle=bundle,
        certificate=certificate,
        key=KeyFacts(certificate.key_type, certificate.public_key_sha256),
        issued_by=by,
    )


def host(**options):
    return {directory: state(directory, **options) for directory in (SERVER, CLIENT, OTHER)}


def run(step, found, authority):
    plan = plan_rotation(step, found, authority, NOW)
    return plan, {**found, **simulate_certificates(found, plan, authority, NOW)}


def bundles(found):
    return {directory: each.trust_bundle for directory, each in found.items()}


def issuers(found):
    return {directory: each.issued_by for directory, each in found.items()}


def test_a_host_completes_all_steps():
    found = host(by="issuing")
    plan, found = run("trust", found, TRUSTING)
    assert set(bundles(found).values()) == {(F, N)}
    # No restart is required before the new authority issues.
    assert not restart_required(plan)
    found = {name: dataclasses.replace(each, issued_by="former") for name, each in found.items()}
    plan, found = run("servers", found, REISSUING)
    assert issuers(found) == {SERVER: "issuing", CLIENT: "former", OTHER: "former"}
    assert set(map(frozenset, bundles(found).values())) == {frozenset((F, N))}
    assert restart_required(plan)
    plan, found = run("clients", found, REISSUING)
    assert set(issuers(found).values()) == {"issuing"}
    assert not restart_required(plan)
    plan, found = run("drop", found, REISSUING)
    assert set(bundles(found).values()) == {(N,)}
    assert restart_required(plan)
    for step in STEPS:
        assert plan_rotation(step, found, REISSUING, NOW).is_empty


def test_on_a_host_that_missed_everything_clients_trust_the_authority_before_the_server_uses_it():
    found = host(by="retired", bundle=(F,))
    plan, found = run("servers", found, DROPPED)
    kinds = [type(action) for action in plan.actions]
    assert kinds == [InstallTrustBundle, InstallTrustBundle, IssueCertificate]
    assert bundles(found)[CLIENT] == (N, F)
    # Its clients still have certificates of the retired authority, which the server must accept.
    assert bundles(found)[SERVER] == (N, F)
    _plan, found = run("clients", found, DROPPED)
    _plan, found = run("drop", found, DROPPED)
    assert set(bundles(found).values()) == {(N,)}


def test_trust_bundles_are_installed_first():
    found = {"/a": state(SERVER, by="former"), CLIENT: state(CLIENT, by="former")}
    plan = plan_rotation("servers", found, REISSUING, NOW)
    assert [(type(action), action.spec.directory) for action in plan.actions] == [
        (InstallTrustBundle, CLIENT),
        (IssueCertificate, "/a"),
    ]


def test_a_reissued_certificate_differs_only_in_its_issuer():
    before = leaf(SERVER, names=("IP:172.17.0.1", "DNS:localhost"))
    spec = reissue_spec(SERVER, before, state(SERVER).entries)
    after = leaf_certificate(spec, SECOND, NOW)
    for field in ("subject", "subject_alternative_names", "key_type", "key_usage", "extended_key_usage"):
        assert getattr(after, field) == getattr(before, field)
    assert after.not_after - after.not_before == before.not_after - before.not_before
    assert (spec.uid, spec.gid, spec.key_mode, spec.directory_mode) == (1000, 0, 0o400, 0o755)
    plan = plan_rotation("servers", host(), REISSUING, NOW)
    assert all(action.keep_key for action in plan.actions if isinstance(action, IssueCertificate))


def test_clients_are_reissued_only_after_their_server():
    with pytest.raises(Refused, match=SERVER):
        plan_rotation("clients", host(), REISSUING, NOW)


@pytest.mark.parametrize("by", ["former", "retired", ""])
def test_no_authority_is_dropped_while_its_certificates_are_in_use(by):
    found = {**host(by="issuing", bundle=(N, F)), OTHER: state(OTHER, by=by, bundle=(N, F))}
    with pytest.raises(Refused, match=OTHER):
        plan_rotation("drop", found, REISSUING, NOW)


@pytest.mark.parametrize(
    "other",
    [
        state(OTHER, not_after=NOW - DAY),
        dataclasses.replace(state(OTHER), key=None),
        dataclasses.replace(state(OTHER), key=KeyFacts("ecdsa-p256", "99" * 32)),
        dataclasses.replace(state(OTHER), certificate=None),
        state(OTHER, by="", bundle=(FOREIGN,)),
        state(OTHER, extended_key_usage=("emailProtection",)),
    ],
    ids=["expired", "no key", "another key", "unreadable", "unmanaged", "another usage"],
)
def test_unused_and_unmanaged_certificates_are_unchanged(other):
    found = {**host(by="issuing", bundle=(N, F)), OTHER: other}
    assert OTHER not in select_certificates(found, REISSUING, NOW)
    plan, after = run("drop", found, REISSUING)
    assert after[OTHER] == other
    assert plan.actions


def test_a_rotation_needs_an_authority():
    with pytest.raises(Refused, match="it is lost"):
        plan_rotation("trust", host(), Authority(obstacle="it is lost"), NOW)


@given(
    st.sampled_from(STEPS),
    st.sampled_from([STABLE, TRUSTING, REISSUING, DROPPED]),
    st.dictionaries(
        st.sampled_from([SERVER, CLIENT, OTHER]),
        st.tuples(
            st.sampled_from(["issuing", "former", "retired", "successor", ""]),
            st.sampled_from([(F,), (N,), (F, N), (N, OLD), (FOREIGN,), (), (F, FOREIGN)]),
        ),
    ),
)
def test_after_a_step_nothing_is_left_to_do_and_no_bundle_loses_an_authority(step, authority, described):
    found = {name: state(name, by=by, bundle=bundle) for name, (by, bundle) in described.items()}
    try:
        _plan, after = run(step, found, authority)
    except Refused:
        return
    assert plan_rotation(step, after, authority, NOW).is_empty
    if step in ("drop", "replace"):
        return
    # Only these steps remove an authority from a bundle.
    ours = {
        *authority.trust.issuing,
        *authority.trust.successor,
        *authority.trust.former,
        *authority.trust.retired,
    }
    for name in select_certificates(found, authority, NOW):
        assert set(found[name].trust_bundle) & ours <= set(after[name].trust_bundle)
