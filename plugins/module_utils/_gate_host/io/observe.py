# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observes the gate of this host; changes nothing."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import re
from typing import Callable, Mapping, Optional

from ..._base.errors import WormholeError
from ..._base.io import files, systemd
from ..._base.labels import LABEL_ENGINE, LABEL_GATE, LABEL_TRANSPORT
from ..._base.systemd_units import UNIT_DIRECTORY
from ..._container.inspection import names_of
from ..._engine.port import EnginePort, Json
from ..._gate import config, units
from ..._gate.ending import Ending
from ..._gate.io import consulting
from .. import desired
from ..model import Directory, File, GateHostState, Unit, User
from ..spec import GateHostSpec

_PROPERTIES = ["LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", "MainPID"]
_JSON = ".json"
_TLS = re.compile(r"wormhole-gate-tls-")


def observe_gate_host(spec: GateHostSpec, connect: Callable[[], EnginePort]) -> GateHostState:
    """Reads the gate.

    Args:
        connect: opens the engine. It is asked only for a removal, if there is access to remove.

    Raises:
        WormholeError: something cannot be read, systemd or the engine does not answer.
    """
    # systemd shows no template, but its instances.
    shown = systemd.show_matching([name.replace("@.", "@*.") for name in desired.UNITS], _PROPERTIES)
    doors = _find_doors()
    policies = _find_policies()
    reachable = not spec.present and os.path.exists(spec.engine)
    asks = reachable and bool(doors or policies)
    siblings, unknown = _find_siblings() if reachable else ((), "")
    paths = desired.file_paths()
    return GateHostState(
        user=_read_user(),
        socket_group=_socket_group(spec.engine) if spec.present else "",
        files={path: file for path in paths for file in [_read_file(path)] if file is not None},
        directories=_read_directories(),
        units={name: _unit(name, shown) for name in desired.UNITS},
        running=_running_version(shown.get(units.SERVICE, {}).get("MainPID", "0")),
        doors=doors,
        policies=policies,
        leftovers=tuple(found for path in paths for found in files.leftovers(path)),
        users=_find_users(connect(), any(map(_TLS.match, doors))) if asks else (),
        siblings=siblings,
        unknown=unknown,
    )


def _find_siblings() -> tuple[tuple[Ending, ...], str]:
    """What a removal does to what wormholes have created; or why the program does not say it."""
    if not consulting.is_installed():
        return (), ""
    try:
        return consulting.clean_up(None, carry_out=False), ""
    except WormholeError as error:
        # A gate that does not work can be removed nevertheless.
        return (), str(error)


def _unit(name: str, shown: Mapping[str, Mapping[str, str]]) -> Unit:
    """What systemd says about a unit, or about the instances of a template."""
    prefix, _at, instances = name.partition("@.")
    found = [
        values
        for unit, values in shown.items()
        if unit == name or (instances and unit.startswith(prefix + "@"))
    ]
    return Unit(
        active=any(values.get("ActiveState") in ("active", "reloading") for values in found),
        enabled=any(values.get("UnitFileState") == "enabled" for values in found),
        stale=any(values.get("NeedDaemonReload") == "yes" for values in found),
    )


def _read_user() -> Optional[User]:
    try:
        found = pwd.getpwnam(units.USER)
    except KeyError:
        return None
    return User(found.pw_uid, _group(found.pw_gid))


def _owner(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _socket_group(path: str) -> str:
    try:
        return _group(os.stat(path).st_gid)
    except OSError:
        return ""


def _read_file(path: str) -> Optional[File]:
    found = files.read_file(path)
    if found is None:
        return None
    content = hashlib.sha256(found.content).hexdigest() if path == units.PROGRAM else found.text
    return File(content, found.mode, _owner(found.uid), _group(found.gid))


def _read_directories() -> dict[str, Directory]:
    found = {path: files.read_directory(path) for path in (*desired.DIRECTORIES, *desired.MADE_WHEN_RUNNING)}
    return {
        path: Directory(state.mode, _owner(state.uid), _group(state.gid))
        for path, state in found.items()
        if state is not None
    }


def _running_version(process: str) -> str:
    """The version of a process; empty if it has ended."""
    if process == "0":
        return ""
    try:
        with open(f"/proc/{process}/environ", "rb") as stream:
            return desired.read_version(stream.read())
    except OSError:
        return ""


def _find_doors() -> tuple[str, ...]:
    return tuple(sorted(filter(units.is_socket_unit, _names(UNIT_DIRECTORY))))


def _find_policies() -> tuple[str, ...]:
    names = _names(config.POLICIES)
    return tuple(sorted(name[: -len(_JSON)] for name in names if name.endswith(_JSON)))


def _names(directory: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return os.listdir(directory)
    return []


def _find_users(engine: EnginePort, serves_tls: bool) -> tuple[str, ...]:
    """The running containers with access: by a label of ours, or by the mount of a socket."""
    running = engine.containers(labels={}, running_only=True)
    return tuple(sorted(names_of(container)[0] for container in running if _is_user(container, serves_tls)))


def _is_user(summary: Json, serves_tls: bool) -> bool:
    labels = summary.get("Labels") or {}
    # A wormhole of another host's engine names it.
    if serves_tls and labels.get(LABEL_TRANSPORT) == "tls" and not labels.get(LABEL_ENGINE):
        return True
    if labels.get(LABEL_GATE) == "true":
        return True
    sources = [str(mount.get("Source") or "") for mount in summary.get("Mounts") or ()]
    return any(source == units.SOCKETS or source.startswith(units.SOCKETS + "/") for source in sources)
