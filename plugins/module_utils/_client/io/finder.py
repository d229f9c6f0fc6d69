# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the engine from inside a wormhole."""

from __future__ import annotations

import contextlib
import os
import stat
from datetime import datetime, timezone
from typing import Callable, Mapping, Optional

from ..._base.errors import EngineUnavailable
from ..._base.io.opening import LARGEST
from ..._certificates.facts import FILES
from ..._endpoint.diagnosis import diagnose
from ..._endpoint.io.https_client import ping_socket
from ..._endpoint.io.probe import observe_endpoint
from ..._endpoint.layers import first_failure
from ..._endpoint.model import TCP, TLS, EndpointSpec, check_timeout
from ..._networks.io.namespaces import read_routes
from ..search import SOCKETS, Candidate, certificate_directories, from_environment, from_surroundings
from ..settings import find_candidates

Addresses = Callable[[], "tuple[str, ...]"]


def host_addresses() -> tuple[str, ...]:
    """The addresses that may be the host's; see find_candidates()."""
    hosts = ""
    with contextlib.suppress(OSError), open("/etc/hosts", encoding="utf-8", errors="replace") as table:
        hosts = table.read(LARGEST)
    return find_candidates(read_routes(), hosts)


def find_engine(
    environment: Mapping[str, str],
    *,
    certificate_path: str,
    port: int,
    insecure_plaintext_port: Optional[int],
    timeout: float,
    sockets: tuple[str, ...] = SOCKETS,
    addresses: Addresses = host_addresses,
) -> Candidate:
    """The first engine that answers, and that verifies if it uses TLS.

    Args:
        certificate_path: directory of the client's certificates; empty to search for it, see
            :func:`_client.search.certificate_directories`.
        port, insecure_plaintext_port: see :func:`_client.search.from_surroundings`.
        timeout: seconds for each step of an attempt.

    Raises:
        InvalidInput: the timeout is out of range, or ``DOCKER_HOST`` has an unsupported form.
        EngineUnavailable: no engine answers; the message lists the attempts.
    """
    check_timeout(timeout)
    directories = certificate_directories(environment, certificate_path)
    directory = next(filter(_holds_identity, directories), "")
    named = from_environment(environment, directory, directories)
    candidates: tuple[Candidate, ...] = (named,) if named else ()
    if named is None:
        existing = filter(_is_socket, sockets)
        candidates = from_surroundings(existing, addresses(), directory, port, insecure_plaintext_port)
    failures = []
    for candidate in candidates:
        failure = _try(candidate, timeout)
        if not failure:
            return candidate
        failures.append(f"{candidate.docker_host} ({candidate.origin}): {failure}")
    if named is None and not directory:
        places = " or ".join(directories)
        failures.append(f"no ca.pem, cert.pem and key.pem in {places}, so TLS was not tried")
    attempts = "; ".join(failures)
    raise EngineUnavailable(
        "the engine that runs this container",
        remedy="Set DOCKER_HOST, or run this in a container that wormhole.docker.wormhole_container created"
        if named is None
        else "Correct DOCKER_HOST, or unset it to search for the engine",
        problem=f"no engine could be verified from this container: {attempts}",
    )


def _try(candidate: Candidate, timeout: float) -> str:
    """Try an engine. Return the problem, or an empty text if it answers."""
    if candidate.socket:
        return ping_socket(candidate.socket, timeout)
    spec = EndpointSpec(
        candidate.address,
        port=candidate.port,
        directory=candidate.directory,
        transport=TLS if candidate.directory else TCP,
        timeout=timeout,
    )
    failure = first_failure(diagnose(spec, observe_endpoint(spec), datetime.now(timezone.utc)))
    return "" if failure is None else failure.text


def _holds_identity(directory: str) -> bool:
    return all(os.access(os.path.join(directory, name), os.R_OK) for name in FILES)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
