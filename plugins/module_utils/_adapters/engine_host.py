# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host of an engine tells about the certificate that the engine should serve: its networks and its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.files import read_file
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import (
    listening_addresses,
    observe_topology,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.reachability import is_local
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.x509 import read_certificate
from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import CERTIFICATE_FILE
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import (
    EndpointSpec,
    EndpointState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Topology, server_names
from ansible_collections.wormhole.docker.plugins.module_utils._core.served_certificate import EngineHost
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts

_UNSEEN = "no certificate was seen"


@dataclass(frozen=True)
class HostQuestions:
    """What to ask the host.

    Attributes:
        networks: whether to compare its Docker networks; None for where that makes sense and can be done.
        server_directory: of the server's ``cert.pem``; empty for what daemon.json names as ``tlscert``.
        own_config: whether daemon.json is that of the engine at hand.
    """

    networks: Optional[bool] = None
    server_directory: str = ""
    own_config: bool = True


def observe_engine_host(
    spec: EndpointSpec, state: EndpointState, questions: HostQuestions, connect: Callable[[], EnginePort]
) -> EngineHost:
    """Asks the host that this process runs on, if the endpoint is its own engine's.

    Args:
        spec, state: the endpoint, and what was seen of it.
        questions: what to ask.
        connect: opens the engine by its unix socket.

    Raises:
        InvalidInput: what was asked for in so many words makes no sense for this endpoint.
        WormholeError: it could not be found out.
    """
    if state.served is None:
        return EngineHost(not_compared=_UNSEEN, not_installed=_UNSEEN)
    elsewhere = "" if is_local(spec, state.peer) else f"{state.peer} is no address of this host"
    for option, asked in (("networks", questions.networks), ("server_directory", questions.server_directory)):
        if asked and elsewhere:
            raise InvalidInput(f"option {option}", expected="an endpoint of this host", found=elsewhere)
    obstacle = elsewhere or ("looked at from a container" if spec.container_pid else "")
    topology: Optional[Topology] = None
    not_compared = "not asked for" if questions.networks is False else obstacle
    if questions.networks or not not_compared:
        try:
            topology, not_compared = _observe_networks(state, connect()), ""
        except WormholeError as error:
            if questions.networks:
                raise
            not_compared = str(error)
            # An endpoint of another engine: then daemon.json says nothing about it either.
            obstacle = not_compared if isinstance(error, InvalidInput) else obstacle
    path, installed, not_installed = _observe_installed(questions, obstacle)
    return EngineHost(
        topology=topology,
        names=server_names(topology) if topology else (),
        not_compared=not_compared,
        listening=listening_addresses(spec.port),
        installed=installed,
        installed_path=path,
        not_installed=not_installed,
    )


def _observe_networks(state: EndpointState, engine: EnginePort) -> Topology:
    if state.engine_id and engine.info().get("ID") != state.engine_id:
        raise InvalidInput(
            "option docker_host",
            expected="the engine that answers at the endpoint",
            found="another one, by the identities that both tell",
        )
    return observe_topology(engine.networks())


def _observe_installed(
    questions: HostQuestions, obstacle: str
) -> tuple[str, Optional[CertificateFacts], str]:
    """Path and content of the certificate that the engine reads at its next start, or why they are not known."""
    if questions.server_directory:
        path = os.path.join(questions.server_directory, CERTIFICATE_FILE)
        return path, _read_installed(path), ""
    if obstacle:
        return "", None, obstacle
    if not questions.own_config:
        return (
            "",
            None,
            f"{daemon_json.PATH} may be another engine's; option server_directory says where to look",
        )
    try:
        config = read_file(daemon_json.PATH)
        text = config.content.decode(errors="replace") if config else ""
        path = str(daemon_json.parse_config(text).get("tlscert", ""))
        if not path:
            return "", None, f"{daemon_json.PATH} names no tlscert"
        return path, _read_installed(path), ""
    except WormholeError as error:
        return "", None, str(error)


def _read_installed(path: str) -> CertificateFacts:
    found = read_file(path)
    if found is None:
        raise WormholeError(path, expected="the server's certificate", found="no file")
    return read_certificate(found.content)
