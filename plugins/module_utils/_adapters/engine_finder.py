# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding the engine from inside a wormhole."""

from __future__ import annotations

import contextlib
import os
import stat
from datetime import datetime, timezone
from typing import Callable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.probe import observe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.reachability import read_routes
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.unix_ping import ping_socket
from ansible_collections.wormhole.docker.plugins.module_utils._core.diagnosis import diagnose
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery import find_candidates
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import (
    EndpointSpec,
    check_timeout,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_search import (
    SOCKETS,
    Candidate,
    certificate_directories,
    from_environment,
    from_surroundings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import EngineUnavailable
from ansible_collections.wormhole.docker.plugins.module_utils._core.layers import first_failure

IDENTITY_FILES = ("ca.pem", "cert.pem", "key.pem")
Addresses = Callable[[], "tuple[str, ...]"]


def host_addresses() -> tuple[str, ...]:
    """Addresses that may be the host's: default routes' gateways, its name, the first of each network on the link."""
    hosts = ""
    with contextlib.suppress(OSError), open("/etc/hosts", encoding="utf-8", errors="replace") as table:
        hosts = table.read()
    return find_candidates(read_routes(), hosts)


def find_engine(
    environment: Mapping[str, str],
    *,
    certificate_path: str = "",
    port: int = 2376,
    insecure_plaintext_port: Optional[int] = None,
    timeout: float = 3.0,
    sockets: tuple[str, ...] = SOCKETS,
    addresses: Addresses = host_addresses,
) -> Candidate:
    """The first engine that answers, by TLS only if it verifies.

    Args:
        environment: the process's variables.
        certificate_path: the client's certificates; by default looked for, see
            :func:`_core.engine_search.certificate_directories`.
        port, insecure_plaintext_port: see :func:`_core.engine_search.from_surroundings`.
        timeout: seconds that each step of a try may take.
        sockets: paths of unix sockets to try.
        addresses: tells those to try.

    Raises:
        InvalidInput: the timeout is none, or the environment names an engine that cannot be spoken to.
        EngineUnavailable: none answers; tells what was tried, and what came of it.
    """
    check_timeout(timeout)
    directories = certificate_directories(environment, certificate_path)
    directory = next(filter(_holds_identity, directories), "")
    named = from_environment(environment, directory, directories)
    candidates = (
        (named,)
        if named is not None
        else from_surroundings(
            filter(_is_socket, sockets), addresses(), directory, port, insecure_plaintext_port
        )
    )
    failures = []
    for candidate in candidates:
        failure = _try(candidate, timeout)
        if not failure:
            return candidate
        failures.append(f"{candidate.docker_host} ({candidate.origin}): {failure}")
    if named is None and not directory:
        failures.append(f"no ca.pem, cert.pem and key.pem in {' or '.join(directories)}, so nothing by TLS")
    raise EngineUnavailable(
        "the engine that runs this container",
        expected="an answer that can be trusted",
        found="; ".join(failures),
        remedy="Set DOCKER_HOST, or run this in a container that wormhole.docker.wormhole_container has made"
        if named is None
        else "Correct DOCKER_HOST, or unset it to have the engine looked for",
    )


def _try(candidate: Candidate, timeout: float) -> str:
    """What is wrong with a candidate; empty if nothing is."""
    if candidate.socket:
        return ping_socket(candidate.socket, timeout)
    spec = EndpointSpec(
        candidate.address,
        port=candidate.port,
        directory=candidate.directory,
        transport=candidate.transport,
        timeout=timeout,
    )
    failure = first_failure(diagnose(spec, observe_endpoint(spec), datetime.now(timezone.utc)))
    return "" if failure is None else failure.text


def _holds_identity(directory: str) -> bool:
    return all(os.access(os.path.join(directory, name), os.R_OK) for name in IDENTITY_FILES)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
