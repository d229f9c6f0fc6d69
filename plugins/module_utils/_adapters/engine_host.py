# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host of an engine tells about the certificate that the engine should serve: its networks and its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.daemon_config import read_config_text
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.files import read_file
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import listening_addresses
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.reachability import is_local
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.server_names import (
    observe_server_names,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.x509 import read_certificate
from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import CERTIFICATE_FILE
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import (
    EndpointSpec,
    EndpointState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    InvalidInput,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import NamedAddress, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.served_certificate import EngineHost
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts


@dataclass(frozen=True)
class HostQuestions:
    """What to ask the host.

    Attributes:
        networks: whether to compare its Docker networks; None for where that makes sense and can be done.
        server_directory: of the server's ``cert.pem``; empty for what daemon.json names as ``tlscert``.
        config_path: the engine's daemon.json.
        own_config: whether the engine at hand is the one that reads it.
    """

    networks: Optional[bool] = None
    server_directory: str = ""
    config_path: str = daemon_json.PATH
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
        return EngineHost()
    elsewhere = "" if is_local(spec, state.peer) else f"{state.peer} is no address of this host"
    for option, asked in (("networks", questions.networks), ("server_directory", questions.server_directory)):
        if asked and elsewhere:
            raise InvalidInput(f"option {option}", expected="an endpoint of this host", found=elsewhere)
    obstacle = elsewhere or ("looked at from a container" if spec.container_pid else "")
    topology: Optional[Topology] = None
    names: tuple[NamedAddress, ...] = ()
    not_compared = "not asked for" if questions.networks is False else obstacle
    if questions.networks or not not_compared:
        try:
            topology, names = _observe_networks(state, questions, connect())
            not_compared = ""
        except WormholeError as error:
            if questions.networks:
                raise
            not_compared = str(error)
            # An endpoint of another engine: then daemon.json says nothing about it either.
            obstacle = not_compared if isinstance(error, InvalidInput) else obstacle
    path, installed, not_installed = _observe_installed(questions, obstacle)
    return EngineHost(
        topology=topology,
        names=names,
        not_compared=not_compared,
        listening=listening_addresses(spec.port),
        installed=installed,
        installed_path=path,
        not_installed=not_installed,
    )


def _observe_networks(
    state: EndpointState, questions: HostQuestions, engine: EnginePort
) -> tuple[Topology, tuple[NamedAddress, ...]]:
    if state.engine_id:
        told = engine.info()
        if (told.get("ID"), told.get("DockerRootDir")) != (state.engine_id, state.engine_root):
            raise InvalidInput(
                "option docker_host",
                expected=f"the engine that answers at the endpoint, whose data is in {state.engine_root}",
                found=f"another one, whose data is in {told.get('DockerRootDir')}",
            )
    return observe_server_names(engine, questions.config_path)


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
            f"{questions.config_path} may be another engine's",
        )
    try:
        config = daemon_json.parse_config(read_config_text(questions.config_path), questions.config_path)
        path = str(config.get("tlscert", ""))
        if not path:
            return "", None, f"{questions.config_path} names no tlscert"
        return path, _read_installed(path), ""
    except WormholeError as error:
        return "", None, str(error)


def _read_installed(path: str) -> CertificateFacts:
    found = read_file(path)
    if found is None:
        raise WormholeError(path, expected="the server's certificate", found="no file")
    try:
        return read_certificate(found.content)
    except VerificationFailed as error:
        raise VerificationFailed(path, expected=error.expected, found=error.found) from error
