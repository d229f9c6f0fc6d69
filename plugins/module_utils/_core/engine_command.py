# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How systemd starts dockerd: the vendor's unit, an administrator's drop-ins, and one of ours that overrules these.

Sources: systemd.service(5), "ExecStart="; systemd.unit(5), "drop-in"; dockerd(8), "--host".
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Sequence

DROP_IN_DIRECTORY = "/etc/systemd/system/docker.service.d"
_DROP_IN = "wormhole-docker.conf"
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
    """

    running: str = "dockerd -H fd://"
    configured: str = "/usr/sbin/dockerd -H fd://"
    source: str = "/usr/lib/systemd/system/docker.service"
    drop_ins: tuple[str, ...] = ()
    override_path: str = ""
    override_text: str = ""


def cat_paths(text: str) -> tuple[str, ...]:
    """The files that ``systemctl cat`` prints, in the order in which they count; it names each in a comment."""
    return tuple(re.findall(r"^# (/\S+\.(?:service|conf))$", text, re.MULTILINE))


def parse_files(unit_files: Sequence[tuple[str, str]], running: str) -> EngineCommand:
    """Finds the line that counts.

    Args:
        unit_files: paths and contents of docker.service and its drop-ins, in the order in which they count.
        running: the running dockerd's command line.
    """
    configured, source, drop_ins, path_of_ours, text_of_ours = "", "", [], "", ""
    for path, content in unit_files:
        if is_override(path):
            path_of_ours, text_of_ours = path, content
            continue
        if path.endswith(".conf"):
            drop_ins.append(path)
        for value in _assignments(content, "Service", "ExecStart"):
            # An empty value takes back those before it; dockerd's service has no more than one.
            configured, source = value, path
    return EngineCommand(running, configured, source, tuple(drop_ins), path_of_ours, text_of_ours)


def is_override(path: str) -> bool:
    """Whether a drop-in is ours."""
    return posixpath.dirname(path) == DROP_IN_DIRECTORY and bool(
        re.fullmatch(r"z*-" + re.escape(_DROP_IN), posixpath.basename(path))
    )


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
    """Where our drop-in has to be, so that systemd reads it after every other one: they are sorted by file name."""
    last = max((posixpath.basename(path) for path in command.drop_ins), default="")
    leading = len(last) - len(last.lstrip("z"))
    return f"{DROP_IN_DIRECTORY}/{'z' * max(leading + 1, 2)}-{_DROP_IN}"


def render_override(command: EngineCommand) -> str:
    """A drop-in that starts dockerd as it is configured, but on systemd's sockets only."""
    program, _space, rest = re.sub(r"\s*" + _HOST_OPTION, "", command.configured).partition(" ")
    line = f"{program} -H {_SYSTEMD_SOCKETS} {rest}".rstrip()
    return (
        "# Managed by the Ansible module wormhole.docker.dockerd_listener, which undoes changes made here.\n"
        f"# Instead of the ExecStart in {command.source}, whose listeners it has adopted.\n"
        "[Service]\n"
        "ExecStart=\n"
        f"ExecStart={line}\n"
    )


def _assignments(content: str, section: str, key: str) -> list[str]:
    """The values of a key in a section of a unit file, continued lines joined (systemd.syntax(7))."""
    values, current = [], ""
    for line in re.sub(r"\\\n", " ", content).splitlines():
        header = re.fullmatch(r"\[(\w+)\]\s*", line.strip())
        if header:
            current = header.group(1)
        elif current == section and line.split("=", 1)[0].strip() == key and "=" in line:
            values.append(line.split("=", 1)[1].strip())
    return values
