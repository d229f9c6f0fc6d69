# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe units of the engine and of others that listen for it; write and remove the listener's."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import grp
import os
import stat
from dataclasses import dataclass
from typing import Mapping

from ..._base import systemd_units
from ..._base.errors import EngineUnavailable, Refused
from ..._base.io import files, systemd
from ..._base.io.unit_files import read_unit_files
from ..._engine import command as engine_command
from ..._engine.io import command as read_engine
from .. import model as listener
from .. import unmanaged_sockets
from ..spec import ENGINE_UNIT, STOCK_UNIT
from ..units import (
    SocketAccess,
    is_engine_unit,
    is_listener_unit,
    is_template,
    parse_socket_unit,
    parse_unix_paths,
    unit_path,
    wants_links,
)
from .endpoints import listener_unit_files

_STOCK_SOCKET = "/run/docker.sock"
_PROPERTIES = [
    *read_engine.PROPERTIES,
    *("ActiveState", "TriggeredBy", "Requires", "Listen", "SocketMode", "SocketUser", "SocketGroup"),
]


@dataclass(frozen=True)
class ObservedUnits:
    """The units that concern the listener.

    Attributes:
        pid: process ID of dockerd.
        command: how dockerd is started.
        stock: access to the stock unix socket.
        managed: the listener's units, by name.
        unmanaged: by name, socket units of others that pass TCP sockets to dockerd, or would
            without our drop-ins.
    """

    pid: int
    command: engine_command.EngineCommand
    stock: SocketAccess
    managed: Mapping[str, listener.UnitState]
    unmanaged: Mapping[str, unmanaged_sockets.UnmanagedSocket]


def observe_units() -> ObservedUnits:
    """Reads the units.

    Raises:
        EngineUnavailable: docker.service does not run dockerd, or systemd does not answer.
        Refused: docker.service is masked, or a docker.socket that it requires.
    """
    on_disk = listener_unit_files()
    instances = [name for name in on_disk if not is_template(name)]
    texts = {name: files.read_text(unit_path(name)) for name in on_disk if is_template(name)}
    shown = systemd.show_units([ENGINE_UNIT, STOCK_UNIT, *instances], _PROPERTIES)
    engine, stock = shown[ENGINE_UNIT], shown[STOCK_UNIT]
    pid = int(engine.get("MainPID") or 0)
    if not pid:
        remedy = (
            "See systemctl status docker.service; an engine that is started in another way is not supported"
        )
        raise EngineUnavailable(ENGINE_UNIT, problem=f"{ENGINE_UNIT} does not run dockerd", remedy=remedy)
    refuse_masked(shown)
    triggers = engine.get("TriggeredBy", "").split()
    shown.update(systemd.show_units([unit for unit in triggers if unit not in shown], _PROPERTIES))
    # systemd still knows a unit whose file was removed, and holds its socket.
    managed = {name: _unit_state(name, shown[name]) for name in sorted(shown) if is_listener_unit(name)}
    unmanaged = _triggering_sockets({name: shown[name] for name in triggers if name not in managed})
    return ObservedUnits(
        pid=pid,
        command=read_engine.read_command(engine),
        stock=_stock_access(stock),
        managed={**managed, **{name: listener.UnitState(text) for name, text in texts.items()}},
        unmanaged={**unmanaged, **_closed_sockets({*unmanaged, *managed})},
    )


def _stock_access(shown: Mapping[str, str]) -> SocketAccess:
    """Who may use Docker's default socket: by docker.socket, or by the socket that dockerd made."""
    if shown.get("LoadState") == "loaded":
        return SocketAccess(
            mode=shown.get("SocketMode", "0660"),
            user=shown.get("SocketUser") or "root",
            group=shown.get("SocketGroup") or "root",
            active=shown.get("ActiveState") == "active",
        )
    # systemd shows a unit that does not exist with a socket for everybody.
    with contextlib.suppress(OSError, KeyError):
        found = os.stat(_STOCK_SOCKET)
        group = grp.getgrgid(found.st_gid).gr_name
        return SocketAccess(f"{stat.S_IMODE(found.st_mode) & 0o660:04o}", "root", group, active=False)
    return SocketAccess(group="root", active=False)


