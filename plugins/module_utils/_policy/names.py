# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of new objects, and patterns of names."""

from __future__ import annotations

import re
from typing import Iterable, Mapping, Sequence

from .._base.labels import LABEL_PREFIX
from .decision import Refusal
from .policy import Policy

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,127}\Z")
_HEXADECIMAL = re.compile(r"[0-9a-f]{4,64}\Z")
_SURE_LENGTH = 12
"""A short ID. Words of fewer letters, such as ``decade`` or ``facade``, are names."""
GRANTING_LABELS = (
    LABEL_PREFIX,
    "wormhole.",
    "traefik.",
    "caddy",
    "com.centurylinklabs.watchtower.",
    "wud.",
    "diun.",
    "autoheal",
    "com.docker.swarm.",
    "com.docker.stack.",
    "io.portainer.",
    "ofelia.",
)
"""Prefixes of labels on which other tools of the host act, often with the rights of root."""


def looks_like_id(name: str) -> bool:
    """Whether a name could be the beginning of an ID. Engines prefer a name to the beginning of an ID."""
    return bool(_HEXADECIMAL.match(name)) and (
        len(name) >= _SURE_LENGTH or any(character.isdigit() for character in name)
    )


def check_new_name(policy: Policy, kind: str, name: str) -> str:
    """Return the name of a new object.

    Raises:
        Refusal: malformed, like an ID, or in the part of the names that is not this identity's.
    """
    if not _NAME.match(name):
        raise Refusal(
            "name", f"The name of the new {kind} is malformed", allowed="Letters, digits, _ . and -"
        )
    if looks_like_id(name):
        raise Refusal("name", f"The name of the new {kind} looks like an ID", allowed="Use a word in it")
    if policy.names.prefix and not name.startswith(policy.names.prefix):
        raise Refusal(
            "name", f"The name {name} of the new {kind} is not one of this identity's",
            allowed=f"Names that begin with {policy.names.prefix}", setting="names",
        )  # fmt: skip
    if any(name.startswith(prefix) for prefix in policy.names.reserved):
        raise Refusal(
            "name", f"The name {name} of the new {kind} is reserved", allowed="Other names", setting="names"
        )
    return name


def match_name(patterns: Iterable[str], name: str) -> bool:
    """Whether a name matches a pattern, in which ``*`` is anything."""
    return any(_matches(pattern, name) for pattern in patterns)


def _matches(pattern: str, name: str) -> bool:
    return re.match(".*".join(map(re.escape, pattern.split("*"))) + r"\Z", name) is not None


def has_label(wanted: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Whether one of the labels is set: ``key``, or ``key=value``."""
    for text in wanted:
        key, mark, value = text.partition("=")
        if key in labels and (not mark or labels[key] == value):
            return True
    return False
