# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undo a change of the listener that failed, or that an earlier run did not finish.

The journal holds the previous files, and as notes what no file shows: the previous state of units,
containers and packet filter, and how far the change went. A rollback always restores files and unit
links. The notes, and whether the engine then answers, decide the rest:

===========================  ===============  ===================================================
The change has …             The engine …     The rollback …
===========================  ===============  ===================================================
written files only           answers          does nothing else to the engine
written files only           does not answer  restarts the engine
reloaded the engine          answers          sets live-restore to what it was, by a reload
reloaded the engine          does not answer  restarts the engine
closed sockets or restarted  either           stops the units whose files were changed, then
the engine                                    restarts the engine, which listens on the previous
                                              sockets again
changed the packet filter    either           sets the previous openings and restriction
begun a rollback             either           is finished by the next run before anything else
===========================  ===============  ===================================================

A restart keeps live-restore on while it is on, and a reload sets the previous value afterwards.
If the restart of the change or of the rollback ran without live-restore, all containers that ran
before are started. Otherwise only those are started that have failed since. Plaintext proxies that
were active are restarted in every case, sockets of the gate if the change has touched them.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Mapping, Optional

from ..._base.address import SocketAddress
from ..._base.errors import VerificationFailed, WormholeError
from ..._base.io import files, systemd
from ..._base.systemd_units import UNIT_DIRECTORY
from ..._engine import daemon_json
from ..._engine.port import EnginePort
from ..._firewall.io.openings import set_openings
from ..._firewall.model import Opening, Restriction
from .. import guard
from .. import model as listener
from ..journal import Journal
from ..spec import ENGINE_UNIT
from ..units import is_gate_unit, is_insecure, is_listener_unit, unit_path
from . import admission
from .containers import lost_containers, remember_containers, start_again
from .transaction import Transaction
from .units import unit_of, unlink_wants

_START_ATTEMPTS, _START_INTERVAL = 60, 0.5


@dataclass(frozen=True)
class PreviousUnit:
    """Whether a unit of the listener was enabled and active before the change."""

    enabled: bool = False
    active: bool = False


@dataclass(frozen=True)
class Notes:
    """What the journal holds in addition to files. The names are those in the file.

    Attributes:
        units: by name, the listener's units before the change.
        config_path: real path of the configuration file that dockerd reads.
        containers: names of the containers that ran, or that an interrupted run had stopped.
        live_restore: whether live-restore was on.
        manager: what managed the packet filter.
        openings: what it let through for the listener.
        restriction: what kept neighbours from the listener.
        closed: the change has closed sockets of the listener.
        reloaded: it has reloaded the engine.
        restarted: it has restarted the engine.
        spares: live-restore was on at that restart.
        firewall_changed: it has changed the packet filter.
        admitted: identities to which it has given a policy.
        going_back: a rollback has begun.
    """

    units: Mapping[str, PreviousUnit] = field(default_factory=dict)
    config_path: str = daemon_json.PATH
    containers: tuple[str, ...] = ()
    live_restore: bool = False
    manager: str = ""
    openings: tuple[Opening, ...] = ()
    restriction: Optional[Restriction] = None
    closed: bool = False
    reloaded: bool = False
    restarted: bool = False
    spares: bool = False
    firewall_changed: bool = False
    admitted: tuple[str, ...] = ()
    going_back: bool = False

    def as_json(self) -> dict[str, Any]:
        """The notes as the journal holds them."""
        openings = [[opening.interface, opening.address, opening.port] for opening in self.openings]
        lists = {"containers": [*self.containers], "admitted": [*self.admitted]}
        return {**asdict(self), **lists, "openings": openings}


def notes_before(state: listener.ListenerState) -> Notes:
    """The notes of a change that has not done anything yet."""
    return Notes(
        units={name: PreviousUnit(unit.enabled, unit.active) for name, unit in state.units.items()},
        config_path=state.config_path,
        containers=(*state.containers, *state.stranded),
        live_restore=state.live_restore,
        manager=state.firewall.manager,
        openings=state.firewall.opened,
        restriction=state.firewall.restriction,
    )