def _triggering_sockets(
    shown: Mapping[str, Mapping[str, str]],
) -> dict[str, unmanaged_sockets.UnmanagedSocket]:
    """Of the units that trigger the engine, those that concern TCP."""
    found = {}
    for name, properties in shown.items():
        active = properties.get("ActiveState") == "active"
        held = systemd_units.parse_listen(properties.get("Listen", "")) if active else ()
        socket = unmanaged_sockets.parse_files(read_unit_files(name, properties), held)
        if socket.endpoints or socket.override_path:
            found[name] = socket
    return found


def _closed_sockets(known: set[str]) -> dict[str, unmanaged_sockets.UnmanagedSocket]:
    """The units that our drop-ins close; systemd no longer lists them as triggers of the engine."""
    paths = glob.glob(f"{systemd_units.UNIT_DIRECTORY}/*.socket.d/*.conf")
    names = {systemd_units.overridden_unit(path) for path in paths} - known - {""}
    found = {}
    for name, shown in systemd.show_units(sorted(names), _PROPERTIES).items():
        unit_files = read_unit_files(name, shown)
        socket = unmanaged_sockets.parse_files(unit_files, ())
        has_file = any(not path.endswith(".conf") for path, _content in unit_files)
        if not has_file or not unmanaged_sockets.serves(name, unit_files, ENGINE_UNIT):
            # The unit was removed, or does not serve the engine: there is nothing to close.
            socket = dataclasses.replace(socket, configured=(), unclear=False)
        found[name] = socket
    return found


def refuse_masked(shown: Mapping[str, Mapping[str, str]]) -> None:
    """Raises Refused if docker.service is masked, or a docker.socket that it requires."""
    required = STOCK_UNIT in shown.get(ENGINE_UNIT, {}).get("Requires", "").split()
    needed = (ENGINE_UNIT, STOCK_UNIT) if required else (ENGINE_UNIT,)
    masked = [unit for unit in needed if shown.get(unit, {}).get("LoadState") == "masked"]
    if masked:
        names = ", ".join(masked)
        problem = f"Masked units ({names}) keep dockerd from starting again, now or after a reboot"
        raise Refused(names, problem=problem, remedy=f"Run systemctl unmask {' '.join(masked)}")


def _unit_state(name: str, shown: Mapping[str, str]) -> listener.UnitState:
    drop_ins = {*shown.get("DropInPaths", "").split(), *glob.glob(f"{unit_path(name)}.d/*.conf")}
    return listener.UnitState(
        text=files.read_text(unit_path(name)),
        enabled=all(map(os.path.islink, wants_links(name))),
        active=shown.get("ActiveState") == "active",
        stale=shown.get("NeedDaemonReload") == "yes",
        drop_ins=tuple(filter(os.path.lexists, sorted(drop_ins))),
    )


def write_units(action: listener.WriteUnits) -> None:
    """Writes and removes unit files and drop-ins, then makes systemd read them."""
    for path, text in action.files:
        directory = os.path.dirname(path)
        if text is None:
            files.remove_file(path)
            files.remove_directory(directory)
        else:
            files.ensure_directory(directory)
            files.write_file(path, text.encode(), mode=0o644)
    systemd.daemon_reload()


def remove_units(names: tuple[str, ...]) -> None:
    """Stops units, removes their links and files, then makes systemd read the rest."""
    systemd.stop(*names)
    for name in names:
        unlink_wants(name)
        files.remove_file(unit_path(name))
    systemd.daemon_reload()


def unlink_wants(name: str) -> None:
    """Removes the links to a unit (``systemctl disable`` would need its file)."""
    for path in wants_links(name):
        if os.path.islink(path):
            files.remove_file(path)
            files.remove_directory(os.path.dirname(path))


def unit_of(path: str) -> str:
    """The name of the unit that a unit file or drop-in belongs to; empty for any other file."""
    directory, name = os.path.split(path)
    if directory == systemd_units.UNIT_DIRECTORY:
        return name
    parent, owner = os.path.split(directory)
    return owner[: -len(".d")] if parent == systemd_units.UNIT_DIRECTORY and owner.endswith(".d") else ""


def closes_sockets(action: listener.WriteUnits) -> bool:
    """Whether systemd closes a socket of dockerd's when it reads the new files.

    A daemon-reload closes what a file no longer names. It does not open it again when the previous
    file is restored.
    """
    return any(
        is_listener_unit(unit_of(path))
        and is_engine_unit(unit_of(path))
        and _sockets(files.read_text(path) or "") - _sockets(text or "")
        for path, text in action.files
    )


def _sockets(text: str) -> set[object]:
    return {*parse_socket_unit(text), *parse_unix_paths(text)}
