# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of what an authority has issued: its lines, states, and what it permits to sign again."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates import issued as record
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import Anchor
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.facts import make_facts

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
ISSUER = Anchor("aa", "-----aa-----", "CN=CA", "ca-key")
BEGIN = record.Begin(NOW, True, "CN=CA", "ca-key")
ADOPTED = dataclasses.replace(BEGIN, complete=False)


def issued(name="agent", *, number=1, host="ci1", days=30, profile="client", key="key"):
    return record.Issued(
        time=NOW - DAY,
        serial=f"{number:X}",
        spki_sha256=key,
        fingerprint_sha256=f"{name}-{number}",
        common_name=name,
        names=("IP:172.17.0.1",),
        profile=profile,
        host=host,
        directory=f"/etc/wormhole/{name}",
        not_before=NOW - DAY,
        not_after=NOW + days * DAY,
        issuer="CN=CA",
        issuer_spki_sha256="ca-key",
    )


def revoked(target, certificate=None):
    if certificate is None:
        return record.Revoked(NOW, target, "stolen", issuer_spki_sha256="ca-key")
    return record.Revoked(
        NOW, target, "stolen", certificate.serial, certificate.fingerprint_sha256, "ca-key", "agent", "ci1"
    )


def ledger(*events):
    return record.Ledger(events)


text = st.text(st.characters(codec="utf-8"), max_size=8)
moments = st.datetimes(
    datetime.datetime(2000, 1, 1), datetime.datetime(2100, 1, 1), timezones=st.just(datetime.timezone.utc)
).map(lambda moment: moment.replace(microsecond=0))
events = st.one_of(
    st.builds(record.Begin, moments, st.booleans(), text, text),
    st.builds(
        record.Issued, moments, text, text, text, text, st.lists(text, max_size=3).map(tuple), text, text, text,
        moments, moments, text, text,
    ),
    st.builds(record.Revoked, moments, st.sampled_from(record.TARGETS), text, text, text, text, text, text),
)  # fmt: skip


@given(st.lists(events, max_size=5))
def test_events_are_read_as_they_were_written(found):
    content = record.render_events(found)
    assert record.parse_ledger(content, "/r") == (record.Ledger(tuple(found)), len(content))


@given(st.lists(events, max_size=4), events, st.data())
def test_a_line_that_a_power_cut_has_damaged_is_dropped(found, last, data):
    intact, line = record.render_events(found), record.render_events([last])
    for damaged in (line[: data.draw(st.integers(0, len(line) - 1))], b"\0" * len(line), b"\0" * 9 + b"\n"):
        assert record.parse_ledger(intact + damaged, "/r") == (record.Ledger(tuple(found)), len(intact))


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"[]", b"3", b"{}", b'{"event": "begin"}', b'{"event": "sold"}', b"\xff",
        b'{"event": "begin", "time": "today", "complete": true, "issuer": "", "issuer_spki_sha256": ""}',
        b'{"event": "begin", "time": "2026-11-24T12:00:00Z", "complete": 1, "issuer": "", "issuer_spki_sha256": ""}',
        record.render_events([revoked("host", issued())]).strip().replace(b'"host"', b'"moon"'),
    ],
)  # fmt: skip
def test_another_damaged_line_is_an_error_that_names_file_and_line(line):
    content = record.render_events([BEGIN]) + line + b"\n" + record.render_events([issued()])
    with pytest.raises(Refused, match=r"/ca/issued\.jsonl, line 2: not an event"):
        record.parse_ledger(content, "/ca/issued.jsonl")


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ((issued(),), "alive"),
        ((issued(days=7),), "expiring"),
        ((issued(days=-1),), "expired"),
        ((issued(), issued(number=2)), "superseded"),
        ((issued(days=-1), issued(number=2)), "expired"),
        ((issued(), issued(number=2, host="ci2")), "alive"),
        ((issued(), issued("other", number=2)), "alive"),
        ((issued(), revoked("identity", issued())), "revoked"),
        ((issued(days=-1), revoked("identity", issued())), "revoked"),
        ((issued(), revoked("authority")), "revoked"),
        ((issued(), revoked("identity", issued(number=2))), "alive"),
    ],
)
def test_the_state_of_a_certificate(found, state):
    assert record.state_of(ledger(BEGIN, *found), found[0], NOW, 7 * DAY, frozenset({"ca-key"})) == state


