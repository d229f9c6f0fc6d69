# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove the siblings of wormholes that have ended. What and when: :mod:`_gate.reaping`.

The engine's events tell when a wormhole starts or ends. Every minute, and whenever the engine has been
away, everything is looked at.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from dataclasses import replace
from typing import Optional

from ..._policy.decision import CONTAINER, IMAGE, Question
from ..._policy.policy import ENFORCE, UNRESTRICTED
from ..._policy.rules_images import runs_image
from ..found import parse_found, question_path
from ..limits import Limits
from ..reaping import (
    KINDS,
    Memory,
    Removed,
    Sibling,
    due_times,
    events_path,
    find_ended,
    find_forgotten,
    owners_path,
    parse_alive,
    parse_memory,
    parse_siblings,
    remember,
    removal_path,
    render_memory,
    siblings_path,
    stop_path,
    with_removed,
)
from .engine import Engine, EngineDown, render_request
from .journal import Journal
from .policies import Policies, Stamp
from .wire import Ended, TooSlow, Wire

_ENGINE_RUNS = "/run/docker.pid"
"""dockerd writes it when it starts, and removes it when it has stopped, unless its configuration names
another file."""
_LOOK = 60.0
"""Seconds between two looks at everything."""
_AGAIN = 1.0
"""Seconds until the engine is called again after it was away."""
_PAUSE = 0.2
"""Seconds after an event, so that several of them cause one look."""
_PATIENCE = 120.0
"""Seconds for a container that is stopped or removed."""
_LARGEST = 1 << 20


class Line(Engine):
    """The engine, by connections that are open already.

    An engine that stops closes its idle connections first. A new one would wait in docker.socket, and
    start the engine again.

    Attributes:
        sealed: whether no new connection is made.
    """

    def __init__(self, path: str, limits: Limits) -> None:
        super().__init__(path, limits)
        self.sealed = False

    def connect(self) -> Wire:
        """A new connection.

        Raises:
            EngineDown: the engine does not take any, or stops.
        """
        if self.sealed:
            raise EngineDown(503, "The engine stops.")
        return super().connect()

    def open(self) -> None:
        """Opens a connection, and makes no other.

        Raises:
            EngineDown: the engine does not take it.
        """
        self.ask("GET", "/_ping")
        self.sealed = True

    def end(self) -> None:
        """Closes all connections."""
        self.sealed = False
        while self._idle:
            self._idle.pop().close()

    def wait(self, stream: Wire, seconds: float) -> bool:
        """Waits for bytes of a stream; returns whether there are any.

        Raises:
            Ended: the engine closes its connections.
        """
        poll = select.poll()
        poll.register(stream.sock, select.POLLIN)
        idle = [wire.sock.fileno() for wire in self._idle]
        for number in idle:
            poll.register(number, select.POLLIN)
        ready = [number for number, _event in poll.poll(max(seconds, 0.001) * 1000)]
        if any(number in ready for number in idle):
            raise Ended
        return bool(ready)


