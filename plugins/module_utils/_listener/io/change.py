# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Change the listener as one transaction, verify the result, and roll back if any part fails.

A journal holds what a rollback needs before anything is changed, so that a later run can undo the
change of a run that was killed. If the engine answers, the later run continues from what it finds.
If not, it restores the previous state first.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Callable, ContextManager, Mapping, Optional, Sequence

from ..._base.errors import ApplyFailed, Refused, VerificationFailed, WormholeError
from ..._base.io import files, systemd
from ..._base.plan import Plan
from ..._base.systemd_units import overridden_unit
from ..._engine import daemon_json
from ..._engine.port import EnginePort
from ..._firewall.io.openings import observe_firewall, set_openings
from ..._gate.units import SERVICE as GATE_UNIT
from ..._networks.io.interfaces import is_assigned
from .. import guard
from .. import model as listener
from .. import spec as listener_spec
from ..addresses import required_openings
from ..journal import Journal
from ..original_config import is_record_incomplete, strip_managed
from ..outlook import compute_outlook
from ..removal import Recover, RecoveryState
from ..units import UNIX_UNIT, is_engine_unit, parse_unix_paths, unit_path
from . import admission, containers, rollback
from .checks import check_gate, check_material, validate_config
from .guard import verify_guard
from .interruption import Interruption
from .observe import observe_listener
from .probe import ListenerProbe, verify_unix_socket
from .rollback import Notes, Rollback
from .transaction import Transaction, write_saved
from .units import closes_sockets, remove_units, write_units

_LOCK = "/run/wormhole-docker.lock"


