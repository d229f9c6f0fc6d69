# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit files as systemd reads them, and drop-ins of ours that overrule those of other people.

Sources: systemd.unit(5), "drop-in"; systemd.socket(5), "ListenStream="; systemd.syntax(7).
"""

from __future__ import annotations

import posixpath
import re
from typing import Iterable, Optional

UNIT_DIRECTORY = "/etc/systemd/system"
MANAGED = (
    "# Managed by the Ansible module wormhole.docker.dockerd_listener, which undoes changes made here.\n"
)
_NAME = "wormhole-docker.conf"


def in_order(paths: Iterable[str]) -> list[str]:
    """A unit's file and its drop-ins, in the order in which they count.

    Drop-ins are sorted by file name, wherever they are, and of one name that in /etc counts, else that in /run.
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


def _rank(path: str) -> int:
    return next((i for i, top in enumerate(("/etc/", "/run/")) if path.startswith(top)), 2)


def assignments(content: str, section: str) -> list[tuple[str, str]]:
    """The keys and values in a section of a unit file, continued lines joined."""
    found, current = [], ""
    for line in re.sub(r"\\\n", " ", content).splitlines():
        header = re.fullmatch(r"\[(\w+)\]\s*", line.strip())
        key, separator, value = line.partition("=")
        if header:
            current = header.group(1)
        elif current == section and separator and not line.lstrip().startswith(("#", ";")):
            found.append((key.strip(), value.strip()))
    return found


def overridden_unit(path: str) -> str:
    """The unit whose drop-in of ours a file is; empty if it is none."""
    directory, name = posixpath.split(path)
    parent, unit = posixpath.split(directory)
    ours = parent == UNIT_DIRECTORY and unit.endswith(".d") and re.fullmatch("z*-" + re.escape(_NAME), name)
    return unit[: -len(".d")] if ours else ""


def override_path(unit: str, drop_ins: Iterable[str]) -> str:
    """Where a drop-in of ours has to be, so that systemd reads it after every other one: they are sorted by file name.

    Args:
        unit: whose drop-in it is.
        drop_ins: paths of the others.
    """
    last = max(map(posixpath.basename, drop_ins), default="")
    leading = len(last) - len(last.lstrip("z"))
    return f"{UNIT_DIRECTORY}/{unit}.d/{'z' * max(leading + 1, 2)}-{_NAME}"


def parse_stream(text: str) -> Optional[tuple[str, int]]:
    """The TCP endpoint that a value of ``ListenStream=`` names; None if it is something else."""
    match = re.fullmatch(r"\[?([0-9a-fA-F:.]+)(?:%[^\]]+)?\]?:(\d+)", text.strip())
    if match:
        return match.group(1), int(match.group(2))
    # A port alone stands for all addresses.
    return ("::", int(text)) if text.strip().isdigit() else None


def parse_listen(value: str) -> tuple[tuple[str, int], ...]:
    """The TCP endpoints in the ``Listen`` property of a socket unit: ``172.17.0.1:2376 (Stream)``, one a line."""
    streams = re.findall(r"^(\S+) \(Stream\)$", value, re.MULTILINE)
    return tuple(endpoint for endpoint in map(parse_stream, streams) if endpoint is not None)