def test_a_certificate_of_an_authority_that_is_not_trusted_opens_nothing():
    assert record.state_of(ledger(issued()), issued(), NOW, DAY, frozenset()) == "untrusted"
    assert record.state_of(ledger(issued()), issued(), NOW, DAY) == "alive"


ONE = issued()
MARKED = (BEGIN, ONE, revoked("identity", ONE))
STOLEN_HOST = (BEGIN, ONE, revoked("host", ONE))
STOLEN_AUTHORITY = (BEGIN, ONE, revoked("authority"))


@pytest.mark.parametrize(
    ("events", "again", "fault"),
    [
        # What a complete record holds.
        ((BEGIN, ONE), {}, ""),
        ((BEGIN, ONE), {"host": "ci2"}, ""),
        ((BEGIN, ONE), {"host": "ci2", "is_compromised": True}, "issued to ci1, not to ci2"),
        ((BEGIN, ONE), {"is_compromised": True}, ""),
        ((BEGIN,), {}, "not in the record"),
        ((BEGIN,), {"is_client": False, "is_same_key": False}, "not in the record"),
        # Another key only for the host that it was issued to.
        ((BEGIN, ONE), {"is_same_key": False}, ""),
        ((BEGIN, ONE), {"is_same_key": False, "host": "ci2"}, "issued to ci1, not to ci2"),
        ((BEGIN, ONE), {"is_same_key": False, "host": "ci2", "is_client": False}, "issued to ci1, not to ci2"),
        ((BEGIN, ONE), {"is_same_key": False, "host": ""}, "issued to ci1, not to an unknown host"),
        ((BEGIN, issued(host="")), {"is_same_key": False, "host": ""}, "issued to an unknown host"),
        ((BEGIN, issued(host="")), {"is_same_key": False, "is_client": False}, ""),
        ((BEGIN, issued(host="")), {"is_same_key": False, "is_client": False, "is_compromised": True}, "unknown host"),
        # A record that began after the authority, or none: the signature proves it.
        ((ADOPTED,), {}, ""),
        ((), {}, ""),
        ((ADOPTED,), {"is_compromised": True}, "not in the record"),
        ((), {"is_compromised": True}, "not in the record"),
        ((ADOPTED,), {"is_same_key": False}, "not in the record"),
        ((ADOPTED,), {"is_same_key": False, "is_client": False}, ""),
        # Revoked.
        (MARKED, {}, "was revoked at 2026-11-24T12:00:00Z: stolen"),
        (MARKED, {"is_same_key": False}, "was revoked"),
        ((ADOPTED, *MARKED[1:]), {}, "was revoked"),
        (STOLEN_HOST, {}, "was revoked"),
        (STOLEN_HOST, {"is_same_key": False}, ""),
        (STOLEN_HOST, {"is_same_key": False, "host": "ci2"}, "issued to ci1, not to ci2"),
        (STOLEN_AUTHORITY, {}, "was revoked"),
        (STOLEN_AUTHORITY, {"is_same_key": False}, ""),
        ((BEGIN, revoked("authority")), {"is_same_key": False, "is_client": False}, "not in the record"),
        ((ADOPTED, revoked("authority")), {"is_same_key": False, "is_client": False}, "not in the record"),
    ],
)  # fmt: skip
def test_what_may_be_signed_again(events, again, fault):
    certificate = dataclasses.replace(make_facts(), fingerprint_sha256=ONE.fingerprint_sha256)
    options = {"host": "ci1", "is_same_key": True, **again}
    is_client = options.pop("is_client", True)
    found = record.find_fault(
        ledger(*events), record.Again(certificate, ISSUER, **options), is_client=is_client
    )
    assert fault in found
    assert bool(fault) is bool(found)


def test_a_renewed_certificate_with_a_revoked_key_is_revoked_too():
    stolen = ledger(BEGIN, ONE, issued(number=2), revoked("host", ONE))
    assert stolen.find_revoked_key("key") is not None
    assert stolen.find_revoked_key("other") is None


def test_a_rotation_goes_on_in_the_same_record():
    second = record.Begin(NOW, True, "CN=CA G2", "second-key")
    found = ledger(ADOPTED, issued(), second)
    assert not found.is_complete("ca-key")
    assert found.is_complete("second-key")
    assert not found.is_complete("another-key")
