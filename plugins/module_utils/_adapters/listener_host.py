# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener's change as one unit: secured, carried out, proved, and put back when any part of it fails.

What putting it back takes is in a journal before anything is touched, so that a later run can do it for one that was
killed. Whether that one goes on or goes back depends on the engine: where it answers, the next run goes on from what
it finds; where it does not, the former state comes first.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any, Callable, Iterator, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files, systemd
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.firewall import set_openings
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import is_assigned
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interruption import Interruption
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener import observe_listener
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener_checks import (
    check_material,
    validate_config,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener_containers import (
    forget_containers,
    lost_containers,
    prove_containers,
    remember_containers,
    start_again,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener_probe import (
    ListenerProbe,
    prove_unix_socket,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.transaction import Transaction
from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json, listener
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    ApplyFailed,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import Opening
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_plan import plan_endpoints
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_recovery import (
    Recover,
    RecoveryState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_removal import (
    is_record_incomplete,
    strip_our_part,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_units import (
    UNIX_UNIT,
    is_insecure,
    is_listener_unit,
    parse_socket_unit,
    parse_unix_paths,
    unit_path,
    wants_links,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._core.systemd_units import (
    UNIT_DIRECTORY,
    overridden_unit,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.transaction import (
    FormerFile,
    Journal,
    Origin,
)

_LOCK = "/run/wormhole-docker.lock"


class ListenerHost:
    """The listener of the host that this process runs on.

    Args:
        spec: what is asked for.
        connect: opens the engine; called again after a restart.
    """

    def __init__(self, spec: listener.ListenerSpec, connect: Callable[[], EnginePort]) -> None:
        self._spec = spec
        self._connect = connect
        self._transaction = Transaction()
        self._interruption = Interruption()
        self._probe = ListenerProbe(spec)
        self._restarted = False
        self._started: tuple[str, ...] = ()
        self.lost: tuple[str, ...] = ()
        """Containers that live-restore did not spare from the restart, and that were started again."""
        self._state: Optional[listener.ListenerState] = None

    @contextlib.contextmanager
    def reserved(self) -> Iterator[None]:
        """Keeps other runs away: one whose controller died goes on by itself, and is waited for."""
        with files.locked(_LOCK):
            yield

    def observe(self) -> listener.ListenerState:
        """Reads what is there; changes nothing.

        Raises:
            WormholeError: the engine or systemd does not answer, or an address is not of this host.
        """
        self._state = observe_listener(self._spec, self._connect, self._restarted, self._probe)
        return self._state

    def prepare(self) -> None:
        """Undoes what an interrupted run has left, if the engine does not run for it, or if all is to be undone.

        What was being undone when it was interrupted is undone to its end.

        Raises:
            ApplyFailed: it could not be undone.
        """
        journal = self._transaction.open()
        if journal is None:
            return
        if not self._spec.present or journal.notes.get("going_back") or not self._answers():
            self._restore(journal)

    def observe_recovery(self) -> RecoveryState:
        """Reads whether a change was not ended, and whether the engine answers all the same."""
        return RecoveryState(interrupted=self._transaction.open() is not None, answers=self._answers())

    def recover(self, plan: Plan[Recover]) -> None:
        """Puts the former state back.

        Raises:
            ApplyFailed: it could not be put back.
        """
        journal = self._transaction.open()
        if plan.actions and journal is not None:
            self._restore(journal)

    def give_up(self, error: WormholeError) -> WormholeError:
        """Undoes what an interrupted run has left, because this one cannot go on; adds that to its error."""
        journal = self._transaction.open()
        return error if journal is None else self._roll_back(error)

    def apply(self, plan: Plan[listener.Action]) -> None:
        """Carries out a plan; on failure gives back files and service.

        Raises:
            Refused: the server's key and certificates are not there or not right, or dockerd would not start with its
                configuration; nothing was touched.
            ApplyFailed: something failed; the message says whether the former state is back.
        """
        state = self._state or self.observe()
        addresses = self._addresses(state)
        try:
            if addresses:
                check_material(self._spec.directory, addresses)
            for text in _configurations(plan, state):
                validate_config(text)
        except WormholeError as error:
            failure = self.give_up(error)
            if failure is error:
                raise
            raise failure from error
        self._transaction.begin(self._touched(plan, state), _notes(state))
        with self._interruption.watched():
            try:
                for action in plan.actions:
                    self._interruption.check()
                    self._perform(action)
                self._prove(state, addresses)
                self._interruption.check()
                self._end(state)
            except WormholeError as error:
                raise self._roll_back(error) from error
            except Exception as error:
                failure = ApplyFailed(
                    "dockerd's listener",
                    expected="to be changed",
                    found=f"{type(error).__name__}: {error}",
                    remedy="This is a defect; please report it",
                )
                raise self._roll_back(failure) from error

    def _addresses(self, state: listener.ListenerState) -> list[str]:
        if not self._spec.present:
            return []
        return [address for address, port in plan_endpoints(self._spec, state)]

    def _touched(self, plan: Plan[listener.Action], state: listener.ListenerState) -> list[str]:
        """The real paths of the files that the plan writes or removes."""
        paths: list[str] = []
        for action in plan.actions:
            if isinstance(action, listener.WriteConfig):
                paths.append(state.config_path)
            elif isinstance(action, listener.WriteUnits):
                paths += [path for path, text in action.files]
            elif isinstance(action, listener.RemoveUnits):
                paths += [unit_path(name) for name in action.names]
        return list(dict.fromkeys(paths))

    def _perform(self, action: listener.Action) -> None:
        if isinstance(action, listener.WriteConfig):
            self._write_config(action)
        elif isinstance(action, listener.WriteUnits):
            if _closes_sockets(action):
                self._transaction.note(closed=True)
            _write_units(action)
        elif isinstance(action, listener.RemoveUnits):
            self._transaction.note(closed=True)
            _remove_units(action.names)
        elif isinstance(action, listener.EnableUnits):
            systemd.enable(*action.names)
        elif isinstance(action, listener.ReloadEngine):
            self._transaction.note(reloaded=True)
            self._reload()
        elif isinstance(action, listener.RestartEngine):
            self._restart(action)
        elif isinstance(action, listener.RestartUnits):
            systemd.restart_units(*action.names)
        elif isinstance(action, listener.SetFirewall):
            self._transaction.note(firewall_changed=True)
            set_openings(self._firewall_manager(), action.openings)
        elif isinstance(action, listener.StartContainers):
            start_again(self._connect(), action.containers)

    def _restart(self, action: listener.RestartEngine) -> None:
        self._transaction.note(restarted=True, spares=bool(self._connect().info().get("LiveRestoreEnabled")))
        self._restarted = True
        systemd.stop(*action.stop)
        remember_containers(action.containers)
        systemd.restart(listener.ENGINE_UNIT)
        engine = self._connect()
        if self._state is not None:
            # The others are those that live-restore spares.
            spared = tuple(name for name in self._state.containers if name not in action.containers)
            self.lost = lost_containers(engine, spared)
        self._started = (*action.containers, *self.lost)
        start_again(engine, self._started)

    def _reload(self) -> None:
        """Lets dockerd read its configuration, and waits until what it tells of itself is what that says."""
        systemd.reload(listener.ENGINE_UNIT)
        config = daemon_json.parse_config(_read_text(self._config_path()))
        self._wait_for_live_restore(bool(config.get("live-restore", False)))

    def _wait_for_live_restore(self, wanted: bool) -> None:
        # systemd only sends the signal; dockerd takes its time.
        for _attempt in range(50):
            if bool(self._connect().info().get("LiveRestoreEnabled")) == wanted:
                return
            time.sleep(0.1)
        raise VerificationFailed(
            listener.ENGINE_UNIT,
            expected=f"live-restore to be {'on' if wanted else 'off'} after a reload",
            found="that it is not",
            remedy=f"See journalctl -u {listener.ENGINE_UNIT}",
        )

    def _write_config(self, action: listener.WriteConfig) -> None:
        path = self._config_path()
        if action.text is None:
            files.remove_file(path)
            return
        directory = os.path.dirname(path)
        if not os.path.isdir(directory):
            files.make_directory(directory, mode=0o755)
        former: Optional[FormerFile] = None
        if action.exact:
            entry = self._transaction.origin().files.get(path)
            former = entry.former if entry else None
        if former is not None and former.content == action.text.encode():
            files.write_file(
                path,
                former.content,
                mode=former.mode,
                uid=former.uid,
                gid=former.gid,
                mtime_ns=former.mtime_ns,
            )
            return
        present = files.read_file(path)
        owner = (present.uid, present.gid) if present else (0, 0)
        mode = present.mode if present else 0o644
        files.write_file(path, action.text.encode(), mode=mode, uid=owner[0], gid=owner[1])

    def _prove(self, before: listener.ListenerState, addresses: list[str]) -> None:
        """Makes sure that the engine answers, serves what it should to whom it should, and that all containers run."""
        self._connect().info()
        topology = before.after_restart or before.topology
        for address in addresses:
            if before.topology.find(address) is None and address not in self._spec.host_addresses:
                _check_assigned(address)
            self._interruption.check()
            self._probe.prove(address, addresses, topology)
        if self._spec.present and self._spec.unix_socket:
            prove_unix_socket(self._spec.unix_socket)
        prove_containers(self._connect(), self._started)

    def _end(self, before: listener.ListenerState) -> None:
        # The plan starts those that are remembered and do not run; a memory of none is of an interrupted run's.
        forget_containers()
        origin, journal = self._transaction.origin(), self._transaction.open()
        paths = () if journal is None else tuple(journal.files)
        self._conclude(before, origin, journal)
        for directory in {os.path.dirname(path) for path in paths if not os.path.exists(path)}:
            # Of drop-ins; until now, it may have held the former file.
            if directory.endswith(".d"):
                files.remove_directory(directory)
        former = None if journal is None else journal.files.get(unit_path(UNIX_UNIT))
        if former is not None:
            # systemd leaves the directory of a socket, which is empty without it.
            for path in parse_unix_paths(former.content.decode(errors="replace")):
                if path != self._spec.unix_socket or not self._spec.present:
                    files.remove_directory(os.path.dirname(path))

    def _conclude(self, before: listener.ListenerState, origin: Origin, journal: Optional[Journal]) -> None:
        if not self._spec.present:
            self._transaction.forget()
            return
        incomplete = journal is None or is_record_incomplete(before, journal)
        self._transaction.commit(
            lambda path, content: strip_our_part(
                self._spec, origin, before.config_path, path, content, incomplete
            )
        )

    def _roll_back(self, cause: WormholeError) -> ApplyFailed:
        """Puts the former state back and tells how that went, as the error to raise."""
        try:
            journal = self._transaction.open()
            closed = ", ".join(_foreign_units(journal))
            if journal is not None:
                self._restore(journal)
            outcome = "The former configuration is back and the engine answers"
            if closed:
                outcome += f". What {closed} listened on by TCP stays closed until it is started anew"
        except (WormholeError, OSError) as error:
            outcome = f"THE FORMER STATE COULD NOT BE PUT BACK ({error}): look after this host now"
        remedy = f"{cause.remedy}. {outcome}" if cause.remedy else outcome
        return ApplyFailed(cause.subject, expected=cause.expected, found=cause.found, remedy=remedy)

    def _restore(self, journal: Journal) -> None:
        notes = journal.notes
        with contextlib.suppress(WormholeError):
            # On a full disk it cannot be noted; what comes now needs no room.
            self._transaction.note(going_back=True)
        former: Mapping[str, Any] = notes.get("units", {})
        changed = {unit for unit in map(_unit_of, journal.files) if is_listener_unit(unit)}
        touched = changed | set(former)
        enabled = [name for name in touched if former.get(name, {}).get("enabled")]
        for name in touched.difference(enabled):
            _unlink_wants(name)
        # Files that were written and not brought back would be lost if the rest failed: they come first.
        self._transaction.restore_files()
        rebind = notes.get("restarted") or notes.get("closed")
        if any(path.startswith(UNIT_DIRECTORY) for path in journal.files):
            systemd.daemon_reload()
        if rebind:
            # After the reload: an engine that systemd keeps trying to start would pull them in again. Those that were
            # not changed go on to listen, so that nobody is refused.
            systemd.stop(*sorted(changed))
        systemd.enable(*sorted(name for name in enabled if os.path.exists(unit_path(name))))
        answers = self._answers()
        spares = bool(self._connect().info().get("LiveRestoreEnabled") if answers else notes.get("spares"))
        if rebind or not answers:
            self._restart_former(notes, spares)
        elif notes.get("reloaded"):
            self._reload_former(bool(notes.get("live_restore")))
        # By the change's own restart, or by this one.
        stopped = bool(notes.get("restarted")) and not notes.get("spares")
        self._restore_rest(notes, interrupted=stopped or (self._restarted and not spares))
        self._transaction.abandon()

    def _restore_rest(self, notes: Mapping[str, Any], *, interrupted: bool) -> None:
        """What does not depend on each other: one failure is no reason to leave the rest."""
        former: Mapping[str, Any] = notes.get("units", {})
        proxies = [
            name
            for name, unit in former.items()
            if is_insecure(name) and name.endswith(".socket") and unit.get("active")
        ]
        steps: list[Callable[[], None]] = [
            lambda: self._start_former(tuple(notes.get("containers", ())), interrupted),
            lambda: systemd.restart_units(*sorted(proxies)),
        ]
        if notes.get("firewall_changed"):
            openings = [Opening(*opening) for opening in notes.get("openings", ())]
            steps.append(lambda: set_openings(str(notes.get("manager", "")), openings))
        failures: list[WormholeError] = []
        for step in steps:
            try:
                step()
            except WormholeError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _start_former(self, names: tuple[str, ...], interrupted: bool) -> None:
        engine = self._connect()
        # Where no restart has stopped them, one that has ended was through with what it had to do.
        start_again(engine, names if interrupted else lost_containers(engine, names))

    def _restart_former(self, notes: Mapping[str, Any], spares: bool) -> None:
        """Restarts the engine with its former configuration, and takes live-restore from it afterwards only."""
        self._restarted = True
        wanted = bool(notes.get("live_restore"))
        if spares and not wanted:
            self._write_live_restore(True)
        remember_containers(tuple(notes.get("containers", ())))
        systemd.restart(listener.ENGINE_UNIT)
        if spares and not wanted:
            self._reload_former(wanted)

    def _reload_former(self, live_restore: bool) -> None:
        """Switches live-restore back without a restart: dockerd heeds only keys that are there when it reloads."""
        self._write_live_restore(live_restore)
        systemd.reload(listener.ENGINE_UNIT)
        self._wait_for_live_restore(live_restore)
        self._transaction.restore_files()

    def _write_live_restore(self, value: bool) -> None:
        path = self._config_path()
        present = files.read_file(path)
        text = "" if present is None else present.content.decode(errors="replace")
        explicit = daemon_json.edit_keys(text, {"live-restore": value})
        if explicit != text:
            directory = os.path.dirname(path)
            if not os.path.isdir(directory):
                files.make_directory(directory, mode=0o755)
            files.write_file(path, explicit.encode(), mode=0o600 if present is None else present.mode)

    def _answers(self) -> bool:
        try:
            self._connect().info()
        except WormholeError:
            return False
        return True

    def _config_path(self) -> str:
        # Configuration management may keep the real file elsewhere; a rename must not replace the link to it.
        return os.path.realpath(daemon_json.PATH)

    def _firewall_manager(self) -> str:
        return self._state.firewall.manager if self._state else ""


def _configurations(plan: Plan[listener.Action], state: listener.ListenerState) -> list[str]:
    """What daemon.json says in the course of a plan, where dockerd is going to read it.

    Before a restart, it matters also if we do not write it: with one that dockerd rejects, going back would not start
    the engine either.
    """
    written = [action.text for action in plan.actions if isinstance(action, listener.WriteConfig)]
    restarts = any(isinstance(action, listener.RestartEngine) for action in plan.actions)
    texts = written or ([state.config_text] if restarts else [])
    # A missing or blank file is an empty configuration.
    return [text for text in texts if text and text.strip()]


def _notes(state: listener.ListenerState) -> dict[str, Any]:
    """What putting the former state back takes, besides the files."""
    return {
        "units": {
            name: {"enabled": unit.enabled, "active": unit.active} for name, unit in state.units.items()
        },
        "containers": [*state.containers, *state.stranded],
        "live_restore": state.live_restore,
        "manager": state.firewall.manager,
        "openings": [[o.interface, o.address, o.port] for o in state.firewall.opened],
    }


def _write_units(action: listener.WriteUnits) -> None:
    for path, text in action.files:
        if text is None:
            files.remove_file(path)
            files.remove_directory(os.path.dirname(path))
            continue
        directory = os.path.dirname(path)
        if not os.path.isdir(directory):
            files.make_directory(directory, mode=0o755)
        files.write_file(path, text.encode(), mode=0o644)
    systemd.daemon_reload()


def _remove_units(names: tuple[str, ...]) -> None:
    systemd.stop(*names)
    for name in names:
        _unlink_wants(name)
        files.remove_file(unit_path(name))
    systemd.daemon_reload()


def _closes_sockets(action: listener.WriteUnits) -> bool:
    """Whether systemd closes sockets of ours when it reads these files: it does not open them when it reads the former."""
    for path, text in action.files:
        present = _read_text(path)
        named = {*parse_socket_unit(present), *parse_unix_paths(present)}
        if is_listener_unit(_unit_of(path)) and named - {
            *parse_socket_unit(text or ""),
            *parse_unix_paths(text or ""),
        }:
            return True
    return False


def _foreign_units(journal: Optional[Journal]) -> list[str]:
    """Socket units of other people's that a change has closed."""
    former = {} if journal is None else journal.files
    units = {overridden_unit(path) for path, file in former.items() if file is None and os.path.exists(path)}
    return sorted(unit for unit in units if unit.endswith(".socket"))


def _unit_of(path: str) -> str:
    """The unit that a file, or a drop-in, is of; empty if it is of none."""
    directory, name = os.path.split(path)
    if directory == UNIT_DIRECTORY:
        return name
    parent, owner = os.path.split(directory)
    return owner[: -len(".d")] if parent == UNIT_DIRECTORY and owner.endswith(".d") else ""


def _unlink_wants(name: str) -> None:
    for path in wants_links(name):
        if os.path.islink(path):
            files.remove_file(path)
            files.remove_directory(os.path.dirname(path))


def _read_text(path: str) -> str:
    found = files.read_file(path)
    return "" if found is None else found.content.decode(errors="replace")


def _check_assigned(address: str) -> None:
    if not is_assigned(address):
        raise VerificationFailed(
            f"address {address}",
            expected="to be docker0's, now that the engine has been restarted",
            found="no interface that has it",
            remedy=f"Run again: dockerd has chosen another one than {daemon_json.PATH} let expect",
        )