def parse_notes(data: Mapping[str, Any]) -> Notes:
    """Reads the notes of a journal; what is missing has not happened."""
    units: Mapping[str, Mapping[str, bool]] = data.get("units", {})
    flags = ("live_restore", "closed", "reloaded", "restarted", "spares", "firewall_changed", "going_back")
    return Notes(
        units={
            name: PreviousUnit(bool(unit.get("enabled")), bool(unit.get("active")))
            for name, unit in units.items()
        },
        # Earlier versions wrote no path, and changed no other file.
        config_path=str(data.get("config_path") or os.path.realpath(daemon_json.PATH)),
        containers=tuple(data.get("containers", ())),
        manager=str(data.get("manager", "")),
        openings=tuple(Opening(*opening) for opening in data.get("openings", ())),
        restriction=_parse_restriction(data.get("restriction")),
        admitted=tuple(data.get("admitted", ())),
        **{flag: bool(data.get(flag)) for flag in flags},
    )


def _parse_restriction(data: Optional[Mapping[str, Any]]) -> Optional[Restriction]:
    if not data:
        return None
    ports = tuple(SocketAddress(str(address), int(port)) for address, port in data["ports"])
    return Restriction(ports, tuple(data["bridges"]))


class Rollback:
    """Restores the previous state from a journal.

    Args:
        transaction: whose journal it is.
        connect: opens the engine; called again after a restart.

    Attributes:
        restarted: whether it has restarted the engine.
    """

    def __init__(self, transaction: Transaction, connect: Callable[[], EnginePort]) -> None:
        self._transaction = transaction
        self._connect = connect
        self.restarted = False

    def run(self, journal: Journal) -> None:
        """Restores the previous state and ends the transaction; a killed one may be repeated.

        Raises:
            WormholeError: a part could not be restored; the journal stays for the next run.
        """
        notes = parse_notes(journal.notes)
        with contextlib.suppress(WormholeError):
            # On a full disk this fails. The rollback itself needs no space.
            self._transaction.note(going_back=True)
        changed = {unit for unit in map(unit_of, journal.files) if is_listener_unit(unit)}
        self._restore_files(journal, notes, changed)
        answers = engine_answers(self._connect)
        spares = bool(self._connect().info().get("LiveRestoreEnabled")) if answers else notes.spares
        if notes.restarted or notes.closed or not answers:
            self._restart(notes, spares)
        elif notes.reloaded:
            self._reload(notes.config_path, notes.live_restore)
        if not os.path.exists(guard.PROGRAM):
            files.remove_file(guard.REASON)
        stopped = (notes.restarted and not notes.spares) or (self.restarted and not spares)
        self._restore_rest(notes, changed, stopped=stopped)
        self._transaction.abandon()

    def _restore_files(self, journal: Journal, notes: Notes, changed: set[str]) -> None:
        """Restores files and the links of units.

        Args:
            changed: units of the listener whose files the change has written or removed.
        """
        enabled = {name for name, unit in notes.units.items() if unit.enabled}
        for name in changed.union(notes.units) - enabled:
            unlink_wants(name)
        # First of all: a later step that fails must not keep the previous files from being
        # restored.
        self._transaction.restore_files()
        if notes.restarted or notes.closed:
            # The previous daemon.json may lack the TLS keys, and a reload may drop the guard. Sockets of
            # a guard without a drop-in do not start again.
            with contextlib.suppress(WormholeError):
                systemd.stop(*sorted(changed))
        else:
            # They hold what the change has opened, and no daemon-reload closes it.
            systemd.stop(*sorted(filter(is_gate_unit, changed)))
        if any(path.startswith(UNIT_DIRECTORY) for path in journal.files):
            systemd.daemon_reload()
        if notes.restarted or notes.closed:
            # After the reload, because an engine that systemd keeps trying to start would start
            # them again. Units that were not changed go on to listen, so that no client is
            # rejected.
            systemd.stop(*sorted(changed))
        systemd.enable(*sorted(name for name in enabled if os.path.exists(unit_path(name))))

    def _restart(self, notes: Notes, spares: bool) -> None:
        """Restarts the engine with its previous configuration; then turns live-restore off."""
        self.restarted = True
        turn_off = spares and not notes.live_restore
        if turn_off:
            _write_live_restore(notes.config_path, True)
        remember_containers(notes.containers)
        systemd.restart(ENGINE_UNIT)
        wait_for_engine(self._connect)
        if turn_off:
            self._reload(notes.config_path, False)

    def _reload(self, config_path: str, live_restore: bool) -> None:
        """Sets live-restore without a restart: a reload applies only keys that are in the file."""
        _write_live_restore(config_path, live_restore)
        systemd.reload(ENGINE_UNIT)
        wait_for_live_restore(self._connect, live_restore)
        self._transaction.restore_files()

    def _restore_rest(self, notes: Notes, changed: set[str], *, stopped: bool) -> None:
        """Restores containers, proxies, sockets of the gate and packet filter: all of them, also where
        one fails."""
        active = [name for name, unit in notes.units.items() if unit.active]
        proxies = [name for name in active if is_insecure(name) and name.endswith(".socket")]
        # The others of the gate were not stopped, and have clients.
        gates = [name for name in active if is_gate_unit(name) and name in changed]
        steps: list[Callable[[], None]] = [
            lambda: self._start_containers(notes.containers, stopped),
            lambda: systemd.restart_units(*sorted((*proxies, *gates))),
            lambda: admission.dismiss(notes.admitted),
        ]
        if notes.firewall_changed:
            steps.append(lambda: set_openings(notes.manager, notes.openings, notes.restriction))
        failures: list[WormholeError] = []
        for step in steps:
            try:
                step()
            except WormholeError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _start_containers(self, names: tuple[str, ...], stopped: bool) -> None:
        engine = self._connect()
        start_again(engine, names if stopped else lost_containers(engine, names))


