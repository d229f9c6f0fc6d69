# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof that a wormhole works: it is traversed from inside the container, as the container's own process
would.

What is checked needs nothing in the container's image: this process forks, joins the container's network
namespace, moves its root to the container's and takes the numbers of its user and groups. The identity is the one
that is mounted in the container, which the host may have replaced by another since.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Callable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.discovery import settle
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.namespaces import (
    call_in_network_namespace,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.probe import observe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.unix_ping import ping_socket
from ansible_collections.wormhole.docker.plugins.module_utils._core.diagnosis import diagnose
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import EndpointSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.layers import first_failure
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LAUNCH,
    RUNTIME,
    TLS,
    UNIX,
    WiringSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import is_running

Traverse = Callable[[int, WiringSpec, Wiring], None]

_CHILD_TIMEOUT = 10.0
_LOG_LINES = 10


class WormholeProver:
    """Decides whether a wormhole is proved.

    Args:
        engine: the engine that runs the container.
        traverse: goes through the wormhole once, and raises WormholeError if that fails; see
            :func:`traverse`.
        patience: seconds until a wormhole that cannot be traversed is given up.
        search: the same for one that looks its engine up at its start; the program for it ends after 30 seconds.
        settling: seconds that a container which was just started has to live.
        pause: seconds between two looks.
    """

    def __init__(
        self,
        engine: EnginePort,
        traverse: Traverse,
        *,
        patience: float = 5.0,
        search: float = 35.0,
        settling: float = 0.5,
        pause: float = 0.2,
    ) -> None:
        self._engine = engine
        self._traverse = traverse
        self._patience = patience
        self._search = search
        self._settling = settling
        self._pause = pause

    def prove(self, container: str, spec: WiringSpec, wiring: Wiring, just_started: bool) -> None:
        """Proves one wormhole.

        Args:
            container: ID of a container that should be running.
            spec, wiring: what it is wired by.
            just_started: whether it may need a moment, and has to be seen alive after it.

        Raises:
            VerificationFailed: it cannot be traversed, or the container does not keep running.
        """
        begin = time.monotonic()
        while True:
            found = self._running(container, just_started)
            try:
                self._traverse(int(found["State"]["Pid"]), spec, wiring)
                break
            except WormholeError as error:
                patience = self._search if spec.discover == RUNTIME else self._patience
                if not just_started or time.monotonic() - begin > patience:
                    raise _unproved(found, error) from error
            time.sleep(self._pause)
        while just_started and time.monotonic() - begin < self._settling:
            time.sleep(self._pause)
            self._running(container, just_started)

    def await_health(self, container: str, timeout: float) -> None:
        """Waits until a container is healthy.

        Args:
            container: ID of a container that should be running.
            timeout: seconds until it is given up; 0 for never.

        Raises:
            VerificationFailed: it is not healthy by then, has no healthcheck, or does not keep running.
        """
        begin = time.monotonic()
        while True:
            found = self._running(container, False)
            health = found["State"].get("Health") or {}
            status = str(health.get("Status") or "none")
            if status == "healthy":
                return
            if status == "none" or (timeout and time.monotonic() - begin > timeout):
                last = next((str(check.get("Output", "")) for check in reversed(health.get("Log") or ())), "")
                raise VerificationFailed(
                    f"container {found['Name'].lstrip('/')}",
                    expected="to be healthy" + (f" within {timeout:g} seconds" if timeout else ""),
                    found=f"health {status}" + (f"; its check said: {last.strip()}" if last.strip() else ""),
                    remedy="Mend its healthcheck, or set healthy_wait_timeout",
                )
            time.sleep(self._pause)

    def _running(self, container: str, just_started: bool) -> Mapping[str, Any]:
        found = self._engine.find_container(container)
        if found is not None and is_running(found) and not (just_started and found.get("RestartCount")):
            return found
        state = (found or {}).get("State") or {}
        log = self._engine.container_logs(container, tail=_LOG_LINES).strip() if found else ""
        raise VerificationFailed(
            f"container {(found or {}).get('Name', container).lstrip('/')}",
            expected="to keep running",
            found=f"that it ended with exit code {state.get('ExitCode')}"
            + (f" ({state['Error']})" if state.get("Error") else "")
            + (f"; its log ends with: {log}" if log else "; its log is empty"),
            remedy="Mend its command, or set verify: false for a container that is meant to end",
        )


def traverse(pid: int, spec: WiringSpec, wiring: Wiring) -> None:
    """Goes through a wormhole once, from inside.

    Args:
        pid: the container's main process.
        spec, wiring: what it is wired by.

    Raises:
        WormholeError: the first thing that does not hold.
    """
    if spec.transport == UNIX:
        path = wiring.docker_host.partition("://")[2]
        call_in_network_namespace(pid, as_process(pid, lambda: _ping_socket(path)), timeout=_CHILD_TIMEOUT)
        return
    if spec.discover == RUNTIME:
        found = settle(pid, wiring, lambda other: traverse(pid, replace(spec, discover=LAUNCH), other))
        traverse(pid, replace(spec, discover=LAUNCH), found)
        return
    if spec.transport == TLS:
        read = as_process(pid, lambda: _read_identity(spec.certificate_path))
        call_in_network_namespace(pid, read, timeout=_CHILD_TIMEOUT)
    endpoint = EndpointSpec(
        wiring.address,
        port=wiring.port,
        transport=spec.transport,
        directory=spec.certificate_path if spec.transport == TLS else "",
        container_pid=pid,
        contained=spec.transport == TLS,
    )
    layers = diagnose(endpoint, observe_endpoint(endpoint), datetime.now(timezone.utc))
    failure = first_failure(layers)
    if failure is not None:
        stale = (
            f"If the directory at {spec.certificate_path} was replaced on the host, recreate the container"
        )
        of_identity = spec.transport == TLS and failure.name in ("chain", "client_auth")
        parts = (failure.remedy, stale if of_identity else "")
        raise VerificationFailed(
            f"{wiring.docker_host} ({failure.name})",
            found=failure.text,
            remedy=". ".join(filter(None, parts)),
        )


def as_process(pid: int, function: Callable[[], Any]) -> Callable[[], Any]:
    """A function that sees the files, and has the user and groups, of another process; for a forked child
    only.

    Sources: proc(5) (``/proc/pid/root``, ``Uid``, ``Gid`` and ``Groups`` in ``/proc/pid/status``), chroot(2).
    """

    def call() -> Any:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
            status = dict(line.split(":", 1) for line in stream if ":" in line)
        # The second of the four numbers is the effective one.
        uid, gid = int(status["Uid"].split()[1]), int(status["Gid"].split()[1])
        groups = [int(number) for number in status["Groups"].split()]
        os.chroot(f"/proc/{pid}/root")
        os.chdir("/")
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
        return function()

    return call


def _read_identity(directory: str) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        path = f"{directory}/{name}"
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise VerificationFailed(
                f"{path} in the container",
                expected=f"to be readable for user {os.getuid()}",
                found=error.strerror or str(error),
                remedy=f"Let its owner be user {os.getuid()}; an identity that wormhole_container looks after is",
            ) from error


def _ping_socket(path: str) -> None:
    subject = f"{path} in the container"
    problem = ping_socket(path, _CHILD_TIMEOUT / 2)
    if problem:
        raise VerificationFailed(
            subject,
            expected=f"to answer user {os.getuid()} with groups {sorted({os.getgid(), *os.getgroups()})}",
            found=problem,
            remedy="A socket that was replaced on the host is stale in the container: recreate the container",
        )


def _unproved(container: Mapping[str, Any], error: WormholeError) -> VerificationFailed:
    return VerificationFailed(
        f"container {container['Name'].lstrip('/')}: {error.subject}",
        expected=error.expected,
        found=error.found,
        remedy=error.remedy,
    )
