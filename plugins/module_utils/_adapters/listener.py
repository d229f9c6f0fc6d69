# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener on a real host: observed, and changed as one unit that is put back when any part of it fails."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable, Mapping, Optional, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files, systemd
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.daemon_config import (
    read_config_text,
    read_network_config,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import (
    can_listen,
    is_assigned,
    is_usable,
    observe_topology,
    port_holder,
    shared_listeners,
    sole_listeners,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener_checks import (
    check_material,
    engine_command_line,
    foreign_sockets,
    validate_config,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.probe import observe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.reachability import read_routes
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.x509 import read_certificate
from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json, listener
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import EndpointSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    ApplyFailed,
    EngineUnavailable,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import NamedAddress, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_plan import (
    is_adequate,
    plan_endpoints,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.network_config import (
    NetworkConfig,
    promised_names,
    topology_after_restart,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan

_WANTS = tuple(
    f"/etc/systemd/system/{unit}.wants/{listener.UNIT}" for unit in ("sockets.target", listener.ENGINE_UNIT)
)
_INTERRUPTED = "/run/wormhole-docker.interrupted"
"""Names of the containers that a restart stops, as JSON, for as long as they have not been started again.

In /run, because after a reboot nobody expects a container to run that has no restart policy.
"""
_ATTEMPTS = 4
"""Looks at an endpoint that is silent; each waits as long as EndpointSpec.timeout says."""
_PROOF_PATIENCE = 15.0
"""Seconds within which a restarted engine, which said that it is ready, has to take connections."""


@dataclass(frozen=True)
class _Snapshot:
    """What a roll-back needs: the two files (None: there was none), the unit's links, and who ran."""

    unit: Optional[files.FileState]
    config: Optional[files.FileState]
    enabled: bool
    containers: tuple[str, ...]


class ListenerHost:
    """The listener of the host that this process runs on.

    Args:
        spec: what is asked for.
        connect: opens the engine; called again after a restart.
    """

    def __init__(self, spec: listener.ListenerSpec, connect: Callable[[], EnginePort]) -> None:
        self._spec = spec
        self._connect = connect
        self._restarted = False
        self._promised: tuple[NamedAddress, ...] = ()
        # Configuration management may keep the real file elsewhere; a rename must not replace the link to it.
        self._config_path = os.path.realpath(daemon_json.PATH)

    def observe(self) -> listener.ListenerState:
        """Reads what is there; changes nothing.

        Raises:
            WormholeError: the engine or systemd does not answer, or an address is not of this host.
        """
        engine = self._connect()
        info = engine.info()
        topology = observe_topology(engine.networks())
        network_config = read_network_config(info)
        self._promised = promised_names(network_config)
        after_restart = _after_restart(topology, network_config, info)
        unit = files.read_file(listener.UNIT_PATH)
        shown = systemd.show(listener.UNIT, ["ActiveState", "NeedDaemonReload"])
        active = shown.get("ActiveState") == "active"
        pid = int(systemd.show(listener.ENGINE_UNIT, ["MainPID"]).get("MainPID") or 0)
        listening = shared_listeners(1, pid) if active else ()
        lingering = tuple(e for e in sole_listeners(pid, 1) if e[1] == self._spec.port)
        ours = [address for address, port in listening if port == self._spec.port]
        served, occupied = {}, {}
        for address in listener.candidate_addresses(self._spec, topology, after_restart):
            if address in ours:
                served[address] = self._served(address, ours, topology)
            elif not can_listen(address, self._spec.port):
                holder = port_holder(self._spec.port) or "another process"
                # What dockerd holds, or systemd while our unit is active, is ours, bound otherwise than it should be.
                if not holder.endswith((f"(pid {pid})", "(pid 1)" if active else f"(pid {pid})")):
                    occupied[address] = holder
        return listener.ListenerState(
            topology=topology,
            after_restart=after_restart,
            unit_text=None if unit is None else unit.content.decode(errors="replace"),
            enabled=all(os.path.islink(path) for path in _WANTS),
            active=active,
            stale=shown.get("NeedDaemonReload") == "yes",
            listening=listening,
            lingering=lingering,
            absent=tuple(address for address, port in (*listening, *lingering) if not is_assigned(address)),
            engine_arguments=engine_command_line(pid),
            foreign_sockets=foreign_sockets(),
            config_text=read_config_text(),
            served=served,
            occupied=occupied,
            containers=_interrupted_containers(engine, info),
            stranded=_stranded_containers(engine),
            restarted=self._restarted,
        )

    def apply(self, plan: Plan[listener.Action]) -> None:
        """Carries out a plan; on failure gives back files and service.

        Raises:
            Refused: the server's key and certificates are not there or not right; nothing was touched.
            ApplyFailed: something failed; the message says whether the former state is back.
        """
        state = self.observe()
        addresses = [address for address, port in plan_endpoints(self._spec, state)]
        check_material(self._spec.directory, addresses)
        snapshot = _Snapshot(
            unit=files.read_file(listener.UNIT_PATH),
            config=files.read_file(self._config_path),
            enabled=state.enabled,
            containers=(*state.containers, *state.stranded),
        )
        try:
            for action in plan.actions:
                self._perform(action)
            for address in addresses:
                if state.topology.find(address) is None:
                    _check_assigned(address)
                self._prove(address, addresses, state.after_restart or state.topology)
        except WormholeError as error:
            raise self._roll_back(snapshot, error) from error

    def _perform(self, action: listener.Action) -> None:
        if isinstance(action, listener.WriteConfig):
            self._write_config(action.text)
        elif isinstance(action, listener.WriteUnit):
            files.write_file(listener.UNIT_PATH, action.text.encode(), mode=0o644)
            systemd.daemon_reload()
        elif isinstance(action, listener.EnableUnit):
            systemd.enable(listener.UNIT)
        elif isinstance(action, listener.RestartEngine):
            self._restarted = True
            if action.rebind:
                systemd.stop(listener.UNIT)
            files.write_file(_INTERRUPTED, json.dumps(action.containers).encode(), mode=0o600)
            systemd.restart(listener.ENGINE_UNIT)
            _start_again(self._connect(), action.containers)
        elif isinstance(action, listener.StartContainers):
            _start_again(self._connect(), action.containers)

    def _write_config(self, text: str) -> None:
        present = files.read_file(self._config_path)
        directory = os.path.dirname(self._config_path)
        if not os.path.isdir(directory):
            files.make_directory(directory, mode=0o755)
        validate_config(text)
        owner = (present.uid, present.gid) if present else (0, 0)
        mode = present.mode if present else 0o644
        files.write_file(self._config_path, text.encode(), mode=mode, uid=owner[0], gid=owner[1])

    def _served(self, address: str, listening: Sequence[str], topology: Topology) -> str:
        """What a client without a certificate meets, as one of the SERVED constants.

        Silence is believed only when it lasts: a busy engine must not be restarted for being slow.

        Args:
            address: whose clients matter.
            listening: where else the same engine serves the same: asked where nobody can dial the address itself.
            topology: the host's Docker networks.
        """
        dialled = next((candidate for candidate in (address, *listening) if is_usable(candidate)), None)
        if dialled is None:
            # IPv6 gateways only, and no container at any of them: nobody meets anything. The next run that finds one
            # looks, and what this run issued is known to the plan by itself.
            return listener.SERVED_CURRENT
        for _attempt in range(_ATTEMPTS):
            served = self._look(address, dialled, topology)
            if served != listener.SERVED_SILENT:
                break
        return served

    def _look(self, address: str, dialled: str, topology: Topology) -> str:
        state = observe_endpoint(EndpointSpec(address=dialled, port=self._spec.port))
        if state.protocol == "plaintext":
            return listener.SERVED_PLAINTEXT
        if state.anonymous == "accepted":
            return listener.SERVED_TO_ANYONE
        if state.served is None or state.anonymous != "refused":
            return listener.SERVED_SILENT if state.tcp == "open" else listener.SERVED_NOTHING
        installed = files.read_file(f"{self._spec.directory}/cert.pem")
        if installed is None or self._trust_is_outdated():
            return listener.SERVED_OUTDATED
        facts, now = read_certificate(installed.content), datetime.now(timezone.utc)
        # Whether the other addresses are named is what their own clients meet, and is asked for them.
        adequate = is_adequate(state.served, facts, [address], topology, now, self._promised)
        return listener.SERVED_CURRENT if adequate else listener.SERVED_OUTDATED

    def _prove(self, address: str, addresses: Sequence[str], topology: Topology) -> None:
        deadline = time.monotonic() + _PROOF_PATIENCE
        while True:
            served = self._served(address, addresses, topology)
            if served == listener.SERVED_CURRENT:
                return
            if time.monotonic() > deadline:
                endpoint = listener.render_endpoint(address, self._spec.port)
                raise VerificationFailed(endpoint, expected=listener.SERVED_CURRENT, found=served)
            time.sleep(0.2)

    def _trust_is_outdated(self) -> bool:
        """Whether ca.pem, which no handshake shows, is younger than the engine, which reads it only at its start."""
        bundle = files.read_file(f"{self._spec.directory}/ca.pem")
        started = systemd.show(listener.ENGINE_UNIT, ["ExecMainStartTimestampMonotonic"])
        microseconds = int(started.get("ExecMainStartTimestampMonotonic") or 0)
        if bundle is None or not microseconds:
            return False
        start = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + microseconds / 1e6
        return bundle.mtime > start

    def _roll_back(self, snapshot: _Snapshot, cause: WormholeError) -> ApplyFailed:
        """Puts the former state back and tells how that went, as the error to raise."""
        try:
            self._restore(snapshot)
            outcome = "The former configuration is back and the engine answers"
        except (WormholeError, OSError) as error:
            outcome = f"THE FORMER STATE COULD NOT BE PUT BACK ({error}): look after this host now"
        remedy = f"{cause.remedy}. {outcome}" if cause.remedy else outcome
        return ApplyFailed(cause.subject, expected=cause.expected, found=cause.found, remedy=remedy)

    def _restore(self, snapshot: _Snapshot) -> None:
        if not snapshot.enabled and os.path.exists(listener.UNIT_PATH):
            systemd.disable(listener.UNIT)
        _put_back(listener.UNIT_PATH, snapshot.unit)
        _put_back(self._config_path, snapshot.config)
        if self._restarted:
            systemd.stop(listener.UNIT)
        systemd.daemon_reload()
        if self._restarted:
            systemd.restart(listener.ENGINE_UNIT)
        _start_again(self._connect(), snapshot.containers)


def _check_assigned(address: str) -> None:
    if not is_assigned(address):
        raise VerificationFailed(
            f"address {address}",
            expected="to be docker0's, now that the engine has been restarted",
            found="no interface that has it",
            remedy=f"Run again: dockerd has chosen another one than {daemon_json.PATH} let expect",
        )


def _put_back(path: str, former: Optional[files.FileState]) -> None:
    if former is None:
        files.remove_file(path)
    elif files.read_file(path) != former:
        files.write_file(path, former.content, mode=former.mode, uid=former.uid, gid=former.gid)


def _start_again(engine: EnginePort, names: tuple[str, ...]) -> None:
    """Starts the containers that a restart of the engine stopped and that no restart policy brought back."""
    failures = []
    for name in names:
        found = engine.find_container(name)
        if found is None:
            # It was created with --rm: the engine removed it when it stopped, as it would have at any other stop.
            continue
        if not found["State"]["Running"] and not found["State"]["Restarting"]:
            try:
                engine.start_container(name)
            except EngineUnavailable as error:
                failures.append(f"{name} ({error.found})")
    if failures:
        raise ApplyFailed(
            "containers that ran before the restart", expected="to run again", found=", ".join(failures)
        )
    files.remove_file(_INTERRUPTED)


def _stranded_containers(engine: EnginePort) -> tuple[str, ...]:
    journal = files.read_file(_INTERRUPTED)
    if journal is None:
        return ()
    found = {name: engine.find_container(name) for name in json.loads(journal.content)}
    return tuple(name for name, container in found.items() if container and not container["State"]["Running"])


def _interrupted_containers(engine: EnginePort, info: Mapping[str, Any]) -> tuple[str, ...]:
    return () if info.get("LiveRestoreEnabled") else _names(engine)


def _after_restart(topology: Topology, config: NetworkConfig, info: Mapping[str, Any]) -> Optional[Topology]:
    """The networks as a restart leaves them; None if it leaves them as they are.

    With live-restore, dockerd does not touch docker0 while a container uses its networks.
    """
    if topology.default is None or (info.get("LiveRestoreEnabled") and info.get("ContainersRunning")):
        return None
    taken = [
        route.destination
        for route in read_routes()
        if not route.is_default and route.interface != topology.default.interface
    ]
    expected = topology_after_restart(topology, config, taken)
    return None if expected == topology else expected


def _names(engine: EnginePort) -> tuple[str, ...]:
    running: list[dict[str, Any]] = engine.containers(labels={}, running_only=True)
    return tuple(sorted(container["Names"][0].lstrip("/") for container in running))