def engine_answers(connect: Callable[[], EnginePort]) -> bool:
    """Whether the engine answers a request."""
    try:
        connect().info()
    except WormholeError:
        return False
    return True


def wait_for_engine(connect: Callable[[], EnginePort]) -> EnginePort:
    """Waits until the engine answers after a restart, and returns it.

    Without docker.socket, clients do not queue; and systemd waits for dockerd only in a service of
    ``Type=notify``.

    Raises EngineUnavailable if there is no answer within 30 s.
    """
    for _attempt in range(_START_ATTEMPTS):
        with contextlib.suppress(WormholeError):
            return connect()
        time.sleep(_START_INTERVAL)
    return connect()


def wait_for_live_restore(connect: Callable[[], EnginePort], desired: bool) -> None:
    """Waits until a reload takes effect: systemd only sends the signal.

    Raises VerificationFailed if live-restore has another value after 5 s.
    """
    for _attempt in range(50):
        if bool(connect().info().get("LiveRestoreEnabled")) == desired:
            return
        time.sleep(0.1)
    problem = f"{ENGINE_UNIT} was reloaded, but live-restore is not {'on' if desired else 'off'}"
    raise VerificationFailed(ENGINE_UNIT, problem=problem, remedy=f"See journalctl -u {ENGINE_UNIT}")


def _write_live_restore(path: str, value: bool) -> None:
    present = files.read_file(path)
    text, mode = (present.text, present.mode) if present else ("", 0o600)
    explicit = daemon_json.edit_keys(text, {"live-restore": value})
    if explicit != text:
        files.ensure_directory(os.path.dirname(path))
        files.write_file(path, explicit.encode(), mode=mode)
