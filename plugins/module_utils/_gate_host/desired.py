# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files, directories and units of a host with a gate."""

from __future__ import annotations

import hashlib
import posixpath

from .._gate import config, units
from .model import (
    CONFIG_MODE,
    DIRECTORY_MODE,
    POLICIES_MODE,
    PROGRAM_MODE,
    ROOT,
    UNIT_MODE,
    Directory,
    File,
)
from .spec import GateHostSpec

GROUP = units.USER
"""Group of the files that the gate reads, and that others need not."""
DIRECTORIES = {
    posixpath.dirname(units.PROGRAM): Directory(DIRECTORY_MODE),
    config.POLICIES: Directory(POLICIES_MODE, ROOT, GROUP),
}
MADE_WHEN_RUNNING = (units.STATE, units.RUNTIME, units.SOCKETS)
"""Directories that systemd makes for the service and for its sockets."""
VERSION = "WORMHOLE_GATE_VERSION"
"""Variable of the service's environment. It shows with which files a running service was started."""
UNITS = (units.SERVICE, units.DOOR, units.CERTIFICATE_SERVICE, units.CERTIFICATE_PATH)
"""The units of the gate itself. Those of the certificate exist only where the gate serves TLS."""
_SECTION = "\n[Service]\n"
_GROUPS = "SupplementaryGroups={}\n"


def started_units(spec: GateHostSpec) -> tuple[str, ...]:
    """The units that run, and that start at boot."""
    return (units.SERVICE, *((units.CERTIFICATE_PATH,) if spec.tls_directory else ()))


def file_paths() -> tuple[str, ...]:
    """Paths of all files of the gate itself."""
    return (units.PROGRAM, config.PATH, *map(units.unit_path, UNITS))


def desired_files(spec: GateHostSpec, socket_group: str) -> dict[str, File]:
    """The files of the gate, in the order in which they are installed.

    Args:
        socket_group: group of the engine's socket; empty if it is not known.
    """
    rendered = _render_units(spec, socket_group)
    return {
        units.PROGRAM: File(spec.program, PROGRAM_MODE),
        config.PATH: File(config.render_config(spec.config), CONFIG_MODE, ROOT, GROUP),
        **{units.unit_path(name): File(text, UNIT_MODE) for name, text in rendered.items()},
    }


def version_of(spec: GateHostSpec, socket_group: str) -> str:
    """A hash of all that the running service has read when it was started."""
    service = _render_service(spec, socket_group)
    parts = (spec.program, config.render_config(spec.config), service)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def without_version(text: str) -> str:
    """The text of the service without its version, which changes with the other files."""
    return "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith(f"Environment={VERSION}=")
    )


def read_version(environment: bytes) -> str:
    """The version in the environment of a process, as the kernel shows it; empty without one."""
    values = dict(entry.partition(b"=")[::2] for entry in environment.split(b"\0"))
    return values.get(VERSION.encode(), b"").decode(errors="replace")


def _render_units(spec: GateHostSpec, socket_group: str) -> dict[str, str]:
    version = f"Environment={VERSION}={version_of(spec, socket_group)}\n"
    service = _render_service(spec, socket_group)
    found = {
        units.SERVICE: service.replace(_SECTION, _SECTION + version, 1),
        units.DOOR: units.render_door(),
    }
    if spec.tls_directory:
        found[units.CERTIFICATE_SERVICE] = units.render_certificate_service()
        found[units.CERTIFICATE_PATH] = units.render_certificate_path(spec.tls_directory)
    return found


def _render_service(spec: GateHostSpec, socket_group: str) -> str:
    text = units.render_service(spec.config, memory=spec.memory)
    given = _GROUPS.format(units.ENGINE_GROUP)
    return text.replace(given, _GROUPS.format(socket_group or units.ENGINE_GROUP))
