# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rejects options of the user that set what the wiring sets, unless both set the same value.

:mod:`wormhole.docker.wormhole_wiring_info` returns what the wiring sets. A task that repeats it is
valid.
"""

from __future__ import annotations

import posixpath
from typing import Any, Iterator, Mapping

from .._base.errors import InvalidInput
from .._base.labels import LABEL_PREFIX
from .._container.checks import mount_targets
from .._gate import units as gate_units
from . import program
from . import spec as wiring_spec
from .spec import RUNTIME, TLS, UNIX, WiringSpec
from .wire import Wiring


def reject_conflicts(spec: WiringSpec, wiring: Wiring, options: Mapping[str, Any]) -> None:
    """Reject options with another value than the wiring's.

    Args:
        spec: the specified wiring.
        wiring: what it sets.
        options: canonical values of the container's options, see :mod:`_container.options`.

    Raises:
        InvalidInput: the first conflict.
    """
    if spec.discover == RUNTIME:
        program.reject_variables(name for name in options.get("env", ()) if name not in wiring.env)
    conflict = next(_conflicts(spec, wiring, options), "")
    if conflict:
        problem = f"{conflict} is set by transport {spec.transport}"
        remedy = "Remove it from the task. For a container without access to its engine, use another module"
        raise InvalidInput(conflict, problem=problem, remedy=remedy)


def _conflicts(spec: WiringSpec, wiring: Wiring, options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.get("env", {}).items():
        reserved = name in wiring_spec.RESERVED_VARIABLES or name in wiring.env
        if reserved and wiring.env.get(name) != value:
            yield f"env {name}"
    reserved_targets = _targets(spec)
    own = {**options, "volumes": [item for item in options.get("volumes", ()) if item not in wiring.volumes]}
    for path in mount_targets(own):
        if posixpath.normpath(path) in reserved_targets:
            yield f"volumes {path}"
    for name, value in options.get("etc_hosts", {}).items():
        if wiring.etc_hosts.get(name, value) != value:
            yield f"etc_hosts {name}"
    for name, value in options.get("labels", {}).items():
        if name.startswith(LABEL_PREFIX) and wiring.labels.get(name) != value:
            yield f"labels {name}"


def _targets(spec: WiringSpec) -> set[str]:
    """Return the paths in the container that only the wiring mounts."""
    by_transport = {
        TLS: {spec.certificate_path},
        UNIX: {wiring_spec.SOCKET_TARGET, wiring_spec.SOCKET_DIRECTORY},
    }
    door = {posixpath.dirname(gate_units.socket_path(spec.identity))} if spec.gated else set()
    discovering = {program.DIRECTORY} if spec.discover == RUNTIME else set()
    return {spec.shared_directory, *by_transport.get(spec.transport, ()), *discovering, *door} - {""}
