# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an administrator can ask about the policies of a host: as data.

The program answers in JSON (see io/questions.py). These functions compute the answers from the files of the
policies and of the recorded calls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .._base.errors import InvalidInput
from .._policy import describe
from .._policy.decision import Deny
from .._policy.learn import Counted, suggest
from .._policy.learn import replay as replay_calls
from .._policy.learned_call import decide_again
from .._policy.policy import Policy
from .._policy.policy_file import parse_policy
from .._policy.routes import ROUTES
from .._policy.until import render_time
from .identities import parse_identity
from .learned import Entry, Learned, entries_of, parse_learned

DAY = 86400


@dataclass(frozen=True)
class Files:
    """The files of one host.

    Attributes:
        policies: by identity: the content of the file, or why it cannot be read.
        records: content of the file with recorded calls, by identity.
    """

    policies: Mapping[str, Union[bytes, str]] = field(default_factory=dict)
    records: Mapping[str, bytes] = field(default_factory=dict)


def report(files: Files, identity: str, days: int, now: float) -> Dict[str, Any]:
    """Return what is known about the policies of a host.

    Args:
        files: its files.
        identity: the only identity to report; empty for all.
        days: the last days in which refused calls are counted.
        now: seconds since the epoch.
    """
    names = sorted({*files.policies, *files.records})
    wanted = [name for name in names if identity in ("", name)]
    return {"identities": [_identity(files, name, days, now) for name in wanted]}


def _identity(files: Files, name: str, days: int, now: float) -> Dict[str, Any]:
    content = files.policies.get(name)
    policy: Optional[Policy] = None
    problem, data, certificates = "", {}, 0
    if content is None:
        problem = f"{name} has no policy any more. Its calls were recorded earlier."
    else:
        try:
            found = parse_identity(name, content)
            policy, certificates = found.policy.at(now), len(found.certificates)
            data = _policy_data(content)
        except InvalidInput as error:
            problem = str(error)
    learned = _learned(files, name)
    entries = entries_of(learned)
    return {
        "identity": name,
        "problem": problem,
        "certificates": certificates,
        "policy": _policy(policy, data) if policy is not None else None,
        "learned": _summary(learned),
        "calls": [_call(policy, entry) for entry in entries],
        "refused": _refused(policy, entries, days, now),
        "suggestion": _suggestion(name, entries, data),
    }


def _policy_data(content: Union[bytes, str]) -> Dict[str, Any]:
    document: Dict[str, Any] = json.loads(content)["policy"]
    return document


def _policy(policy: Policy, data: Mapping[str, Any]) -> Dict[str, Any]:
    overrides = data.get("overrides") or {}
    return {
        "preset": policy.preset,
        "mode": policy.mode,
        "configured_mode": data.get("mode", "enforce"),
        "until": "" if policy.until is None else render_time(policy.until),
        "version": policy.version,
        "overrides": overrides,
        "sections": describe.effective(policy.preset, overrides, policy.identity),
    }


def _learned(files: Files, name: str) -> Optional[Learned]:
    content = files.records.get(name)
    return None if content is None else parse_learned(name, content)


def _summary(learned: Optional[Learned]) -> Optional[Dict[str, Any]]:
    if learned is None:
        return None
    entries = learned.entries.values()
    return {
        "since": render_time(learned.since),
        "last": render_time(max((entry.last for entry in entries), default=learned.since)),
        "calls": sum(entry.count for entry in entries),
        "kinds": len(learned.entries),
        "dropped": learned.dropped,
    }


def _call(policy: Optional[Policy], entry: Entry) -> Dict[str, Any]:
    route = ROUTES.get(entry.call.route)
    decision = decide_again(policy, entry.call) if policy is not None else None
    deny = decision if isinstance(decision, Deny) else None
    return {
        "method": route.method if route else "",
        "path": route.path if route else "",
        "title": describe.title(entry.call),
        "power": route.power if route else "",
        "objects": describe.objects_of(entry.call),
        "asks": {
            name: value for name, value in (("query", entry.call.query), ("body", entry.call.body)) if value
        },
        "count": entry.count,
        "first": render_time(entry.first),
        "last": render_time(entry.last),
        "recorded": entry.outcome.decision,
        "allowed": None if policy is None else deny is None,
        **_reason(policy, deny),
    }


def _reason(policy: Optional[Policy], deny: Optional[Deny]) -> Dict[str, str]:
    if policy is None or deny is None:
        return {"code": "", "sentence": "", "setting": ""}
    return {"code": deny.code, "sentence": describe.sentence(policy, deny), "setting": deny.setting}


def _refused(policy: Optional[Policy], entries: Sequence[Entry], days: int, now: float) -> Dict[str, Any]:
    """The calls of the last days that the present policy refuses, or would refuse."""
    since = now - (days - 1) * DAY
    refused = [
        entry.since(since)
        for entry in entries
        if policy is not None and isinstance(decide_again(policy, entry.call), Deny) and entry.since(since)
    ]
    return {"days": days, "calls": sum(refused), "kinds": len(refused)}


def _counted(entries: Sequence[Entry]) -> List[Counted]:
    return [Counted(entry.call, entry.count) for entry in sorted(entries, key=lambda entry: entry.first)]


def _suggestion(name: str, entries: Sequence[Entry], data: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    used = [entry for entry in entries if entry.outcome.decision != "deny"]
    if not used:
        return None
    cleanup = (data.get("overrides") or {}).get("cleanup")
    found = suggest(name, _counted(used), cleanup)
    first, last = min(entry.first for entry in used), max(entry.last for entry in used)
    return {
        "policy": found.preset,
        "policy_overrides": found.overrides,
        "yaml": describe.render_yaml(found, render_time(first), render_time(last)),
        "reasons": [
            {"section": reason.section, "why": describe.WHY.get(reason.section, ""), "calls": reason.count}
            for reason in found.reasons
        ],
        "refused": [
            {
                "title": describe.title(counted.call),
                "count": counted.count,
                "code": deny.code,
                "problem": deny.problem,
            }
            for counted, deny in found.refused
        ],
    }


def replay(record: Optional[bytes], data: Any, now: float) -> Dict[str, Any]:
    """Return the recorded calls that another policy would refuse.

    Args:
        record: content of the file with recorded calls; None if there is none.
        data: the other policy, as ``parse_policy()`` takes it.
        now: seconds since the epoch.

    Raises:
        InvalidInput: it is not a policy.
    """
    policy = parse_policy(data).at(now)
    learned = parse_learned(policy.identity, record) if record is not None else None
    used = [entry for entry in entries_of(learned) if entry.outcome.decision != "deny"]
    found = replay_calls(policy, _counted(used))
    return {
        "calls": sum(entry.count for entry in used),
        "kinds": len(used),
        "refused": [
            {
                "title": describe.title(row.counted.call),
                "count": row.counted.count,
                **_reason(policy, row.deny),
            }
            for row in found
        ],
    }


def read_request(text: bytes, names: Tuple[str, ...]) -> Dict[str, Any]:
    """Return the JSON object on the program's standard input.

    Raises:
        InvalidInput: it is none, or has other keys.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("standard input", expected="a JSON object", found=str(error)) from error
    if not isinstance(document, dict) or set(document) - set(names):
        raise InvalidInput("standard input", expected=f"a JSON object with {', '.join(names)}")
    return document
