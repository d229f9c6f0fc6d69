# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is marked as revoked, and when a revocation is complete."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates import issued as record
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.revocation import (
    RevocationSpec,
    RevocationState,
    describe,
    find_hosts,
    parse_revocation,
    plan_revocation,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.facts import make_facts

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
FIRST, SECOND, OLD = (
    dataclasses.replace(make_facts(), subject=f"CN={name}", common_name=name, public_key_sha256=name)
    for name in ("CA", "CA G2", "CA G0")
)


def issued(name="agent", host="ci1", by="CA", *, days=30, profile="client", age=DAY):
    """A certificate; its fingerprint says what it is."""
    return record.Issued(
        time=NOW - age,
        serial="2A",
        spki_sha256=f"key of {name}",
        fingerprint_sha256=f"{profile} {name} of {host} by {by} {days} {age.days}",
        common_name=name,
        names=(),
        profile=profile,
        host=host,
        directory=f"/etc/wormhole/{profile}/{name}",
        not_before=NOW - age,
        not_after=NOW + days * DAY,
        issuer=f"CN={by}",
        issuer_spki_sha256=by,
    )


def state(*certificates, issuing=FIRST, complete=True, **others):
    begun = [record.Begin(NOW, complete, facts.subject, facts.public_key_sha256) for facts in (FIRST, SECOND)]
    return RevocationState(record.Ledger((*begun, *certificates)), issuing, **others)


def spec(target, name, host=""):
    return RevocationSpec("/ca", target, name, host, "stolen")


def simulate(found, plan):
    return dataclasses.replace(found, ledger=found.ledger.with_events(plan.actions))


def marked(found, wanted):
    """Revoke, and return the fingerprints of what is marked."""
    plan = plan_revocation(wanted, found, NOW)
    after = simulate(found, plan)
    assert plan_revocation(wanted, after, NOW).is_empty
    return [mark.fingerprint_sha256 or mark.issuer_spki_sha256 for mark in plan.actions], after


MANY = (
    issued(),
    issued(host="ci2"),
    issued("other"),
    issued("agent", profile="server"),
    issued(days=-1),
    issued(by="CA G0"),
)


@pytest.mark.parametrize(
    ("target", "name", "host", "expected"),
    [
        ("identity", "agent", "", [MANY[0], MANY[1]]),
        ("identity", "agent", "ci2", [MANY[1]]),
        ("identity", "nobody", "", []),
        ("host", "ci1", "", [MANY[0], MANY[2], MANY[3]]),
        ("host", "CI1", "", []),
        ("authority", "CA G9", "", []),
    ],
)
def test_what_is_valid_and_meant_is_marked(target, name, host, expected):
    found, after = marked(state(*MANY), spec(target, name, host))
    assert found == [one.fingerprint_sha256 for one in expected]
    described = describe(spec(target, name, host), after, NOW)
    assert described["known"] is described["replacement_required"] is bool(expected)
    assert described["removed_identities"] == (found if target == "identity" else [])
    assert not described["drop_required"]


def test_an_authority_is_revoked_with_what_nobody_recorded():
    found, after = marked(state(*MANY), spec("authority", "CA"))
    assert found == ["CA"]
    assert describe(spec("authority", "CA"), after, NOW)["replacement_required"]
    # Its successor has replaced it.
    done = dataclasses.replace(after, issuing=SECOND, retired=("CA",))
    assert marked(done, spec("authority", "CA"))[0] == []
    described = describe(spec("authority", "CA"), done, NOW)
    assert (described["known"], described["replacement_required"]) == (True, False)


@pytest.mark.parametrize("target", ["identity", "host"])
def test_an_interrupted_revocation_is_completed_and_does_not_revoke_new_keys(target):
    wanted = spec(target, "agent" if target == "identity" else "ci1")
    _found, after = marked(state(MANY[0]), wanted)
    trusting = dataclasses.replace(after, successor=SECOND)
    assert describe(wanted, trusting, NOW)["replacement_required"]
    new = issued(by="CA G2", age=-DAY / 24)
    replacing = dataclasses.replace(
        after, issuing=SECOND, former=FIRST, ledger=after.ledger.with_events([new])
    )
    assert marked(replacing, wanted)[0] == []
    described = describe(wanted, replacing, NOW)
    assert (described["replacement_required"], described["drop_required"]) == (True, False)
    done = dataclasses.replace(replacing, former=None)
    assert not describe(wanted, done, NOW)["replacement_required"]
    # Once it is complete, the same command is about the new key.
    assert marked(done, wanted)[0] == [new.fingerprint_sha256]


def test_a_rotation_in_progress_ends_first_if_its_new_authority_has_signed_what_is_revoked():
    new = issued(by="CA G2")
    rotating = state(MANY[0], new, issuing=SECOND, former=FIRST)
    found, after = marked(rotating, spec("identity", "agent"))
    assert found == [MANY[0].fingerprint_sha256, new.fingerprint_sha256]
    assert describe(spec("identity", "agent"), after, NOW)["drop_required"]
    dropped = dataclasses.replace(after, former=None)
    described = describe(spec("identity", "agent"), dropped, NOW)
    assert (described["replacement_required"], described["drop_required"]) == (True, False)


def test_the_revocation_of_an_identity_is_final():
    _found, after = marked(state(MANY[0]), spec("host", "ci1"))
    found, after = marked(after, spec("identity", "agent"))
    assert found == [MANY[0].fingerprint_sha256]
    assert after.ledger.revocations[found[0]].target == "identity"
    assert marked(after, spec("host", "ci1"))[0] == []


def test_an_expired_certificate_needs_no_new_authority():
    _found, after = marked(state(MANY[0]), spec("identity", "agent"))
    assert not describe(spec("identity", "agent"), after, NOW + 31 * DAY)["replacement_required"]


@pytest.mark.parametrize("rotating", [{}, {"issuing": SECOND, "former": OLD}])
def test_an_incomplete_record_is_refused(rotating):
    with pytest.raises(Refused, match="wormhole.docker.rotate"):
        plan_revocation(spec("identity", "agent"), state(*MANY, complete=bool(rotating), **rotating), NOW)


def test_another_authority_than_the_named_one_may_have_an_incomplete_record():
    found = state(*MANY, complete=False)
    assert marked(found, spec("authority", "CA ci2"))[0] == []
    with pytest.raises(Refused, match="wormhole.docker.rotate"):
        plan_revocation(spec("authority", "CA"), found, NOW)


def test_a_host_without_an_authority_has_nothing_to_revoke():
    for wanted in (spec("identity", "agent"), spec("host", "ci1"), spec("authority", "CA")):
        found = RevocationState(record.Ledger())
        assert plan_revocation(wanted, found, NOW).is_empty
        described = describe(wanted, found, NOW)
        assert (described["known"], described["replacement_required"]) == (False, False)


def test_hosts_that_have_to_replace_their_certificates():
    found = state(*MANY, issued(host="ci3", by="CA G0"), issued(host=""), issued(host="ci4", days=-1))
    assert find_hosts(found, NOW) == ("ci1", "ci2")
    assert find_hosts(marked(found, spec("host", "ci2"))[1], NOW) == ("ci1",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "one of identity, host and authority"),
        ({"identity": ""}, "identity"),
        ({"identity": " "}, "identity"),
        ({"host": "", "identity": "agent"}, "host"),
        ({"identity": "a\nb"}, "identity"),
        ({"identity": "x" * 65}, "identity"),
        ({"authority": "CA", "host": "ci1"}, "not allowed with"),
        ({"authority": "CA", "identity": "a"}, "not allowed with"),
        ({"host": "ci1", "reason": "a\x1b"}, "reason"),
    ],
)
def test_malformed_options(options, said):
    given = {"identity": None, "host": None, "authority": None, "reason": "stolen", **options}
    with pytest.raises(InvalidInput, match=said):
        parse_revocation("/ca", **given)


def test_options_are_parsed():
    given = {"identity": None, "host": None, "authority": None, "reason": "stolen"}
    assert parse_revocation("/ca", **{**given, "identity": "agent", "host": "ci1"}) == spec(
        "identity", "agent", "ci1"
    )
    assert parse_revocation("/ca", **{**given, "host": "ci1"}) == spec("host", "ci1")
    assert parse_revocation("/ca", **{**given, "authority": "CA"}) == spec("authority", "CA")
