# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program: read the configuration, serve what the doors pass on, and obey root.

A reload reads policies and the certificate again, and ends the connections of those who have lost their
access: it is requested over the control socket, or by SIGHUP. SIGTERM ends the program after the running
calls.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

from ..._base.errors import InvalidInput
from ..._policy.policy_file import parse_policy
from ..config import COPIES, MALFORMED_STATUS, PATH, GateConfig, parse_config
from ..control import ADD, REMOVE, RUNTIME, Request
from ..identities import Identity, Peer, Registry
from ..places import RECORDS
from ..reaping import FILE_NAME
from ..units import STATE
from .control import Control, Listeners
from .deciding import Decider
from .engine import Engine
from .exchange import Parts
from .inquiry import Inquiry
from .journal import Journal
from .learning import Learning
from .policies import Policies
from .reaper import Line, Reaper
from .recorder import Recorder
from .secure import make_context
from .server import Server
from .session import Session
from .systemd import Notifier
from .wire import Wire

_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
_PROBER = "gate-watchdog"
_PROBE = b"POST /v1.44/containers/prune HTTP/1.1\r\nHost: gate\r\nContent-Length: 0\r\n\r\n"
_PROBE_SECONDS = 10.0
_TICK = 10.0
"""Seconds between two looks at the connections, without a watchdog."""


class Program:
    """The running gate.

    Args:
        config: its configuration.
        notifier: systemd.
        journal: where to log.
        runtime: directory of the control socket and of the copies of the certificate.
        state: directory for what must be known after a restart.
    """

    def __init__(
        self,
        config: GateConfig,
        notifier: Notifier,
        journal: Journal,
        runtime: str = RUNTIME,
        state: str = STATE,
    ) -> None:
        self._config, self._notifier, self._journal = config, notifier, journal
        self._runtime = runtime
        engine = Engine(config.engine, config.limits)
        policies = Policies(config.policies)
        inquiry = Inquiry(engine)
        decider = Decider(inquiry, config.limits.lookups)
        self._recorder = Recorder(os.path.join(state, RECORDS), journal.say, names=policies.names)
        learning = Learning(inquiry, self._recorder, config.limits.lookups)
        self._parts = Parts(config.limits, engine, inquiry, decider, policies, journal, learning)
        self._server = Server(self._parts)
        line, memory = Line(config.engine, config.limits), os.path.join(state, FILE_NAME)
        self._reaper = Reaper(line, policies, journal, memory)
        self._reloading = threading.Lock()
        self._said: set[tuple[str, str]] = set()

    def run(self) -> int:
        """Serves until SIGTERM; returns the exit status. Signals are blocked before it is called."""
        server = self._server
        self._load_certificate()
        self._say_problems(self._parts.policies.current())
        accepting = threading.Thread(target=server.run, daemon=True)
        accepting.start()
        self._recorder.start()
        control = Control(self._runtime, self.obey)
        control.start()
        self._reaper.start()
        self._say_ready()
        period = min(self._notifier.watchdog / 3, _TICK) if self._notifier.watchdog else _TICK
        while True:
            received = signal.sigtimedwait(_SIGNALS, period)
            if received is not None and received.si_signo != signal.SIGHUP:
                break
            if received is not None:
                self.reload()
            self._say_problems(self._parts.policies.current())
            server.cut_unwelcome(time.time())
            if accepting.is_alive() and self.decides():
                self._notifier.send("WATCHDOG=1")
        self._notifier.send("STOPPING=1")
        control.close()
        self._reaper.stop()
        server.stop(self._config.limits.drain_seconds)
        self._recorder.stop()
        return 0

    def obey(self, request: Request, listeners: Listeners) -> str:
        """Carries out a request of root or of a door; returns what is wrong, or an empty text."""
        if request.command == ADD:
            return "" if self._server.add(request.door, listeners) else "The gate is stopping."
        if request.command == REMOVE:
            return "" if self._server.remove(request.door) else "The gate is stopping."
        return self.reload()

    def reload(self) -> str:
        """Reads policies and the certificate again; returns what is wrong. Running calls go on."""
        with self._reloading:
            self._notifier.send("RELOADING=1")
            self._say_problems(self._parts.policies.reload())
            problem = self._load_certificate()
            self._server.cut_unwelcome(time.time())
            self._say_ready()
            return problem

    def decides(self) -> bool:
        """Whether a call of the gate's own is read, decided and refused, like one of a client."""
        ours, theirs = socket.socketpair()
        limits, engine, inquiry = self._parts.limits, self._parts.engine, _Offline(self._parts.engine)
        decider = Decider(inquiry, limits.lookups)
        quiet = Parts(limits, engine, inquiry, decider, _OnePolicy(), _Silent())
        thread = threading.Thread(target=Session(quiet, Wire(theirs), Peer(_PROBER)).serve, daemon=True)
        try:
            thread.start()
            ours.settimeout(_PROBE_SECONDS)
            ours.sendall(_PROBE)
            return ours.recv(64).startswith(b"HTTP/1.1 403 ")
        except (OSError, RuntimeError):
            return False
        finally:
            ours.close()

    def _load_certificate(self) -> str:
        """Takes the certificate as it is now. One that cannot be used leaves the previous one in use."""
        try:
            self._server.context = make_context(os.path.join(self._runtime, COPIES))
        except (OSError, ValueError) as error:
            problem = f"The certificate of the gate cannot be used: {error}."
            self._journal.say(problem)
            return problem
        return ""

    def _say_ready(self) -> None:
        served = "unix sockets" if self._server.context is None else "unix sockets and TLS"
        self._notifier.send(f"READY=1\nSTATUS=Serving {served}")

    def _say_problems(self, registry: Registry) -> None:
        for name, problem in sorted(set(registry.problems.items()) - self._said):
            self._journal.say(f"{name} has no access, because its policy is not valid: {problem}")
        self._said = set(registry.problems.items())


class _Silent(Journal):
    """Does not log the calls of the watchdog."""

    def __init__(self) -> None:
        super().__init__(-1)

    def _put(self, line: bytes) -> None:
        pass


class _OnePolicy(Policies):
    """The policy of the watchdog."""

    def __init__(self) -> None:
        policy = parse_policy({"identity": _PROBER, "preset": "observe"})
        self._only = Registry({_PROBER: Identity(policy)})

    def current(self) -> Registry:
        return self._only


class _Offline(Inquiry):
    """Facts for the watchdog, which must not depend on the engine."""

    def own_container(self, identity: str) -> str:
        return ""

    def version(self) -> str:
        return "1.44"


def main(arguments: list[str]) -> int:
    """Runs the gate; returns the exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    path = arguments[0] if arguments else PATH
    try:
        with open(path, "rb") as stream:
            config = parse_config(stream.read())
    except (OSError, InvalidInput) as error:
        sys.stderr.write(f"wormhole-gate: {path}: {error}\n")
        return MALFORMED_STATUS
    # Lets a thread that waits for the interpreter have it soon: answers are short (default 5 ms).
    sys.setswitchinterval(0.0005)
    runtime = os.environ.get("RUNTIME_DIRECTORY", RUNTIME)
    state = os.environ.get("STATE_DIRECTORY", STATE)
    return Program(config, Notifier(os.environ), Journal(), runtime, state).run()
