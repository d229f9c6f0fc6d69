# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies, recorded calls and suggestions in words, for the administrator of the host."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .call import Json
from .decision import Deny
from .learn import Reason, Suggestion
from .learned_call import LearnedCall
from .naming import FOREIGN, MISSING, OWN, SELF
from .policy import Policy
from .policy_file import MERGED, PRESETS, SECTIONS
from .refusal import render_refusal
from .routes import ROUTES

_WORDS: Mapping[str, str] = {
    OWN: "its own",
    SELF: "the wormhole's own container",
    MISSING: "missing",
}
WHY: Mapping[str, str] = {
    "powers": "Powers that the preset lacks, or objects of others that they have to reach.",
    "images": "The images that were used. Remove it to allow every image.",
    "tags": "Images that it tags, pushes, or builds. Whoever sets a tag decides what others run under it.",
    "binds": "Directories of the host that it mounts.",
    "networks": "Networks that it has not created, and joins or reads.",
    "subnets": "Subnets of the networks that it creates.",
    "volumes": "Volumes that it has not created, and mounts or reads.",
    "volumes_from_self": "It gives its own volumes to containers, and with them its identity.",
    "volume_servers": "Servers from which it mounts volumes by NFS.",
    "ports": "Ports of the host that it publishes.",
    "labels": "Labels on which tools of the host act.",
    "limits": "It asks for more than the preset gives.",
    "targets": "Containers of others that it reads or restarts.",
    "devices": "Devices that its containers use.",
    "verbs": "What it does to containers.",
    "restart": "Restart policies of its containers.",
    "build": "It builds images. What a build runs, no policy sees.",
    "cleanup": "From the present policy. No call says anything about it.",
}
"""Why a section is in a suggestion."""


def effective(preset: str, overrides: Mapping[str, Any], identity: str) -> Dict[str, Json]:
    """Return the sections of a policy after its overrides, as its file would write them."""
    found: Dict[str, Json] = {}
    for name in SECTIONS:
        default, given = PRESETS[preset].get(name), overrides.get(name)
        if given is not None and name in MERGED and isinstance(given, Mapping):
            given = {**(default or {}), **given}
        chosen = default if given is None else given
        if isinstance(chosen, (list, tuple)):
            chosen = [
                item.replace("{identity}", identity) if isinstance(item, str) else item for item in chosen
            ]
        if chosen is not None:
            found[name] = chosen
    return found


def title(call: LearnedCall) -> str:
    """Return a call in one line: ``POST /containers/{container}/start (its own)``."""
    route = ROUTES.get(call.route)
    if route is None:
        return call.detail or "An unknown call"
    objects = objects_of(call)
    return f"{route.method} {route.path}" + (f" ({', '.join(objects)})" if objects else "")


def objects_of(call: LearnedCall) -> List[str]:
    """Return what a call names, in words."""
    found = []
    for key, entry in call.objects.items():
        kind, _colon, name = key.partition(":")
        relation = str(entry.get("is", ""))
        if kind == "exec":
            continue
        if kind == "image":
            names = entry.get("names")
            found += [f"image {text}" for text in (names if isinstance(names, list) else [name])] or [
                "an image without a name"
            ]
        elif relation == FOREIGN:
            owner = "another wormhole's" if entry.get("owned") else "not its own"
            found.append(f"{kind} {name}, {owner}")
        elif relation == SELF:
            found.append(_WORDS[SELF])
        elif relation in _WORDS:
            found.append(f"{_WORDS[relation]} {kind}" if relation == OWN else f"a {kind} that does not exist")
    return list(dict.fromkeys(found))


def sentence(policy: Policy, deny: Deny) -> str:
    """Return why a recorded call is refused. It speaks to the administrator, so it names what is hidden."""
    if deny.code == "not_found":
        return f"{deny.problem}: the policy hides it from {policy.identity}."
    return render_refusal(policy, deny)


def render_yaml(suggestion: Suggestion, first: str, last: str) -> str:
    """Return a suggestion as YAML for the inventory, with a comment why for each section.

    Args:
        suggestion: the suggestion.
        first, last: the times of the first and the last call.
    """
    lines = [f"# Learned from {_number(suggestion.calls, 'call')} between {first} and {last}."]
    lines.append(f"policy: {suggestion.preset}")
    lines.append("# Next, warn: it refuses nothing yet, and reports what it would refuse. Then enforce.")
    lines.append("policy_mode: warn")
    if suggestion.overrides:
        lines.append("policy_overrides:")
        reasons = {reason.section: reason for reason in suggestion.reasons}
        for name, value in suggestion.overrides.items():
            lines += [f"  # {text}" for text in _why(name, value, reasons)]
            lines += _yaml(name, value, 2)
    if suggestion.hides:
        lines.append("# Lists and events show only what this wormhole has created.")
    if suggestion.refused:
        lines.append("# These calls stay refused. Only the policy unrestricted, which is root, allows them,")
        lines.append("# or an override that you have to choose yourself:")
        for counted, deny in suggestion.refused:
            text = f"{title(counted.call)}, {_number(counted.count, 'call')}: {deny.problem}"
            # A line break would end the comment.
            lines.append("# - " + "".join(mark if mark.isprintable() else "?" for mark in text))
    return "\n".join(lines) + "\n"


def _why(name: str, value: Json, reasons: Mapping[str, Reason]) -> List[str]:
    texts = [WHY.get(name, "It was needed.")]
    if value == "buildkit":
        texts.append("BuildKit can read and replace every image of the host: it is next to root.")
    reason = reasons.get(name)
    if reason is not None and reason.count:
        rows = [ROUTES[route] for route in reason.routes if route in ROUTES]
        shown = ", ".join(f"{row.method} {row.path}" for row in rows[:3])
        more = f", and {_number(len(rows) - 3, 'more route')}" if len(rows) > 3 else ""
        texts.append(f"{_number(reason.count, 'call')}: {shown}{more}")
    return texts


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _yaml(name: str, value: Json, depth: int) -> List[str]:
    """Render a value. Texts are quoted as JSON does, which is YAML, unless they are plain."""
    margin = " " * depth
    if isinstance(value, Mapping) and value:
        lines = [f"{margin}{_scalar(name)}:"]
        for key, item in value.items():
            lines += _yaml(key, item, depth + 2)
        return lines
    if isinstance(value, (list, tuple)) and value:
        lines = [f"{margin}{_scalar(name)}:"]
        for item in value:
            lines += _item(item, depth + 2)
        return lines
    return [f"{margin}{_scalar(name)}: {_scalar(value)}"]


def _item(value: Json, depth: int) -> List[str]:
    margin = " " * depth
    if isinstance(value, Mapping) and value:
        rows: Sequence[Tuple[str, Json]] = list(value.items())
        first, *rest = [f"{_scalar(key)}: {_scalar(item)}" for key, item in rows]
        return [f"{margin}- {first}", *(f"{margin}  {text}" for text in rest)]
    return [f"{margin}- {_scalar(value)}"]


_PLAIN_FIRST = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/"
_PLAIN = frozenset(_PLAIN_FIRST + "0123456789._-/")
_SPECIAL = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


def _scalar(value: Json) -> str:
    if (
        isinstance(value, str)
        and value
        and value[0] in _PLAIN_FIRST
        and _PLAIN.issuperset(value)
        and value.lower() not in _SPECIAL
    ):
        return value
    return json.dumps(value)
