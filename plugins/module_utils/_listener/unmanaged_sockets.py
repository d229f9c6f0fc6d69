# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Socket units that this collection does not manage and that hand TCP sockets to dockerd.

A drop-in of ours disables these sockets. It repeats everything that the unit listens on, except for
TCP. systemd closes the other sockets when it reads the drop-in, and dockerd closes them when it
restarts. docker.socket is never restarted, so that its unix socket keeps its inode for containers
that have mounted it (measured with systemd 252 and 257). A unit that listens on TCP only would be
empty, and systemd would not load it. Its drop-in adds a condition that is never met.

Sources: systemd.socket(5), "ListenStream="; systemd.unit(5), "Conditions and Asserts".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Sequence

from .._base import systemd_units
from .._base.address import SocketAddress

Endpoints = tuple[SocketAddress, ...]


@dataclass(frozen=True)
class UnmanagedSocket:
    """A socket unit that this collection does not manage.

    Attributes:
        configured: the TCP endpoints that its files name, without our drop-in.
        held: the TCP endpoints that systemd holds for it while it is active.
        sources: paths of the files that name TCP endpoints.
        others: everything else that it listens on, as keys and values of its files.
        drop_ins: paths of its drop-ins, without ours.
        override_path: path of our drop-in; empty for none.
        override_text: content of our drop-in.
        unclear: whether its files name something that only systemd can expand, such as ``%i``;
            configured then holds the endpoints of held.
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
        """Whether our drop-in disables its TCP sockets."""
        return bool(self.override_path and (self.configured or self.unclear))

    @property
    def endpoints(self) -> Endpoints:
        """All TCP endpoints that it names or holds."""
        return tuple(dict.fromkeys((*self.configured, *self.held)))


def serves(unit: str, unit_files: Sequence[tuple[str, str]], service: str) -> bool:
    """Whether a socket unit hands its sockets to a service; by default to that of its own name."""
    named = [unit.replace(".socket", ".service")]
    for _path, content in unit_files:
        named += [value for key, value in systemd_units.assignments(content, "Socket") if key == "Service"]
    return named[-1] == service


def parse_files(unit_files: Sequence[tuple[str, str]], held: Endpoints) -> UnmanagedSocket:
    """Parses the files of a socket unit.

    Args:
        unit_files: paths and contents of the unit's file and its drop-ins, in the order in which
            systemd reads them.
        held: the TCP endpoints that systemd holds for it.
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
            if key.startswith("Listen"):
                # An empty value removes everything before it, of all keys.
                listens = [*listens, (path, key, value)] if value else []
    others = [item for item in listens if item[1] != "ListenStream" or _is_local(item[2])]
    tcp = [(item[0], systemd_units.parse_stream(item[2])) for item in listens if item not in others]
    unclear = any(endpoint is None for _path, endpoint in tcp)
    named = [endpoint for _path, endpoint in tcp if endpoint is not None]
    return UnmanagedSocket(
        configured=tuple(dict.fromkeys([*named, *(held if unclear else ())])),
        held=held,
        sources=tuple(dict.fromkeys(path for path, _endpoint in tcp)),
        others=tuple((key, value) for _path, key, value in others),
        drop_ins=tuple(drop_ins),
        override_path=path_of_ours,
        override_text=text_of_ours,
        unclear=unclear,
    )


def render_override(socket: UnmanagedSocket) -> str:
    """Renders the drop-in that disables the unit's TCP sockets."""
    sources = ", ".join(socket.sources)
    head = f"{systemd_units.MANAGED}# Without the TCP sockets that are named in {sources}.\n"
    if not socket.others:
        return f"{head}[Unit]\nConditionPathExists=!/\n"
    listens = "".join(f"{key}={value}\n" for key, value in socket.others)
    return f"{head}[Socket]\nListenStream=\n{listens}"


def _is_local(value: str) -> bool:
    """Whether a stream is a unix socket or a vsock, and not TCP (systemd.socket(5))."""
    return value.startswith(("/", "@", "vsock:")) or bool(re.match("%[a-zA-Z]/", value))
