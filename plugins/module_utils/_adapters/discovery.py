# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program ``wormhole-discover`` on a host, and what it settled on in a container that runs."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Callable, Iterator

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import is_usable
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.namespaces import (
    call_in_network_namespace,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.probe import observe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.reachability import (
    read_container_hosts,
    read_routes,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.client_settings import parse_docker_host
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery import SOURCES, find_candidates
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import (
    DIRECTORY,
    NAMES,
    PROGRAM,
    WRAPPER,
    InstallProgram,
    ProgramState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import EndpointSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_address import bracketed
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_DISCOVER,
    RUNTIME,
    WiringSpec,
)

_TIMEOUT = 5.0


def observe_program(
    engine: EnginePort, spec: WiringSpec, own_names: tuple[str, ...], served: tuple[tuple[str, int], ...]
) -> ProgramState:
    """Reads what is there of the program, and who starts with it.

    Args:
        engine: the engine of this host.
        spec: the wiring that is wanted.
        own_names: the names of the container that it is about.
        served: where dockerd listens for wormholes.
    """
    program, names = files.read_file(PROGRAM), files.read_file(NAMES)
    if program is None and names is None and spec.discover != RUNTIME:
        return ProgramState()
    others = engine.containers(labels={LABEL_DISCOVER: RUNTIME})
    found = {name.lstrip("/") for container in others for name in container.get("Names") or ()}
    return ProgramState(
        program=None if program is None else program.content.decode(errors="replace"),
        names=None if names is None else tuple(names.content.decode(errors="replace").split()),
        served=_served_names(spec, served) if spec.discover == RUNTIME else (),
        users=tuple(sorted(found - set(own_names))),
    )


def install_program(action: InstallProgram) -> None:
    """Puts the program there, and the names beside it; a container that starts meanwhile gets the old or the new one.

    Raises:
        ApplyFailed: something could not be written.
    """
    files.make_directory(DIRECTORY, mode=0o755)
    if action.names is not None:
        files.write_file(NAMES, "".join(f"{name}\n" for name in action.names).encode(), mode=0o644)
    if action.program is not None:
        files.write_file(PROGRAM, action.program.encode(), mode=0o755)


def remove_program() -> None:
    """Removes the program, the names, and their directory.

    Raises:
        ApplyFailed: something could not be removed.
    """
    for path in (PROGRAM, NAMES):
        if os.path.lexists(path):
            files.remove_file(path)
    if os.path.isdir(DIRECTORY) and not os.listdir(DIRECTORY):
        files.remove_directory(DIRECTORY)


def settle(pid: int, wiring: Wiring, try_wiring: Callable[[Wiring], None] = lambda _wiring: None) -> Wiring:
    """The wiring with the address that the program settled on in a container.

    That is what the environment of the process says that the program became. Where that process has overwritten its
    environment, it is the first address in the program's order that can be traversed.

    Args:
        pid: the container's main process.
        wiring: what it is wired by.
        try_wiring: traverses a wiring, and raises WormholeError if that fails.

    Raises:
        VerificationFailed: the program is still searching, or there is no address.
    """
    processes = list(_with_descendants(pid))
    for process in processes:
        docker_host = _variable(process, "DOCKER_HOST")
        if docker_host and not _is_searching(process):
            address, port = parse_docker_host(docker_host, wiring.port, f"process {process}")
            return replace(wiring, docker_host=docker_host, address=address, port=port)
    if any(map(_is_searching, processes)):
        raise VerificationFailed(
            "the container", expected="to have found its engine", found=f"that {PROGRAM} is still searching"
        )
    failed: list[str] = []
    for address in candidates(pid):
        docker_host = f"tcp://{bracketed(address)}:{wiring.port}"
        candidate = replace(wiring, docker_host=docker_host, address=address)
        try:
            try_wiring(candidate)
        except WormholeError as error:
            failed.append(str(error))
            continue
        return candidate
    raise VerificationFailed(
        "the container", expected="an address at which its engine listens", found="; ".join(failed) or "none"
    )


def candidates(pid: int) -> tuple[str, ...]:
    """The addresses that the program tries in a container, in its order.

    Args:
        pid: the container's main process.
    """
    wanted = _variable(pid, "WORMHOLE_CANDIDATES").split() or SOURCES
    found = call_in_network_namespace(
        pid, lambda: find_candidates(read_routes(), read_container_hosts(pid), wanted), timeout=_TIMEOUT
    )
    return tuple(found)


def _served_names(spec: WiringSpec, served: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    for address, port in served:
        if port == spec.port and is_usable(address):
            certificate = observe_endpoint(EndpointSpec(address, port=port)).served
            if certificate is not None:
                return tuple(str(name) for name in certificate.subject_alternative_names)
    return ()


def _with_descendants(pid: int) -> Iterator[int]:
    """A process, then its children and theirs: with an init process, the container's own is one of them."""
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
    """0 for a process that has ended."""
    # The second field, the program's name, may hold anything (proc(5)).
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _variable(pid: int, name: str) -> str:
    prefix = f"{name}=".encode()
    entries = _read(f"/proc/{pid}/environ").split(b"\0")
    return next(
        (entry[len(prefix) :].decode(errors="replace") for entry in entries if entry.startswith(prefix)), ""
    )


def _is_searching(pid: int) -> bool:
    """Whether a process is the program, which has not become another one yet."""
    words = _read(f"/proc/{pid}/cmdline").decode(errors="replace").split("\0")
    return tuple(words[: len(WRAPPER)]) == WRAPPER


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""
