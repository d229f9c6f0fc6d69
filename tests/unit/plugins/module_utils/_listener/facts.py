# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts with a listener as plain data, and the results of plans carried out on them."""

from __future__ import annotations

import dataclasses

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._base.systemd_units import UNIT_DIRECTORY
from ansible_collections.wormhole.docker.plugins.module_utils._engine import command as engine_command
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import FirewallState, Opening
from ansible_collections.wormhole.docker.plugins.module_utils._listener import guard
from ansible_collections.wormhole.docker.plugins.module_utils._listener.journal import (
    Journal,
    Origin,
    SavedFile,
    updated_origin,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import (
    ListenerState,
    RemoveUnits,
    RestartEngine,
    WriteConfig,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.original_config import (
    is_record_incomplete,
    strip_managed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.plan import plan_listener
from ansible_collections.wormhole.docker.plugins.module_utils._listener.removal import plan_removal
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import unit_path
from ansible_collections.wormhole.docker.plugins.module_utils._listener.unmanaged_sockets import (
    UnmanagedSocket,
)
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import Gateway, Topology
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.simulation import (
    simulate_listener,
)

DOCKER0 = Gateway("172.17.0.1", 4, "bridge", "docker0", "172.17.0.0/16")
CI = Gateway("172.18.0.1", 4, "ci", "br-1", "172.18.0.0/16")
CI_6 = Gateway("fd00::1", 6, "ci", "br-1", "fd00::/64")
NEW = Gateway("172.19.0.1", 4, "new", "br-2", "172.19.0.0/16")
TOPOLOGY = Topology((DOCKER0, CI, CI_6), ())
RESTARTED = Topology((dataclasses.replace(DOCKER0, address="10.1.0.1"), CI, CI_6), ())
"""As TOPOLOGY, but for the address that docker0 gets with a restart."""
NO_NETWORKS = Topology((), ())
VIRGIN = ListenerState(TOPOLOGY, config_missing=True, guard_shipped="the program")
UNIT = "wormhole-docker-172.17.0.1:2376.socket"

DOCKER_TCP = UnmanagedSocket(
    (SocketAddress("0.0.0.0", 2375),),
    (SocketAddress("0.0.0.0", 2375),),
    ("/etc/systemd/system/docker-tcp.socket",),
)
"""docker-tcp.socket, which listens on nothing else and is active."""
ADDED_STREAM = UnmanagedSocket(
    (SocketAddress("::", 2375),),
    (SocketAddress("::", 2375),),
    ("/etc/systemd/system/docker.socket.d/tcp.conf",),
    (("ListenStream", "/run/docker.sock"),),
    ("/etc/systemd/system/docker.socket.d/tcp.conf",),
)
"""docker.socket with a drop-in that adds TCP, and that systemd has read."""
ADMINS_DROP_IN = "/etc/systemd/system/docker.service.d/admin.conf"
ADOPTABLE = engine_command.EngineCommand(
    running="/usr/sbin/dockerd --debug -H tcp://172.17.0.1:2376",
    configured="/usr/sbin/dockerd --debug -H tcp://172.17.0.1:2376",
    source=ADMINS_DROP_IN,
    drop_ins=(ADMINS_DROP_IN,),
)


def planned(spec, state):
    """The plan for a spec, as the module chooses the planner."""
    return (plan_listener if spec.present else plan_removal)(spec, state)


def carried_out(spec, state):
    """The state after a run, recorded as ListenerHost does."""
    plan = planned(spec, state)
    after = simulate_listener(state, plan)
    if not spec.present:
        return dataclasses.replace(after, origin=Origin(), restarted=False, gate_reloaded=False)
    journal = Journal({path: _saved_file(state, path) for path in _touched(plan, state)})
    incomplete = is_record_incomplete(state, journal)
    origin = state.origin
    for path, before in journal.files.items():
        origin = updated_origin(
            origin,
            path,
            before,
            _content(after, path),
            lambda name, text: strip_managed(spec, state.origin, state.config_path, name, text, incomplete),
        )
    return dataclasses.replace(after, origin=origin, restarted=False, gate_reloaded=False)


def right(spec=None, state=VIRGIN):
    """A host in the state that a spec describes."""
    return carried_out(ListenerSpec() if spec is None else spec, state)


def with_unit(state, name=UNIT, **fields):
    """A host with other facts about one of our units."""
    units = {**state.units, name: dataclasses.replace(state.unit(name), **fields)}
    return dataclasses.replace(state, units=units)


def with_config(text, state=VIRGIN):
    """A host with this daemon.json."""
    return dataclasses.replace(state, config_text=text, config_missing=False)


def with_firewall(state, needed=(), opened=(), leftover=False):
    """A host with a firewall."""
    firewall = FirewallState("nftables", tuple(needed), tuple(opened), leftover)
    return dataclasses.replace(
        state, firewall=dataclasses.replace(firewall, restriction=state.firewall.restriction)
    )


def opening(gateway=DOCKER0, address="172.17.0.1", port=2376):
    """The opening for containers of a bridge."""
    return Opening(gateway.interface, address, port)


def codes(plan):
    return [reason.code for reason in plan.reasons]


def names(plan):
    """The names of a plan's actions."""
    return [type(action).__name__ for action in plan.actions]


def restart_of(plan):
    """The plan's restart of the engine; None for none."""
    found = [action for action in plan.actions if isinstance(action, RestartEngine)]
    assert len(found) <= 1, "never more than one"
    return found[0] if found else None


def _touched(plan, state):
    paths = []
    for action in plan.actions:
        if isinstance(action, WriteConfig):
            paths.append(state.config_path)
        elif isinstance(action, WriteUnits):
            paths += [path for path, text in action.files]
        elif isinstance(action, RemoveUnits):
            paths += [unit_path(name) for name in action.names]
    return list(dict.fromkeys(paths))


def _saved_file(state, path):
    content = _content(state, path)
    return None if content is None else SavedFile(content, 0o600, 7, 8, 9)


def _content(state, path):
    if path == state.config_path:
        return None if state.config_missing else state.config_text.encode()
    if engine_command.is_override(path):
        return state.command.override_text.encode() if state.command.override_path == path else None
    if path in (guard.PROGRAM, state.command.guard_path):
        text = state.guard_program if path == guard.PROGRAM else state.command.guard_text
        return None if text is None else text.encode()
    text = state.unit(path[len(UNIT_DIRECTORY) + 1 :]).text
    return None if text is None else text.encode()
