# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find out which address ``wormhole-discover`` chose in a running container."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Callable, Iterator

from ..._base.address import SocketAddress
from ..._base.errors import VerificationFailed, WormholeError
from ..._base.io.opening import LARGEST
from ..._endpoint.io.reachability import read_container_hosts
from ..._networks.io.namespaces import call_in_network_namespace, read_routes
from ..._wiring.program import PROGRAM, WRAPPER
from ..._wiring.wire import Wiring
from ..settings import SOURCES, find_candidates, parse_docker_host

_TIMEOUT = 5.0


def find_wiring(
    pid: int, wiring: Wiring, try_wiring: Callable[[Wiring], None] = lambda _wiring: None
) -> Wiring:
    """The container's wiring with the address that the program chose.

    The program executes the container's command with that address in its environment. If the
    command has overwritten its environment, the first address that works is taken, in the program's
    order.

    Args:
        pid: the container's main process.
        try_wiring: connects to the engine by a wiring, and raises WormholeError if that fails.

    Raises:
        VerificationFailed: the program is still searching, or no address works.
    """
    processes = list(_with_descendants(pid))
    for process in processes:
        docker_host = _variable(process, "DOCKER_HOST")
        if docker_host and not _is_searching(process):
            address, port = parse_docker_host(docker_host, wiring.port, f"process {process}")
            return replace(wiring, docker_host=docker_host, address=address, port=port)
    if any(map(_is_searching, processes)):
        raise VerificationFailed(
            "the container", problem=f"{PROGRAM} is still searching for the container's engine"
        )
    failed: list[str] = []
    for address in candidates(pid):
        docker_host = f"tcp://{SocketAddress(address, wiring.port)}"
        candidate = replace(wiring, docker_host=docker_host, address=address)
        try:
            try_wiring(candidate)
            return candidate
        except WormholeError as error:
            failed.append(str(error))
    attempts = "; ".join(failed) or "it has no route to one"
    raise VerificationFailed(
        "the container", problem=f"the container reaches its engine at no address: {attempts}"
    )


def candidates(pid: int) -> tuple[str, ...]:
    """The addresses that the program tries in the container with this main process, in order."""
    words = _variable(pid, "WORMHOLE_CANDIDATES").split() or SOURCES

    def find() -> tuple[str, ...]:
        return find_candidates(read_routes(), read_container_hosts(pid), words)

    return tuple(call_in_network_namespace(pid, find, timeout=_TIMEOUT))


def _with_descendants(pid: int) -> Iterator[int]:
    """A process and all its descendants; an init process has the container's command as a child."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            parents.setdefault(_parent(int(name)), []).append(int(name))
    waiting = [pid]
    while waiting:
        process = waiting.pop(0)
        yield process
        waiting.extend(sorted(parents.get(process, ())))


def _parent(pid: int) -> int:
    """The parent of a process; 0 if it has ended."""
    # The second field, the program's name, may contain any character (proc(5)).
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _variable(pid: int, name: str) -> str:
    entries = _read(f"/proc/{pid}/environ").decode(errors="replace").split("\0")
    return next((entry[len(name) + 1 :] for entry in entries if entry.startswith(f"{name}=")), "")


def _is_searching(pid: int) -> bool:
    """Whether a process is wormhole-discover, which has not executed the command yet."""
    words = _read(f"/proc/{pid}/cmdline").decode(errors="replace").split("\0")
    return tuple(words[: len(WRAPPER)]) == WRAPPER


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(LARGEST)
    except OSError:
        return b""
