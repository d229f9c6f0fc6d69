# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verifies from inside a container that its client can use the engine.

This requires nothing of the container's image: this process forks, joins the container's network
namespace, changes its root to the container's, and takes the numbers of the container's user and
groups. The identity is the one that is mounted in the container, which may differ from the host's
if that was replaced.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Callable, Mapping, Optional

from ..._base.errors import VerificationFailed, WormholeError
from ..._base.io.opening import open_regular, read_regular
from ..._base.io.privileges import Credentials, User, become
from ..._certificates.facts import FILES
from ..._client.io.discovery import find_wiring
from ..._container.inspection import health_of, is_paused, is_running, name_of, pid_of, state_of
from ..._container.users import IdMap, host_uid, resolve_user
from ..._endpoint.diagnosis import diagnose
from ..._endpoint.io.https_client import ask_socket, ping_socket
from ..._endpoint.io.probe import ask_once, observe_endpoint
from ..._endpoint.layers import first_failure
from ..._endpoint.model import EndpointSpec
from ..._engine.port import EnginePort
from ..._networks.io.namespaces import call_in_network_namespace
from ..._wiring.spec import LAUNCH, RUNTIME, TLS, UNIX, WiringSpec
from ..._wiring.wire import Wiring

Connect = Callable[[int, WiringSpec, Wiring], None]

_CHILD_TIMEOUT = 10.0
"""Seconds for a look at the socket from inside the container; half of it waits for the engine. An
endpoint's steps have their own, see :class:`_endpoint.model.EndpointSpec`."""
_SEARCH = 35.0
"""Seconds for a container that finds its engine to be ready. Its program gives up after 30."""
_LOG_LINES = 10
REFUSED_PATH = "/swarm"
"""No policy but ``unrestricted`` allows to read the state of a swarm. The engine never answers with 403."""
_FORBIDDEN = 403


@dataclass(frozen=True)
class WormholeVerifier:
    """Verifies wormholes, and waits until they are ready.

    Args:
        engine: the engine that runs the container.
        connect: see :func:`connect_from_inside`.
        patience: seconds until a just started container has to be ready, unless it finds its
            engine when it starts.
        settling: seconds that a container which was just started has to keep running.
        pause: seconds between two attempts.
    """

    engine: EnginePort
    connect: Connect
    patience: float = 5.0
    settling: float = 0.5
    pause: float = 0.2

    def verify(self, container: str, spec: WiringSpec, wiring: Wiring, just_started: bool) -> None:
        """Verify one wormhole.

        Args:
            container: ID of a container that should be running.
            spec, wiring: its wiring.
            just_started: whether to wait until it is ready, and to check that it keeps running.

        Raises:
            VerificationFailed: its client cannot use the engine, or it does not keep running.
            WormholeError: this could not be verified, for example because the engine stopped.
        """
        begin = time.monotonic()
        while True:
            found = self._running(container, just_started)
            try:
                self.connect(pid_of(found), spec, wiring)
                break
            except WormholeError as error:
                patience = _SEARCH if spec.discover == RUNTIME else self.patience
                if not just_started or time.monotonic() - begin > patience:
                    error.put_in(f"container {name_of(found)}")
                    raise
            time.sleep(self.pause)
        while just_started and time.monotonic() - begin < self.settling:
            time.sleep(self.pause)
            self._running(container, just_started)

    def await_health(self, container: str, timeout: float) -> None:
        """Wait until a container is healthy.

        Args:
            container: ID of a container that should be running.
            timeout: seconds; 0 waits forever.

        Raises:
            VerificationFailed: it is not healthy by then, has no healthcheck, or stops running.
        """
        begin = time.monotonic()
        while True:
            found = self._running(container, False)
            health = health_of(found)
            status = str(health.get("Status") or "none")
            if status == "healthy":
                return
            if is_paused(found):
                subject = f"container {name_of(found)}"
                problem = f"The {subject} is paused, and its healthcheck does not run"
                raise VerificationFailed(subject, problem=problem, remedy="Set paused: false")
            if status == "none" or (timeout and time.monotonic() - begin > timeout):
                last = next((str(check.get("Output", "")) for check in reversed(health.get("Log") or ())), "")
                within = f" within {timeout:g} seconds" if timeout else ""
                output = f"; its check printed: {last.strip()}" if last.strip() else ""
                subject = f"container {name_of(found)}"
                problem = f"The {subject} did not become healthy{within}: its health is {status}{output}"
                remedy = "Correct its healthcheck, or set healthy_wait_timeout"
                raise VerificationFailed(subject, problem=problem, remedy=remedy)
            time.sleep(self.pause)

    def _running(self, container: str, just_started: bool) -> Mapping[str, Any]:
        found = self.engine.find_container(container)
        if found is not None and is_running(found) and not (just_started and found.get("RestartCount")):
            return found
        name, state = name_of(found) or container, state_of(found)
        log = self.engine.container_logs(container, tail=_LOG_LINES).strip() if found else ""
        reason = f" ({state['Error']})" if state.get("Error") else ""
        output = f"its log ends with: {log}" if log else "its log is empty"
        text = f"it exited with exit code {state.get('ExitCode')}{reason}; {output}"
        problem = f"The container {name} did not keep running: {text}"
        remedy = "Correct its command, or set verify: false for a container that is meant to exit"
        raise VerificationFailed(f"container {name}", problem=problem, remedy=remedy)


