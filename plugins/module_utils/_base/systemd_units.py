# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read unit files like systemd, and name drop-ins of ours that override all others.

Sources: systemd.unit(5), "drop-in"; systemd.socket(5), "ListenStream="; systemd.syntax(7).
"""

from __future__ import annotations

import posixpath
import re
from typing import Iterable, Iterator, Optional

from .address import SocketAddress

UNIT_DIRECTORY = "/etc/systemd/system"
MANAGED = (
    "# Managed by the Ansible module wormhole.docker.dockerd_listener, which undoes changes made here.\n"
)
_NAME = "wormhole-docker.conf"
_GUARD_NAME = "wormhole-docker-guard.conf"
CLOSED_REASON = "/run/wormhole-docker.closed"
"""Holds the reason while the guard of the listener keeps its TCP sockets closed."""


def in_order(paths: Iterable[str]) -> list[str]:
    """A unit's file and its drop-ins, in the order in which systemd applies them.

    Drop-ins are sorted by file name in any directory. Of files with the same name, the one for this
    unit applies before the one for all services, then the one in /etc, then the one in /run.
    """
    by_name: dict[str, str] = {}
    unit_files: list[str] = []
    for path in dict.fromkeys(paths):
        name = posixpath.basename(path)
        if not path.endswith(".conf"):
            unit_files.append(path)
        elif name not in by_name or _rank(path) < _rank(by_name[name]):
            by_name[name] = path
    return [*unit_files, *(by_name[name] for name in sorted(by_name))]


def _rank(path: str) -> tuple[bool, int]:
    tops = ("/etc/", "/run/", "/usr/local/")
    directory = posixpath.basename(posixpath.dirname(path))
    return "." not in directory[: -len(".d")], next(
        (i for i, top in enumerate(tops) if path.startswith(top)), len(tops)
    )


def assignments(content: str, section: str) -> list[tuple[str, str]]:
    """The keys and values in a section of a unit file, with continued lines joined.

    A comment inside a continued line is left out; the line goes on after it (systemd.syntax(7)).
    """
    found, current = [], ""
    for line in _logical_lines(content):
        header = re.fullmatch(r"\[([^\[\]]+)\]", line)
        key, separator, value = line.partition("=")
        if header:
            current = header.group(1)
        elif current == section and separator:
            found.append((key.strip(), value.strip()))
    return found


def _logical_lines(content: str) -> Iterator[str]:
    continued = ""
    for line in re.split(r"\r\n|[\n\r\0]", content.lstrip("\ufeff")):
        if line.lstrip().startswith(("#", ";")):
            continue
        line = continued + line
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            continued = line[:-1] + " "
        else:
            yield line.strip()
            continued = ""
    yield continued.strip()


def overridden_unit(path: str) -> str:
    """The unit of our override at this path; empty if the path is no override of ours."""
    return _unit_of(path, _NAME)


def guarded_unit(path: str) -> str:
    """The unit of our guard's drop-in at this path; empty if the path is none."""
    return _unit_of(path, _GUARD_NAME)


def override_path(unit: str, drop_ins: Iterable[str]) -> str:
    """The path for our override of a unit that sorts, and so applies, after its other drop-ins."""
    return _last_path(unit, drop_ins, _NAME)


def guard_path(unit: str, drop_ins: Iterable[str]) -> str:
    """The path for our guard's drop-in of a unit; like override_path()."""
    return _last_path(unit, drop_ins, _GUARD_NAME)


def _unit_of(path: str, ours: str) -> str:
    directory, name = posixpath.split(path)
    parent, unit = posixpath.split(directory)
    matches = parent == UNIT_DIRECTORY and unit.endswith(".d") and re.fullmatch("z*-" + re.escape(ours), name)
    return unit[: -len(".d")] if matches else ""


def _last_path(unit: str, drop_ins: Iterable[str], ours: str) -> str:
    last = max(map(posixpath.basename, drop_ins), default="")
    leading = len(last) - len(last.lstrip("z"))
    return f"{UNIT_DIRECTORY}/{unit}.d/{'z' * max(leading + 1, 2)}-{ours}"


def parse_stream(text: str) -> Optional[SocketAddress]:
    """The TCP endpoint that a value of ``ListenStream=`` names; None if it is something else."""
    text = text.strip()
    if text.isdigit():
        # A port alone stands for all addresses.
        return SocketAddress("::", int(text))
    address = SocketAddress.parse(text, 0)
    if address is None or not address.port or not re.fullmatch("[0-9a-fA-F:.]+(%.+)?", address.host):
        return None
    return address._replace(host=address.host.partition("%")[0])


def parse_listen(value: str) -> tuple[SocketAddress, ...]:
    """The TCP endpoints in a unit's property Listen, one ``172.17.0.1:2376 (Stream)`` a line."""
    streams = re.findall(r"^(\S+) \(Stream\)$", value, re.MULTILINE)
    return tuple(endpoint for endpoint in map(parse_stream, streams) if endpoint is not None)


def parse_paths(value: str) -> tuple[str, ...]:
    """The paths in a unit's property Listen, one ``/run/docker.sock (Stream)`` a line."""
    return tuple(re.findall(r"^(/.*) \(Stream\)$", value, re.MULTILINE))
