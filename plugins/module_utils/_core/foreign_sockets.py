# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Socket units of other people that hand dockerd TCP sockets, and what takes these out without touching their files.

A drop-in of ours names again all that such a unit listens on, but for TCP. systemd closes what a unit no longer names
when it reads its files again, and dockerd lets go of it when it is restarted; docker.socket itself is never restarted,
so that its unix socket keeps its inode for the containers that have mounted it (measured with systemd 252 and 257). Of
a unit that would have nothing left, which systemd does not load, the start is made to depend on a condition that is
never met.

Sources: systemd.socket(5), "ListenStream="; systemd.unit(5), "Conditions and Asserts".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._core import systemd_units

Endpoints = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ForeignSocket:
    """A socket unit of somebody else's.

    Attributes:
        configured: the TCP endpoints that its files name, without our drop-in.
        held: those that systemd has of it, because it is active.
        sources: paths of the files that name them.
        others: what else it listens on, as (key, value) of its files.
        drop_ins: paths of its drop-ins, without ours.
        override_path: path of our drop-in; empty if there is none.
        override_text: its content.
        unclear: its files name something that only systemd can tell, such as ``%i``; what it holds is in ``configured``.
    """

    configured: Endpoints = ()
    held: Endpoints = ()
    sources: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    drop_ins: tuple[str, ...] = ()
    override_path: str = ""
    override_text: str = ""
    unclear: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether our drop-in closes what it names."""
        return bool(self.override_path and (self.configured or self.unclear))

    @property
    def endpoints(self) -> Endpoints:
        """Where dockerd listens because of this unit, or would."""
        return tuple(dict.fromkeys((*self.configured, *self.held)))


def serves(unit: str, unit_files: Sequence[tuple[str, str]], service: str) -> bool:
    """Whether a socket unit hands its sockets to a service: to that of its own name, unless it says otherwise."""
    named = [unit.replace(".socket", ".service")]
    for _path, content in unit_files:
        named += [value for key, value in systemd_units.assignments(content, "Socket") if key == "Service"]
    return named[-1] == service


def parse_files(unit_files: Sequence[tuple[str, str]], held: Endpoints) -> ForeignSocket:
    """Reads what a socket unit listens on.

    Args:
        unit_files: paths and contents of the unit's file and its drop-ins, in the order in which they count.
        held: the TCP endpoints that systemd has of it.
    """
    listens: list[tuple[str, str, str]] = []
    drop_ins, path_of_ours, text_of_ours = [], "", ""
    for path, content in unit_files:
        if systemd_units.overridden_unit(path):
            path_of_ours, text_of_ours = path, content
            continue
        if path.endswith(".conf"):
            drop_ins.append(path)
        for key, value in systemd_units.assignments(content, "Socket"):
            if not key.startswith("Listen"):
                continue
            # An empty value takes back everything before it, whatever its key.
            listens = [*listens, (path, key, value)] if value else []
    others = [item for item in listens if item[1] != "ListenStream" or _is_local(item[2])]
    tcp = [
        (path, systemd_units.parse_stream(value))
        for path, key, value in listens
        if (path, key, value) not in others
    ]
    unclear = any(endpoint is None for _path, endpoint in tcp)
    named = [endpoint for _path, endpoint in tcp if endpoint is not None]
    return ForeignSocket(
        configured=tuple(dict.fromkeys([*named, *(held if unclear else ())])),
        held=held,
        sources=tuple(dict.fromkeys(path for path, _endpoint in tcp)),
        others=tuple((key, value) for _path, key, value in others),
        drop_ins=tuple(drop_ins),
        override_path=path_of_ours,
        override_text=text_of_ours,
        unclear=unclear,
    )


def _is_local(value: str) -> bool:
    """Whether a stream is a unix socket, with or without a path, or one between virtual machines (systemd.socket(5))."""
    return value.startswith(("/", "@", "vsock:")) or bool(re.match("%[a-zA-Z]/", value))


def render_override(socket: ForeignSocket) -> str:
    """A drop-in with which the unit listens on nothing by TCP."""
    head = (
        f"{systemd_units.MANAGED}# Without the TCP sockets that are named in {', '.join(socket.sources)}.\n"
    )
    if not socket.others:
        return f"{head}[Unit]\nConditionPathExists=!/\n"
    listens = "".join(f"{key}={value}\n" for key, value in socket.others)
    return f"{head}[Socket]\nListenStream=\n{listens}"