def connect_from_inside(pid: int, spec: WiringSpec, wiring: Wiring) -> None:
    """Connect to the engine once, from inside a container.

    Args:
        pid: the container's main process.
        spec, wiring: its wiring.

    Raises:
        WormholeError: the first failure.
    """
    if spec.transport == UNIX:
        path = wiring.docker_host.partition("://")[2]
        refused = REFUSED_PATH if spec.policy is not None and spec.policy.refuses else ""
        look = as_process(pid, lambda: _call_socket(path, refused))
        call_in_network_namespace(pid, look, timeout=_CHILD_TIMEOUT)
        return
    if spec.discover == RUNTIME:
        launched = replace(spec, discover=LAUNCH)
        found = find_wiring(pid, wiring, lambda candidate: connect_from_inside(pid, launched, candidate))
        connect_from_inside(pid, launched, found)
        return
    tls = spec.transport == TLS
    # The container's user has to be able to read the identity. The process that connects becomes this
    # user afterwards: one fork less, which would take most of the time.
    identity = as_process(pid, lambda: _read_identity(spec.certificate_path), spec.identity_owner)
    endpoint = EndpointSpec(
        wiring.address,
        port=wiring.port,
        transport=spec.transport,
        directory=spec.certificate_path if tls else "",
        container_pid=pid,
        contained=tls,
    )

    def finish() -> None:
        if spec.policy is not None and spec.policy.refuses:
            check_refusal(ask_once(endpoint, REFUSED_PATH), wiring.docker_host)
        identity()

    state = observe_endpoint(endpoint, finish) if tls else observe_endpoint(endpoint)
    failure = first_failure(diagnose(endpoint, state, datetime.now(timezone.utc)))
    if failure is not None:
        remedies = [failure.remedy] if failure.remedy else []
        if tls and failure.name in ("chain", "client_auth"):
            replaced = f"If the directory at {spec.certificate_path} was replaced on the host"
            remedies.append(f"{replaced}, recreate the container")
        subject = f"{wiring.docker_host} ({failure.name})"
        raise VerificationFailed(subject, problem=f"{subject}: {failure.text}", remedy=". ".join(remedies))


def as_process(pid: int, function: Callable[[], Any], user: str = "") -> Callable[[], Any]:
    """Return a function that first becomes a process of a container, for a forked child.

    Args:
        user: another user, for a process that drops its privileges; a name or ID in the container,
            optionally with a group after a colon.

    Sources: see :mod:`_base.io.privileges`; user_namespaces(7).
    """

    def call() -> Any:
        become(pid, (lambda who: _find_user(user, who)) if user else None)
        return function()

    return call


def _find_user(user: str, who: Credentials) -> User:
    """Return a user of the root directory and his groups, as numbers on the host."""
    found = resolve_user(user, (), _read_file("/etc/passwd"), _read_file("/etc/group"))
    uid_map, gid_map = (tuple(IdMap(*line) for line in lines) for lines in (who.uid_map, who.gid_map))
    uid, gids = host_uid(found.uid, uid_map), [host_uid(gid, gid_map) for gid in found.gids]
    if uid is None or gids[0] is None:
        subject = f"user {user}"
        raise VerificationFailed(subject, problem=f"The engine maps {subject} to no user of the host")
    return User(uid, gids[0], [gid for gid in gids[1:] if gid is not None])


def _read_file(path: str) -> Optional[bytes]:
    """The content of a file of the container; None if it has none that can be read."""
    try:
        return read_regular(path)
    except (OSError, WormholeError):
        return None


def _read_identity(directory: str) -> None:
    for name in FILES:
        path = f"{directory}/{name}"
        try:
            os.close(open_regular(path))
        except OSError as error:
            subject, user = f"{path} in the container", f"user {os.getuid()}"
            problem = f"{subject} is not readable for {user}: {error.strerror or error}"
            remedy = f"Make {user} its owner, or let wormhole_container manage the identity"
            raise VerificationFailed(subject, problem=problem, remedy=remedy) from error


def check_refusal(status: int, docker_host: str) -> None:
    """Check the answer to a call that the policy of a wormhole refuses.

    Args:
        status: HTTP status of the answer; 0 if there is none, which another check reports.

    Raises:
        VerificationFailed: the wormhole can do more than its policy allows.
    """
    if status in (0, _FORBIDDEN):
        return
    problem = f"{docker_host} is wider than the policy: the answer to GET {REFUSED_PATH}, "
    problem += f"which every policy refuses, has status {status} instead of {_FORBIDDEN}"
    remedy = "Something other than the gate answers there. See systemctl status wormhole-gate"
    raise VerificationFailed(docker_host, problem=problem, remedy=remedy)


def _call_socket(path: str, refused: str) -> None:
    """Call the engine by a unix socket, and make a call that the policy refuses, if there is one."""
    _ping_socket(path)
    if refused:
        check_refusal(ask_socket(path, refused, _CHILD_TIMEOUT / 2), f"unix://{path}")


def _ping_socket(path: str) -> None:
    found = ping_socket(path, _CHILD_TIMEOUT / 2)
    if found:
        subject = f"{path} in the container"
        user = f"user {os.getuid()} with groups {sorted({os.getgid(), *os.getgroups()})}"
        remedy = "If the socket was replaced on the host, the container still has the old one: "
        remedy += "recreate the container"
        raise VerificationFailed(subject, problem=f"{subject} does not answer {user}: {found}", remedy=remedy)
