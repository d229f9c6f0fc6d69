# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired access of an identity through the gate: its policy, and how it reaches the gate.

Whether a policy makes sense is checked on the controller, by :mod:`_policy.policy_file`. Modules do
not need the tables of policies, and do not have them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final, Mapping, Optional, Sequence

from .._base.errors import InvalidInput
from .._gate import places, units

UNRESTRICTED: Final = "unrestricted"
PRESETS = ("observe", "discover", "tend", "test", "ci", "compose", "update", UNRESTRICTED)
LEARN: Final = "learn"
WARN: Final = "warn"
ENFORCE: Final = "enforce"
MODES = (LEARN, WARN, ENFORCE)

_LONGEST_PATH = 107
"""Bytes in the path of a unix socket (unix(7))."""
_PARTS = ("policy_mode", "policy_overrides", "policy_until")

ARGUMENTS: Mapping[str, Any] = {
    "policy": {"type": "str", "choices": list(PRESETS)},
    "policy_mode": {"type": "str", "choices": list(MODES), "default": ENFORCE},
    "policy_overrides": {"type": "dict"},
    "policy_until": {"type": "str"},
}


@dataclass(frozen=True)
class AccessSpec:
    """An identity's policy.

    Attributes:
        identity: the identity.
        preset: name of the preset.
        mode: whether the gate refuses what the policy does not allow.
        overrides: sections that replace those of the preset, see :mod:`_policy.policy_file`.
        until: when mode ``learn`` ends; empty for never.
        door: whether the identity has a unix socket of its own.
        certificates: paths of the certificates that may use the policy by TLS.
    """

    identity: str
    preset: str = UNRESTRICTED
    mode: str = ENFORCE
    overrides: Mapping[str, Any] = field(default_factory=dict)
    until: str = ""
    door: bool = False
    certificates: tuple[str, ...] = ()

    @property
    def restricts(self) -> bool:
        """Whether the policy can refuse a call."""
        return self.preset != UNRESTRICTED

    @property
    def refuses(self) -> bool:
        """Whether calls that the policy does not allow are refused, and not only logged."""
        return self.restricts and self.mode == ENFORCE

    @property
    def document(self) -> dict[str, Any]:
        """The policy as in its file."""
        until = {"until": self.until} if self.until else {}
        own = {"identity": self.identity, "preset": self.preset, "mode": self.mode}
        # As JSON returns it, so that it equals what is read from the file.
        return {**own, "overrides": json.loads(json.dumps(dict(self.overrides))), **until}

    def same_policy(self, other: AccessSpec) -> bool:
        """Report whether two wormholes have the same policy, however they reach the gate."""
        return self.document == other.document


def parse_access(params: Mapping[str, Any], identity: str) -> Optional[AccessSpec]:
    """Parse the options of a policy, without the way to the gate.

    Returns:
        None if the task sets no policy.

    Raises:
        InvalidInput: options contradict each other, or the identity cannot have a policy.
    """
    preset = params.get("policy")
    if not preset:
        given = [name for name in _PARTS if params.get(name) and params[name] != ENFORCE]
        if given:
            problem = f"{given[0]} requires the option policy"
            raise InvalidInput(given[0], problem=problem, remedy="Set policy to the name of a preset")
        return None
    mode, until = params.get("policy_mode") or ENFORCE, params.get("policy_until") or ""
    if until and mode != LEARN:
        problem = f"policy_until requires policy_mode learn, and the task has {mode}"
        raise InvalidInput("policy_until", problem=problem, remedy="Remove policy_until from the task")
    if not places.is_identity(identity):
        subject = f"identity {identity}"
        problem = f"{subject} cannot have a policy: its name has characters other than letters, digits, _ . -"
        raise InvalidInput(subject, problem=problem, remedy="Choose another name with the option identity")
    return AccessSpec(identity, preset, mode, params.get("policy_overrides") or {}, until)


def reject_long(identity: str) -> None:
    """Reject an identity whose unix socket would have too long a path.

    Raises:
        InvalidInput: with the number of characters that it may have.
    """
    longest = _LONGEST_PATH - len(units.socket_path(""))
    if len(identity) > longest:
        subject = f"identity {identity}"
        problem = f"{subject} is too long for the path of its socket: it may have {longest} characters"
        raise InvalidInput(subject, problem=problem, remedy="Choose a shorter name with the option identity")


def render_policy(document: Mapping[str, Any], fingerprints: Sequence[str]) -> str:
    """Render the file of a policy, which :func:`_gate.identities.parse_identity` parses."""
    content = {"policy": dict(document), "certificates": sorted(set(fingerprints))}
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def read_policy(text: Optional[str]) -> Optional[tuple[dict[str, Any], tuple[str, ...]]]:
    """Return the policy and the fingerprints in a file; None if it is missing or malformed."""
    try:
        found = json.loads(text or "")
        policy, prints = found["policy"], found["certificates"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    valid = isinstance(policy, dict) and isinstance(prints, list) and all(isinstance(p, str) for p in prints)
    return (policy, tuple(prints)) if valid else None