class ListenerHost:
    """The listener of the host that this process runs on.

    Args:
        spec: the desired state.
        connect: opens the engine; called again after a restart.

    Attributes:
        lost: names of the containers that did not survive the restart in spite of live-restore, and
            were started again.
        undone: whether the change of an interrupted run was rolled back.
    """

    def __init__(self, spec: listener_spec.ListenerSpec, connect: Callable[[], EnginePort]) -> None:
        self._spec = spec
        self._connect = connect
        self._transaction = Transaction()
        self._rollback = Rollback(self._transaction, connect)
        self._interruption = Interruption()
        self._probe = ListenerProbe(spec)
        self._notes = Notes()
        self._restarted = False
        self._gate_reloaded = False
        self._started: tuple[str, ...] = ()
        self.lost: tuple[str, ...] = ()
        self.undone = False
        self._state: Optional[listener.ListenerState] = None

    def reserved(self) -> ContextManager[None]:
        """Waits until no other run changes the listener, and keeps others from doing so.

        A run whose controller died continues by itself; it is waited for too. After ten minutes,
        ApplyFailed names its process.
        """
        return files.locked(_LOCK)

    def observe(self) -> listener.ListenerState:
        """Reads the present state; changes nothing. See observe_listener."""
        state = observe_listener(
            self._spec,
            self._connect,
            self._probe,
            restarted=self._restarted or self._rollback.restarted,
            gate_reloaded=self._gate_reloaded,
        )
        if self._may_stop_containers(state):
            # One request for each container: not in a run that changes nothing.
            names = containers.ephemeral_containers(self._connect(), state.containers)
            state = replace(state, ephemeral=names)
        self._state = state
        return state

    def prepare(self) -> None:
        """Rolls an interrupted run back if the engine does not answer, or for a removal.

        A rollback that was interrupted is finished in any case. See Rollback.run for errors.
        """
        journal = self._transaction.open()
        if journal is None:
            return
        undo = not self._spec.present or rollback.parse_notes(journal.notes).going_back
        if undo or not rollback.engine_answers(self._connect):
            self._rollback.run(journal)
            self.undone = True

    def observe_recovery(self) -> RecoveryState:
        """Reads whether a run was interrupted, and whether the engine answers."""
        return RecoveryState(self._transaction.open() is not None, rollback.engine_answers(self._connect))

    def recover(self, plan: Plan[Recover]) -> None:
        """Rolls an interrupted run back. See Rollback.run for errors."""
        journal = self._transaction.open()
        if plan.actions and journal is not None:
            self._rollback.run(journal)

    def give_up(self, error: WormholeError) -> WormholeError:
        """Rolls an interrupted run back, which this one cannot continue; returns the error."""
        journal = self._transaction.open()
        return error if journal is None else self._roll_back(error)

    def apply(self, plan: Plan[listener.Action]) -> None:
        """Carries out a plan and verifies the result; rolls back if that fails.

        Raises:
            Refused: key or certificates of the server are missing or do not fit, the gate is not
                installed, or dockerd would not start with its configuration; nothing was changed.
            ApplyFailed: something failed; the message says whether the previous state is restored.
        """
        state = self._state or self.observe()
        addresses = self._addresses(state)
        try:
            if addresses:
                check_material(self._spec.directory, addresses)
            if addresses and self._spec.gate_tls:
                check_gate(self._spec.directory)
            for text in _configurations(plan, state):
                validate_config(text, state.command)
        except WormholeError as error:
            failure = self.give_up(error)
            if failure is error:
                raise
            raise failure from error
        notes = rollback.notes_before(state).as_json()
        self._notes = rollback.parse_notes(self._transaction.begin(_touched(plan, state), notes).notes)
        with self._interruption.watched():
            try:
                for action in plan.actions:
                    self._interruption.check()
                    self._perform(action)
                self._verify(state, addresses)
                self._interruption.check()
                self._end(state)
            except WormholeError as error:
                raise self._roll_back(error) from error
            except Exception as error:
                problem = f"The change of dockerd's listener failed with {type(error).__name__}: {error}"
                remedy = "This is a defect; please report it"
                failure = ApplyFailed("dockerd's listener", problem=problem, remedy=remedy)
                raise self._roll_back(failure) from error

    def _may_stop_containers(self, state: listener.ListenerState) -> bool:
        if not self._spec.present:
            return not state.live_restore
        try:
            return bool(compute_outlook(self._spec, state).interrupted)
        except Refused:
            return False

    def _addresses(self, state: listener.ListenerState) -> list[str]:
        if not self._spec.present:
            return []
        return [address for address, port in compute_outlook(self._spec, state).endpoints]

    def _note(self, notes: Notes) -> None:
        """Writes to the journal what this change is about to do."""
        self._notes = notes
        self._transaction.note(**notes.as_json())

    def _perform(self, action: listener.Action) -> None:
        steps: Mapping[type, Callable[[Any], None]] = {
            listener.WriteConfig: self._write_config,
            listener.WriteUnits: self._write_units,
            listener.RemoveUnits: self._remove_units,
            listener.EnableUnits: lambda step: systemd.enable(*step.names),
            listener.ReloadEngine: self._reload,
            listener.RestartEngine: self._restart,
            listener.AdmitWormholes: self._admit,
            listener.ReloadGate: self._reload_gate,
            listener.RestartUnits: lambda step: systemd.restart_units(*step.names),
            listener.SetFirewall: self._set_firewall,
            listener.StartContainers: lambda step: containers.start_again(self._connect(), step.containers),
            listener.EndTransaction: lambda step: None,
        }
        steps[type(action)](action)

    def _write_units(self, action: listener.WriteUnits) -> None:
        if closes_sockets(action):
            self._note(replace(self._notes, closed=True))
        write_units(action)

    def _remove_units(self, action: listener.RemoveUnits) -> None:
        if any(map(is_engine_unit, action.names)):
            self._note(replace(self._notes, closed=True))
        remove_units(action.names)

    def _set_firewall(self, action: listener.SetFirewall) -> None:
        self._note(replace(self._notes, firewall_changed=True))
        manager = self._state.firewall.manager if self._state else ""
        set_openings(manager, action.openings, action.restriction)

    def _restart(self, action: listener.RestartEngine) -> None:
        spares = bool(self._connect().info().get("LiveRestoreEnabled"))
        self._note(replace(self._notes, restarted=True, spares=spares))
        self._restarted = True
        systemd.stop(*action.stop)
        containers.remember_containers(action.containers)
        systemd.restart(listener_spec.ENGINE_UNIT)
        engine = rollback.wait_for_engine(self._connect)
        if self._state is not None:
            # live-restore keeps all others running.
            spared = tuple(name for name in self._state.containers if name not in action.containers)
            self.lost = containers.lost_containers(engine, spared)
        self._started = (*action.containers, *self.lost)
        containers.start_again(engine, self._started)
        self._adapt_firewall()

    def _adapt_firewall(self) -> None:
        """Corrects our openings after a restart: the engine may have moved bridges to another zone."""
        state = self._state
        if state is None or not state.firewall.manager or not self._spec.present:
            return
        outlook = compute_outlook(self._spec, state)
        wanted = required_openings(self._spec, outlook.topology) if self._spec.firewall == "open" else ()
        firewall = observe_firewall(wanted)
        needed = tuple(opening for opening in wanted if opening in firewall.needed)
        if set(needed) != set(firewall.opened) or firewall.leftover:
            self._set_firewall(listener.SetFirewall(needed, outlook.restriction))

    def _reload(self, _action: listener.ReloadEngine) -> None:
        """Makes dockerd read its configuration, and waits for the configured live-restore."""
        self._note(replace(self._notes, reloaded=True))
        systemd.reload(listener_spec.ENGINE_UNIT)
        config = daemon_json.parse_config(files.read_text(self._notes.config_path) or "")
        rollback.wait_for_live_restore(self._connect, bool(config.get("live-restore", False)))

    def _admit(self, action: listener.AdmitWormholes) -> None:
        self._note(replace(self._notes, admitted=tuple(a.identity for a in action.admissions)))
        admission.admit(action.admissions)

    def _reload_gate(self, _action: listener.ReloadGate) -> None:
        self._gate_reloaded = True
        systemd.reload_or_start(GATE_UNIT)

    def _write_config(self, action: listener.WriteConfig) -> None:
        path = action.path or self._notes.config_path
        if action.text is None:
            files.remove_file(path)
            return
        files.ensure_directory(os.path.dirname(path))
        entry = self._transaction.origin().files.get(path) if action.exact else None
        original = None if entry is None else entry.original
        if original is not None and original.content == action.text.encode():
            write_saved(path, original)
            return
        present = files.read_file(path)
        mode, uid, gid = (present.mode, present.uid, present.gid) if present else (0o644, 0, 0)
        files.write_file(path, action.text.encode(), mode=mode, uid=uid, gid=gid)

    def _verify(self, before: listener.ListenerState, addresses: list[str]) -> None:
        """Makes sure that engine and endpoints answer, and that restarted containers run."""
        self._connect().info()
        topology = before.after_restart or before.topology
        for address in addresses:
            if before.topology.find(address) is None and address not in self._spec.host_addresses:
                _check_assigned(address, before.config_file)
            self._interruption.check()
            self._probe.verify(address, addresses, topology)
        if addresses and self._spec.engine_tls:
            verify_guard(self._spec)
        if self._spec.present and self._spec.unix_socket:
            verify_unix_socket(self._spec.unix_socket)
        containers.verify_containers(self._connect(), self._started)

    def _end(self, before: listener.ListenerState) -> None:
        # The plan has started what an interrupted run stopped. A list without such names may be
        # left of that run.
        containers.forget_containers()
        if not (self._spec.present and self._spec.engine_tls):
            files.remove_file(guard.REASON)
        journal = self._transaction.open()
        previous = {} if journal is None else journal.files
        self._end_transaction(before, journal)
        for directory in {os.path.dirname(path) for path in previous if not os.path.exists(path)}:
            # A directory of drop-ins may have held the backup until now.
            if directory.endswith(".d"):
                files.remove_directory(directory)
        unix_unit = previous.get(unit_path(UNIX_UNIT))
        if unix_unit is not None:
            # systemd removes a socket, but not its directory.
            for path in parse_unix_paths(unix_unit.content.decode(errors="replace")):
                if path != self._spec.unix_socket or not self._spec.present:
                    files.remove_directory(os.path.dirname(path))

    def _end_transaction(self, before: listener.ListenerState, journal: Optional[Journal]) -> None:
        if not self._spec.present:
            self._transaction.forget()
            return
        spec, origin, config = self._spec, self._transaction.origin(), before.config_path
        incomplete = journal is None or is_record_incomplete(before, journal)
        self._transaction.commit(
            lambda path, content: strip_managed(spec, origin, config, path, content, incomplete)
        )

    def _roll_back(self, cause: WormholeError) -> ApplyFailed:
        """Restores the previous state; returns the error to raise, which says how that went."""
        try:
            journal = self._transaction.open()
            closed = ", ".join(_unmanaged_sockets(journal))
            if journal is not None:
                self._rollback.run(journal)
            outcome = "The previous configuration is restored and the engine answers"
            if closed:
                outcome += f". The TCP sockets of {closed} stay closed until the unit is started again"
        except (WormholeError, OSError) as error:
            outcome = f"THE PREVIOUS STATE COULD NOT BE RESTORED ({error}): this host needs attention now"
        remedy = f"{cause.remedy}. {outcome}" if cause.remedy else outcome
        return ApplyFailed(
            cause.subject, expected=cause.expected, found=cause.found, problem=cause.problem, remedy=remedy
        )


