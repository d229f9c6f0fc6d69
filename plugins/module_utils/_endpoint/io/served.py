# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read from an engine's host which names and which certificate the engine should serve."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, Optional

from ..._base.address import SocketAddress
from ..._base.errors import InvalidInput, VerificationFailed, WormholeError
from ..._base.io.files import read_file
from ..._certificates.facts import CERTIFICATE_FILE, CertificateFacts
from ..._certificates.io.decoding import read_certificate
from ..._engine.daemon_json import PATH
from ..._engine.io.daemon_config import read_config
from ..._engine.io.server_names import observe_server_names
from ..._engine.port import EnginePort
from ..._gate import config as gate_config
from ..._gate import units as gate_units
from ..._networks.gateways import NamedAddress, Topology
from ..._networks.io.interfaces import listening_addresses
from ..model import EndpointSpec, EndpointState
from ..served import EngineHost, ServedBy
from .reachability import is_local


@dataclass(frozen=True)
class HostQuestions:
    """Which facts to read from the host.

    Attributes:
        networks: whether to compare its Docker networks; None to compare them if that is possible.
        server_directory: directory of ``cert.pem``; empty for the ``tlscert`` of daemon.json.
        own_config: whether the engine reads the daemon.json of this host.
    """

    networks: Optional[bool] = None
    server_directory: str = ""
    own_config: bool = True


def observe_engine_host(
    spec: EndpointSpec, state: EndpointState, questions: HostQuestions, connect: Callable[[], EnginePort]
) -> EngineHost:
    """Read the facts from this host, if the endpoint belongs to its engine.

    Raises:
        InvalidInput: an option requests facts that do not apply to this endpoint.
        WormholeError: an option requests facts that cannot be read.
    """
    if state.served is None:
        return EngineHost()
    peer = state.reached.peer
    elsewhere = "" if is_local(spec, peer) else f"{peer} is not an address of this host"
    if elsewhere and (questions.networks or questions.server_directory):
        option = "networks" if questions.networks else "server_directory"
        raise InvalidInput(
            f"option {option}",
            expected="an endpoint of this host",
            found=elsewhere,
            problem=f"option {option} requires an endpoint of this host, but {elsewhere}",
        )
    obstacle = elsewhere or ("observed from a container" if spec.container_pid else "")
    topology: Optional[Topology] = None
    names: tuple[NamedAddress, ...] = ()
    not_compared = "not requested" if questions.networks is False else obstacle
    if questions.networks or not not_compared:
        try:
            topology, names = _observe_networks(state, connect())
            not_compared = ""
        except WormholeError as error:
            if questions.networks:
                raise
            not_compared = str(error)
            # daemon.json does not apply to an endpoint of another engine.
            obstacle = not_compared if isinstance(error, InvalidInput) else obstacle
    listening = listening_addresses(spec.port)
    served_by: ServedBy = "" if elsewhere else _served_by(SocketAddress(peer or spec.address, spec.port))
    installed = _observe_installed(questions, obstacle, served_by)
    return EngineHost(topology, names, not_compared, listening, served_by, *installed)


def _served_by(endpoint: SocketAddress) -> ServedBy:
    """The program that serves an endpoint of this host's engine, by the systemd unit of its socket."""
    unit = gate_units.tls_unit(endpoint)
    return "gate" if os.path.exists(gate_units.unit_path(unit)) else "dockerd"


def _observe_networks(state: EndpointState, engine: EnginePort) -> tuple[Topology, tuple[NamedAddress, ...]]:
    if state.api.engine_id:
        info = engine.info()
        if (info.get("ID"), info.get("DockerRootDir")) != (state.api.engine_id, state.api.engine_root):
            raise InvalidInput(
                "option docker_host",
                expected=f"the engine that answers at the endpoint, whose data is in {state.api.engine_root}",
                found=f"another one, whose data is in {info.get('DockerRootDir')}",
                remedy="Set docker_host to the socket of the engine at the endpoint",
            )
    return observe_server_names(engine)


def _observe_installed(
    questions: HostQuestions, obstacle: str, served_by: ServedBy
) -> tuple[Optional[CertificateFacts], str, str]:
    """The installed certificate, its path, and why they are unknown."""
    if questions.server_directory:
        path = os.path.join(questions.server_directory, CERTIFICATE_FILE)
        return _read_installed(path), path, ""
    if obstacle:
        return None, "", obstacle
    if not questions.own_config:
        return None, "", f"{PATH} may be another engine's"
    try:
        if served_by == "gate":
            return _read_of_gate()
        found = read_config()
        path = str(found.keys.get("tlscert", ""))
        if not path:
            return None, "", f"{found.path} names no tlscert"
        return _read_installed(path), path, ""
    except WormholeError as error:
        return None, "", str(error)


def _read_of_gate() -> tuple[Optional[CertificateFacts], str, str]:
    """The certificate that the gate's configuration names, its path, and why they are unknown."""
    found = read_file(gate_config.PATH)
    directory = gate_config.parse_config(found.content).tls if found else None
    if not directory:
        return None, "", f"{gate_config.PATH} names no certificate"
    path = os.path.join(directory, CERTIFICATE_FILE)
    return _read_installed(path), path, ""


def _read_installed(path: str) -> CertificateFacts:
    found = read_file(path)
    if found is None:
        raise WormholeError(path, expected="the server's certificate", found="no file")
    try:
        return read_certificate(found.content)
    except VerificationFailed as error:
        problem = error.problem and f"{path}: {error.problem}"
        raise VerificationFailed(
            path, expected=error.expected, found=error.found, problem=problem, remedy=error.remedy
        ) from error
