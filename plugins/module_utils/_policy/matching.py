# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which route a path is, as the engine's router finds it."""

from __future__ import annotations

import re
from typing import Dict, Mapping, NamedTuple, Optional, Tuple

from .decision import CONTAINER, EXEC, IMAGE, NETWORK, VOLUME, Refusal
from .routes import CEILING, FLOOR, ROOT_ONLY, ROOT_ONLY_ROUTES, ROUTES, Route
from .text import malformed

_VERSION = re.compile(r"/v([0-9]{1,2})\.([0-9]{1,3})(?=/)")
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}\Z"
REFERENCES = {
    CONTAINER: re.compile(_NAME),
    NETWORK: re.compile(_NAME),
    VOLUME: re.compile(_NAME),
    EXEC: re.compile(r"[0-9a-f]{64}\Z"),
    IMAGE: re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/-]{0,511}\Z"),
}
"""What a reference in a path may look like."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_RESERVED_OBJECTS = {
    ("services", ""): "service",
    ("tasks", ""): "task",
    ("nodes", ""): "node",
    ("secrets", ""): "secret",
    ("configs", ""): "config",
    ("plugins", "json"): "plugin",
}
"""Objects reserved for root, by the segments around their name."""


class _Template(NamedTuple):
    """A path with one reference: everything between its first segment and its end."""

    name: str
    kind: str
    known: bool


def _templates() -> Tuple[Dict[Tuple[str, str], str], Dict[Tuple[str, str, str], _Template]]:
    exact: Dict[Tuple[str, str], str] = {}
    open_: Dict[Tuple[str, str, str], _Template] = {}
    rows = [(route.method, route.path, route.name) for route in ROUTES.values()]
    for method, path, name in [*rows, *((method, path, "") for method, path in ROOT_ONLY_ROUTES)]:
        first, mark, rest = path[1:].partition("/{")
        if not mark:
            exact[method, path] = name
        else:
            kind, _brace, end = rest.partition("}")
            if "{" not in end:
                open_[method, first, end.rpartition("/")[2]] = _Template(name, kind, bool(name))
    return exact, open_


_EXACT, _OPEN = _templates()


def split_version(path: str) -> Tuple[str, str]:
    """Return the version in a path, empty if there is none, and the path without it.

    Raises:
        Refusal: a version that the tables do not describe.
    """
    match = _VERSION.match(path)
    if match is None:
        return "", path
    version = (int(match[1]), int(match[2]))
    if not FLOOR <= version <= CEILING or f"{version[0]}.{version[1]}" != match[0][2:]:
        raise Refusal(
            "version",
            f"This gate does not know version {match[1]}.{match[2]} of the Engine API",
            allowed=f"It knows {FLOOR[0]}.{FLOOR[1]} to {CEILING[0]}.{CEILING[1]}",
            status=400,
        )
    return match[0][2:], path[match.end() :]


def match_route(method: str, path: str) -> Tuple[Route, Mapping[str, str]]:
    """Return the route of a path without a version, and the references in the path.

    Raises:
        Refusal: unknown, reserved for root, or a malformed reference.
    """
    if method not in METHODS:
        raise Refusal("unknown_route", "The Engine API does not use this method", status=405)
    name = _EXACT.get((method, path))
    if name is not None:
        return ROUTES[name], {}
    segments = path.split("/")[1:]
    template, reference = _open_route(method, segments)
    if template is None:
        raise _no_route(method, segments)
    if not template.known:
        raise _reserved()
    if not REFERENCES[template.kind].match(reference):
        raise malformed(f"The path has no valid reference to {_a(template.kind)}")
    return ROUTES[template.name], {template.kind: reference}


def _open_route(method: str, segments: list[str]) -> Tuple[Optional[_Template], str]:
    """The engine's expressions are greedy: ``/images/a/b/json`` is the image ``a/b``."""
    first, last = segments[0], segments[-1]
    if len(segments) > 2:
        template = _OPEN.get((method, first, last))
        if template is not None:
            return template, "/".join(segments[1:-1])
    if len(segments) == 2 or (len(segments) > 2 and first == "images"):
        return _OPEN.get((method, first, "")), "/".join(segments[1:])
    return None, ""


def _no_route(method: str, segments: list[str]) -> Refusal:
    first = "/" + segments[0]
    kind = _RESERVED_OBJECTS.get((segments[0], "".join(segments[2:])))
    if method == "GET" and kind is not None and len(segments) > 1 and REFERENCES[NETWORK].match(segments[1]):
        # `docker inspect NAME` asks for objects of every kind. Only "not found" lets it go on, and say
        # in the end that there is no such object.
        return Refusal("not_found", f"{kind} {segments[1]} not found", status=404)
    if first in ROOT_ONLY or ("checkpoints" in segments[2:] and segments[0] == "containers"):
        return _reserved()
    return Refusal("unknown_route", f"This gate knows no {method} of this path")


def _reserved() -> Refusal:
    return Refusal("root_only", "This part of the Engine API is reserved for the host's administrator")


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aei' else 'a'} {kind}"
