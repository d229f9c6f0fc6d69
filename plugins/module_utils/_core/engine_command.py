# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How systemd starts dockerd: the vendor's unit, an administrator's drop-ins, and one of ours that overrules these.

Sources: systemd.service(5), "ExecStart="; systemd.unit(5), "drop-in"; dockerd(8), "--host".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._core import systemd_units

_UNIT = "docker.service"
_SYSTEMD_SOCKETS = "fd://"
_HOST_OPTION = r"""(?:^|(?<=\s))(?:-H(?:\s+|=)?|--host(?:\s+|=))("[^"]*"|'[^']*'|[^\s"']+)"""
_TLS_OPTION = r"(?:^|(?<=\s))(--tls[a-z]*)"


@dataclass(frozen=True)
class EngineCommand:
    """How dockerd is started.

    Attributes:
        running: the running dockerd's command line; empty if none runs.
        configured: the line ExecStart= that counts, without our drop-in, as it is written; variables are not
            expanded.
        source: path of the unit file or drop-in that has it.
        drop_ins: paths of the other drop-ins of docker.service.
        override_path: path of our drop-in; empty if there is none.
        override_text: its content.
        stale: systemd has not read the present files yet.
    """

    running: str = "dockerd -H fd://"
    configured: str = "/usr/sbin/dockerd -H fd://"
    source: str = "/usr/lib/systemd/system/docker.service"
    drop_ins: tuple[str, ...] = ()
    override_path: str = ""
    override_text: str = ""
    stale: bool = False


def parse_files(unit_files: Sequence[tuple[str, str]], running: str, stale: bool = False) -> EngineCommand:
    """Finds the line that counts.

    Args:
        unit_files: paths and contents of docker.service and its drop-ins, in the order in which they count.
        running: the running dockerd's command line.
        stale: systemd has not read these files yet.
    """
    configured, source, drop_ins, path_of_ours, text_of_ours = "", "", [], "", ""
    for path, content in unit_files:
        if is_override(path):
            path_of_ours, text_of_ours = path, content
            continue
        if path.endswith(".conf"):
            drop_ins.append(path)
        for key, value in systemd_units.assignments(content, "Service"):
            # An empty value takes back those before it; dockerd's service has no more than one.
            if key == "ExecStart":
                configured, source = value, path
    return EngineCommand(running, configured, source, tuple(drop_ins), path_of_ours, text_of_ours, stale)


def is_override(path: str) -> bool:
    """Whether a file is our drop-in of docker.service."""
    return systemd_units.overridden_unit(path) == _UNIT


def hosts_of(command: str) -> tuple[str, ...]:
    """The values of dockerd's options ``-H`` and ``--host`` on a command line."""
    return tuple(value.strip("\"'") for value in re.findall(_HOST_OPTION, command))


def tls_options_of(command: str) -> tuple[str, ...]:
    """The options on a command line that concern TLS, and that daemon.json may not contradict."""
    return tuple(re.findall(_TLS_OPTION, command))


def has_option(command: str, option: str) -> bool:
    """Whether a command line has an option, with or without a value."""
    return bool(re.search(r"(?:^|\s)" + re.escape(option) + r"(?:[\s=]|$)", command))


def takes_systemd_sockets(command: str) -> bool:
    """Whether dockerd takes the sockets that systemd hands it."""
    return any(host.startswith(_SYSTEMD_SOCKETS) for host in hosts_of(command))


def listens_otherwise(command: str) -> tuple[str, ...]:
    """What dockerd listens on besides what systemd hands it."""
    return tuple(host for host in hosts_of(command) if not host.startswith(_SYSTEMD_SOCKETS))


def override_path(command: EngineCommand) -> str:
    """Where our drop-in has to be."""
    return systemd_units.override_path(_UNIT, command.drop_ins)


def render_override(command: EngineCommand) -> str:
    """A drop-in that starts dockerd as it is configured, but on systemd's sockets only."""
    program, _space, rest = re.sub(r"\s*" + _HOST_OPTION, "", command.configured).partition(" ")
    line = f"{program} -H {_SYSTEMD_SOCKETS} {rest}".rstrip()
    return (
        f"{systemd_units.MANAGED}# Instead of the ExecStart in {command.source}, whose listeners it has adopted.\n"
        "[Service]\n"
        "ExecStart=\n"
        f"ExecStart={line}\n"
    )