class Reaper:
    """Removes siblings, in a thread of its own.

    Args:
        engine: the engine.
        policies: the policies, which say what is removed.
        journal: where each removal is reported.
        path: file in which what must be known after a restart is kept; empty for none.
    """

    def __init__(self, engine: Line, policies: Policies, journal: Journal, path: str = "") -> None:
        self._engine, self._policies, self._journal, self._path = engine, policies, journal, path
        self._memory = read_memory(path)
        self._written = self._memory
        self._since: dict[str, float] = {}
        self._cleaned: dict[str, float] = {}
        self._said: set[tuple[str, str]] = set()
        self._checked = self._has_file = False
        self._previous: Optional[Stamp] = None
        self._stopped = threading.Event()
        self._wire: Optional[Wire] = None

    def start(self) -> None:
        """Starts the thread."""
        threading.Thread(target=self.run, name="reaper", daemon=True).start()

    def stop(self) -> None:
        """Ends it, after the removal that is under way. From another thread."""
        self._stopped.set()
        wire = self._wire
        if wire is not None:
            wire.shut()

    def run(self) -> None:
        """Looks and removes until stop()."""
        while self._wait_for_engine():
            with contextlib.suppress(EngineDown, Ended, TooSlow):
                self._watch()
            self._stopped.wait(_AGAIN)

    def _wait_for_engine(self) -> bool:
        """Waits while the engine is stopped; returns whether to go on.

        To connect would start it (docker.socket), soon after its administrator has stopped it. While it
        stops, the file of its process is still the previous one.
        """
        deadline = time.monotonic() + _LOOK
        while not self._stopped.wait(0):
            stamp = _stamp_of(_ENGINE_RUNS)
            self._has_file = self._has_file or stamp is not None
            if stamp is not None and stamp != self._previous:
                return True
            if time.monotonic() > deadline and (stamp is not None or not self._has_file):
                return True
            self._stopped.wait(_AGAIN)
        return False

    def _watch(self) -> None:
        """Follows the engine's events until their stream ends."""
        target, stamp = events_path(), _stamp_of(_ENGINE_RUNS)
        self._wire, head = self._engine.call(
            "GET", render_request("GET", target, ()), _PATIENCE, lambda: not self._stopped.is_set()
        )
        try:
            if head.status != 200:
                raise EngineDown(502, f"The engine answers {target} with status {head.status}.")
            self._previous = stamp
            self._engine.open()
            # Containers start after the engine: the time of those that have not yet begins now.
            self._since.clear()
            # It may have ended between the creation of a container and its check.
            self._checked = False
            while not self._stopped.is_set():
                self._wait(self._wire, self.look())
        finally:
            # The engine waits some seconds for those who follow its events.
            self._wire.close()
            self._engine.end()

    def _wait(self, wire: Wire, seconds: float) -> None:
        if not wire.buffer and not self._engine.wait(wire, seconds):
            return
        # What the events say does not matter. All is looked at.
        self._stopped.wait(_PAUSE)
        wire.buffer = b""
        while (more := wire.receive_now()) is not None:
            if not more:
                raise Ended

    def look(self) -> float:
        """Looks at everything, and removes what is due; returns after how many seconds to look again.

        Raises:
            EngineDown: the engine does not answer.
        """
        registry = self._policies.current()
        if not self._policies.is_readable():
            # Otherwise all identities would seem to have lost their policies.
            return _LOOK
        alive = parse_alive(self._engine.ask_json(owners_path()))
        owners = remember(self._memory.owners, registry, alive)
        ended = find_ended(owners, registry, alive)
        gone = find_forgotten(owners, registry, ended)
        self._memory = replace(
            self._memory, owners={name: owners[name] for name in owners if name not in gone}
        )
        now = time.monotonic()
        self._since = {name: self._since.get(name, now) for name in ended - gone}
        self._cleaned = {name: moment for name, moment in self._cleaned.items() if name in self._since}
        self._write()
        if not self._checked:
            self._check_new()
            self._checked = True
        for name, moment in sorted(self._due().items()):
            if now >= moment:
                self._clean_up(name)
        self._write()
        # Who has become due meanwhile comes at once.
        return max(min([*self._due().values(), now + _LOOK]) - time.monotonic(), 0.0)

    def _due(self) -> dict[str, float]:
        return due_times(self._memory.owners, self._since, self._cleaned, _LOOK)

    # --- removing ----------------------------------------------------------------------------------

    def _clean_up(self, identity: str) -> None:
        """Stops or removes the siblings of an identity; ends if its container is back."""
        mode, left = self._memory.owners[identity].mode, False
        for kind in KINDS if mode == "remove" else KINDS[:1]:
            document = self._engine.ask_json(siblings_path(kind, identity))
            for sibling in parse_siblings(kind, document, identity):
                if mode == "stop" and not sibling.running:
                    continue
                if self._stopped.is_set() or identity in parse_alive(self._engine.ask_json(owners_path())):
                    return
                left = not self._end(identity, sibling, mode) or left
        self._cleaned[identity] = time.monotonic()
        if not left and identity not in self._with_policy():
            owners = {name: owner for name, owner in self._memory.owners.items() if name != identity}
            self._memory = replace(self._memory, owners=owners)
            del self._since[identity]

    def _with_policy(self) -> set[str]:
        registry = self._policies.current()
        return {*registry.identities, *registry.problems}

    def _end(self, identity: str, sibling: Sibling, mode: str) -> bool:
        """Stops or removes one sibling; returns whether it is done."""
        if mode == "stop":
            status, action = self._call("POST", stop_path(sibling)), "stopped"
        else:
            status, action = self._call("DELETE", removal_path(sibling)), "removed"
        what = f"{sibling.kind} {sibling.name} of {identity}"
        if status in (200, 204):
            row = Removed(identity, sibling.kind, sibling.id, sibling.name, action, int(time.time()))
            self._memory = with_removed(self._memory, row)
            self._journal.note(identity, sibling.id, f"{action}: {what}, which has ended")
        elif status not in (304, 404) and (identity, sibling.id) not in self._said:
            self._said.add((identity, sibling.id))
            self._journal.note(identity, sibling.id, f"not {action}: {what}: the engine says {status}")
        return status < 400 or status == 404

    def _call(self, method: str, target: str) -> int:
        request = render_request(method, target, (), "Content-Length: 0")
        wire, head = self._engine.call(method, request, _PATIENCE)
        self._engine.read_body(wire, head, _LARGEST, _PATIENCE)
        return head.status

    # --- containers that nobody has checked --------------------------------------------------------

    def _check_new(self) -> None:
        """Checks the images of containers that have not been started.

        The gate checks the image of a container once more after the engine has created it. If the gate
        or the engine is killed in between, the container is left unchecked, and its client did not learn
        its ID.
        """
        for name, identity in self._policies.current().identities.items():
            policy = identity.policy
            if policy.mode != ENFORCE or policy.preset == UNRESTRICTED or policy.recreate:
                continue
            document = self._engine.ask_json(siblings_path(CONTAINER, name, "created"))
            for sibling in parse_siblings(CONTAINER, document, name):
                question = Question(IMAGE, sibling.image)
                path = question_path(question, name)
                image = parse_found(question, self._engine.ask_json(path)) if path is not None else None
                # An image that has lost its last name may have had one that is allowed.
                if image is None or not image.references or runs_image(policy, image):
                    continue
                if self._call("DELETE", removal_path(sibling)) == 204:
                    row = Removed(name, CONTAINER, sibling.id, sibling.name, "removed", int(time.time()))
                    self._memory = with_removed(self._memory, row)
                    self._journal.note(
                        name,
                        sibling.id,
                        f"removed: container {sibling.name} of {name}, whose image is not allowed",
                    )

    # --- the file ----------------------------------------------------------------------------------

    def _write(self) -> None:
        if not self._path or self._memory == self._written:
            return
        draft = f"{self._path}.new"
        try:
            with open(draft, "wb", opener=_private) as stream:
                stream.write(render_memory(self._memory))
            os.replace(draft, self._path)
        except OSError as error:
            if not any(name == "" for name, _problem in self._said):
                self._said.add(("", "state"))
                self._journal.say(f"{self._path} cannot be written: {error.strerror or error}.")
            return
        self._written = self._memory


def _stamp_of(path: str) -> Optional[Stamp]:
    """What changes when a file is written anew; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def read_memory(path: str) -> Memory:
    """Reads the file with what is remembered; without one, nothing is."""
    if not path:
        return Memory()
    try:
        with open(path, "rb") as stream:
            return parse_memory(stream.read(_LARGEST))
    except OSError:
        return Memory()
