# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recorded calls of an identity: counted by kind, within bounds, as a file.

.. code-block:: json

    {
      "identity": "ci", "since": 1764590400, "dropped": 0,
      "calls": [
        {"call": {"route": "ping"}, "decision": "allow", "code": "ping", "policy": "…", "mode": "learn",
         "first": 1764590400, "last": 1764590460, "count": 12, "days": {"2025-12-01": 12}}
      ]
    }
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional

from .._policy.learned_call import LearnedCall, parse_learned_call
from .._policy.until import render_time

MOST = 300
"""Kinds of calls of an identity."""
MOST_OF_ROUTE = 60
MOST_REFUSED = 100
"""Kinds of calls that were only ever refused. A client that means harm cannot fill the record."""
MOST_BYTES = 1 << 19
DAYS = 31
LARGEST = 1 << 21
"""Bytes of a file that is read."""


@dataclass(frozen=True)
class Outcome:
    """What happened to a call.

    Attributes:
        decision: ``allow``, ``would_deny`` or ``deny``.
        code: reason code, or the power that allowed it.
        policy, mode: version and mode of the policy.
    """

    decision: str
    code: str
    policy: str
    mode: str


@dataclass
class Entry:
    """One kind of call.

    Attributes:
        call: what came.
        outcome: what happened to the last one.
        first, last: seconds since the epoch.
        count: how many came.
        days: how many came on each of the last days, by date (UTC).
    """

    call: LearnedCall
    outcome: Outcome
    first: int
    last: int
    count: int = 0
    days: Dict[str, int] = field(default_factory=dict)

    def since(self, time: float) -> int:
        """How many came since a time, by whole days."""
        day = render_time(time)[:10]
        return sum(count for date, count in self.days.items() if date >= day)


class Learned:
    """The calls of one identity.

    Args:
        identity: the identity.
        since: when the record began, in seconds since the epoch.

    Attributes:
        entries: by the key of the call.
        dropped: calls that were not recorded because a bound was reached.
    """

    def __init__(self, identity: str, since: int) -> None:
        self.identity, self.since = identity, since
        self.entries: Dict[str, Entry] = {}
        self.dropped = 0
        self._bytes = 0

    def note(self, call: LearnedCall, outcome: Outcome, now: int) -> None:
        """Count a call."""
        key = call.key
        entry = self.entries.get(key)
        if entry is None:
            if not self._has_room(call, outcome, key):
                self.dropped += 1
                return
            entry = self._put(key, Entry(call, outcome, now, now))
        entry.outcome, entry.last = outcome, now
        entry.count += 1
        day = render_time(now)[:10]
        entry.days[day] = entry.days.get(day, 0) + 1
        while len(entry.days) > DAYS:
            del entry.days[min(entry.days)]

    def _put(self, key: str, entry: Entry) -> Entry:
        self.entries[key] = entry
        self._bytes += len(key)
        return entry

    def _has_room(self, call: LearnedCall, outcome: Outcome, key: str) -> bool:
        of_route = [entry for entry in self.entries.values() if entry.call.route == call.route]
        refused = sum(entry.outcome.decision == "deny" for entry in self.entries.values())
        return (
            len(self.entries) < MOST
            and len(of_route) < MOST_OF_ROUTE
            and self._bytes + len(key) <= MOST_BYTES
            and not (outcome.decision == "deny" and refused >= MOST_REFUSED)
        )

    def render(self) -> str:
        """Render the file."""
        rows = [
            {
                "call": entry.call.as_data(),
                **entry.outcome.__dict__,
                "first": entry.first,
                "last": entry.last,
                "count": entry.count,
                "days": entry.days,
            }
            for entry in self.entries.values()
        ]
        document = {
            "identity": self.identity, "since": self.since, "dropped": self.dropped, "calls": rows
        }  # fmt: skip
        return json.dumps(document, separators=(",", ":")) + "\n"


def parse_learned(identity: str, content: bytes) -> Optional[Learned]:
    """Parse the file of an identity; None if it is not one.

    Rows of routes that are unknown to this version are left out.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("identity") != identity:
        return None
    rows = document.get("calls")
    found = Learned(identity, _number(document, "since"))
    found.dropped = _number(document, "dropped")
    for row in rows if isinstance(rows, list) else []:
        entry = _entry(row)
        if entry is not None and len(found.entries) < MOST:
            found._put(entry.call.key, entry)
    return found


def _entry(row: Any) -> Optional[Entry]:
    if not isinstance(row, dict):
        return None
    call = parse_learned_call(row.get("call"))
    texts = {name: row.get(name) for name in ("decision", "code", "policy", "mode")}
    if call is None or not all(isinstance(text, str) for text in texts.values()):
        return None
    days: Mapping[str, Any] = row["days"] if isinstance(row.get("days"), dict) else {}
    kept = {day: count for day, count in days.items() if _is_number(count)}
    outcome = Outcome(**texts)  # type: ignore[arg-type]
    return Entry(call, outcome, _number(row, "first"), _number(row, "last"), _number(row, "count"), kept)


def _number(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) and _is_number(value) else 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def entries_of(learned: Optional[Learned]) -> List[Entry]:
    """The recorded calls, those of the last call first."""
    return sorted(learned.entries.values(), key=lambda entry: -entry.last) if learned else []