def _touched(plan: Plan[listener.Action], state: listener.ListenerState) -> list[str]:
    """The real paths of the files that a plan writes or removes."""
    paths_of: Mapping[type, Callable[[Any], Sequence[str]]] = {
        listener.WriteConfig: lambda action: [action.path or state.config_path],
        listener.WriteUnits: lambda action: [path for path, text in action.files],
        listener.RemoveUnits: lambda action: [unit_path(name) for name in action.names],
    }
    paths = [
        path for action in plan.actions if type(action) in paths_of for path in paths_of[type(action)](action)
    ]
    return list(dict.fromkeys(paths))


def _configurations(plan: Plan[listener.Action], state: listener.ListenerState) -> list[str]:
    """The contents of daemon.json that dockerd is going to read in the course of a plan.

    Before a restart this includes a file that the plan does not write: if dockerd rejects it,
    neither the change nor its rollback could start the engine.
    """
    writes = [action for action in plan.actions if isinstance(action, listener.WriteConfig)]
    written = [action.text for action in writes if not action.path]
    restarts = any(isinstance(action, listener.RestartEngine) for action in plan.actions)
    texts = written or ([state.config_text] if restarts else [])
    # A missing or blank file is an empty configuration.
    return [text for text in texts if text and text.strip()]


def _unmanaged_sockets(journal: Optional[Journal]) -> list[str]:
    """Socket units of others that a change has closed by a drop-in."""
    previous = {} if journal is None else journal.files
    created = [path for path, file in previous.items() if file is None and os.path.exists(path)]
    return sorted(unit for unit in set(map(overridden_unit, created)) if unit.endswith(".socket"))


def _check_assigned(address: str, config_file: str) -> None:
    if not is_assigned(address):
        problem = f"No interface has the address {address}, which docker0 should have by {config_file}"
        remedy = "Run the task again: it takes the address that docker0 has now"
        raise VerificationFailed(f"address {address}", problem=problem, remedy=remedy)
