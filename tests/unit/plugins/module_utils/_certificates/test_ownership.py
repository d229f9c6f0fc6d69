# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.model import (
    CertificateState,
    Entry,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.ownership import (
    Accepted,
    check_accepted,
    replacement_warnings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import Anchor
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.test_plan import (
    ANCHOR,
    AUTHORITY,
    CLIENT,
    DAY,
    EXPIRED,
    FOREIGN,
    GONE,
    GOOD,
    HANDED_OVER,
    NOBODY,
    NOW,
    REPLACING,
    SERVER,
    change,
    codes,
    installed,
    plan_one,
    without,
)

OURS = change(GOOD, recorded=True)
LIVING = Anchor("f" * 64, "-----living-----", "CN=other", "aa" * 32, NOW + DAY)
THEIRS = change(OURS, issued_by="", trust_bundle=(LIVING,))
LATE = installed(SERVER, not_after=NOW - DAY)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(THEIRS, id="its server"),
        pytest.param(change(THEIRS, trust_bundle=(ANCHOR,)), id="a certificate under our bundle"),
        pytest.param(change(THEIRS, trust_bundle=None), id="a certificate alone"),
        pytest.param(change(OURS, trust_bundle=(LIVING,)), id="a bundle alone"),
        pytest.param(without(THEIRS, "key.pem"), id="without its key"),
        pytest.param(
            change(THEIRS, certificate=None, unreadable={"cert.pem": "x"}), id="with a broken certificate"
        ),
        pytest.param(change(THEIRS, trust_bundle=(EXPIRED, LIVING)), id="with an expired one"),
    ],
)
def test_an_authority_that_works_is_replaced_only_if_the_task_says_so(state):
    for authority in (AUTHORITY, NOBODY):
        with pytest.raises(Refused) as caught:
            plan_one(SERVER, state, authority)
        assert "has valid certificates of CN=" in str(caught.value)
        assert "certificate_authority_replace: true" in caught.value.remedy
    plan = plan_one(SERVER, state, REPLACING)
    assert codes(plan)[-1] == "authority_replaced"
    assert len(replacement_warnings(plan.reasons)) == 1
    assert replacement_warnings(plan_one(SERVER, CertificateState(), REPLACING).reasons) == []


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(change(OURS, issued_by="", trust_bundle=(EXPIRED,)), id="an expired authority"),
        pytest.param(
            change(LATE, recorded=True, issued_by="", trust_bundle=(EXPIRED,)), id="all has expired"
        ),
        pytest.param(change(LATE, recorded=True, issued_by="", trust_bundle=()), id="a broken bundle"),
        pytest.param(
            change(OURS, certificate=None, trust_bundle=(), unreadable={"cert.pem": "x"}), id="all is broken"
        ),
        pytest.param(change(without(OURS, "cert.pem"), certificate=None), id="no certificate"),
    ],
)
def test_what_does_not_work_is_replaced_without_asking(state):
    assert plan_one(SERVER, state).actions
    assert "authority_replaced" not in codes(plan_one(SERVER, state, REPLACING))


@pytest.mark.parametrize("part", ["successor", "former"])
def test_a_rotation_under_way_is_not_another_authority(part):
    assert plan_one(SERVER, change(OURS, issued_by=part, trust_bundle=HANDED_OVER.trust.former), HANDED_OVER)


def test_a_renewed_certificate_of_the_same_authority_is_the_same_authority():
    ours = dataclasses.replace(LIVING, fingerprint_sha256="e" * 64, pem="-----renewed-----")
    authority = dataclasses.replace(AUTHORITY, trust=dataclasses.replace(AUTHORITY.trust, issuing=(ours,)))
    assert codes(plan_one(SERVER, change(OURS, trust_bundle=(LIVING,)), authority)) == [
        "trust_bundle_outdated"
    ]
    check_accepted("agent", Accepted("/ca.pem", (LIVING,)), authority)


@pytest.mark.parametrize("recorded", [False, None])
@pytest.mark.parametrize("authority", [AUTHORITY, REPLACING])
@pytest.mark.parametrize("spec", [SERVER, CLIENT, GONE])
@pytest.mark.parametrize(
    "state",
    [
        pytest.param(
            change(THEIRS, certificate=None, trust_bundle=(), unreadable={"cert.pem": "x"}), id="broken"
        ),
        pytest.param(
            change(
                CertificateState(entries={"key.pem": Entry(0o400, 0, 0)}), unreadable={"key.pem": "encrypted"}
            ),
            id="an encrypted key",
        ),
        pytest.param(change(LATE, issued_by="", trust_bundle=(EXPIRED,)), id="expired"),
        pytest.param(
            CertificateState(entries={"ca.pem": Entry(0o444, 0, 0)}, trust_bundle=(FOREIGN,)), id="a bundle"
        ),
    ],
)
def test_files_of_others_stay_even_if_they_do_not_work(state, spec, authority, recorded):
    if spec is GONE and state.certificate is not None:
        state = change(state, certificate=dataclasses.replace(state.certificate, extended_key_usage=()))
    with pytest.raises(Refused, match="which this collection did not create"):
        plan_one(spec, change(state, recorded=recorded), authority)


def test_only_a_certificate_of_the_same_name_is_adopted_if_there_is_a_record():
    renewed = change(installed(SERVER, at=NOW - 300 * DAY), recorded=False)
    assert codes(plan_one(SERVER, renewed)) == ["expires_soon"]
    other = installed(SERVER, common_name="other")
    with pytest.raises(Refused, match="which this collection did not create"):
        plan_one(SERVER, change(other, recorded=False))
    # Without a record, nothing else tells whose it is.
    assert codes(plan_one(SERVER, change(other, recorded=None))) == ["wrong_common_name"]


def test_a_client_that_its_engine_would_not_accept_is_not_issued():
    check_accepted("agent", None, AUTHORITY)
    check_accepted("agent", Accepted("/ca.pem", (FOREIGN, ANCHOR)), AUTHORITY)
    check_accepted("agent", Accepted("/ca.pem", (LIVING,)), NOBODY)
    with pytest.raises(
        Refused, match=r"accepts only clients of CN=other \(SHA-256 ffffffffffffffff…\) \(/ca.pem\)"
    ):
        check_accepted("agent", Accepted("/ca.pem", (LIVING,)), AUTHORITY)
