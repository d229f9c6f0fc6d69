# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the certificate that an engine serves with the networks and files of the engine's host.

dockerd reads its certificate only when it starts, while Docker networks are added and removed and
certificates are renewed. A client cannot see whether the served certificate suits the containers of
every network, or whether it is the installed one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal, Optional

from .._certificates.facts import CertificateFacts, default_renewal_time, is_default_renewal_due, timestamp
from .._networks.gateways import NamedAddress, Topology
from .adequacy import is_adequate
from .layers import Layer, Verdict, fails, holds, unknown
from .model import EndpointState, match_san

ServedBy = Literal["", "dockerd", "gate"]

_NO_NETWORKS = Topology((), ())
_SHOWN = 4  # names in a text; the data has them all
_ANY_ADDRESS = ("0.0.0.0", "::")
_PROVISION = "Run the playbook wormhole.docker.provision, or the role wormhole.docker.listener, for this host"
_RELOAD = "Run the role wormhole.docker.listener for this host, which makes the gate read it"
_LOAD = (
    "Run the role wormhole.docker.listener for this host, which restarts the engine once and names the containers that "
    "this stops"
)


@dataclass(frozen=True)
class EngineHost:
    """An engine's host: its networks, and the certificate that is installed there.

    Attributes:
        topology: the Docker networks; None if the engine was not asked.
        names: the names that a server certificate needs; empty if the engine was not asked.
        not_compared: why the engine was not asked; empty without a served certificate.
        listening: addresses on which something listens on the endpoint's port.
        served_by: the program that serves the endpoint, ``dockerd`` or ``gate``; empty if that is not
            known.
        installed: the certificate that this program reads when it starts; None if it is not known.
        installed_path: its path.
        not_installed: why it is not known; empty if it is.
    """

    topology: Optional[Topology] = None
    names: tuple[NamedAddress, ...] = ()
    not_compared: str = ""
    listening: tuple[str, ...] = ()
    served_by: ServedBy = ""
    installed: Optional[CertificateFacts] = None
    installed_path: str = ""
    not_installed: str = ""

    @property
    def server(self) -> str:
        """The program that serves the endpoint, as text."""
        return "the gate" if self.served_by == "gate" else "the engine"

    @property
    def reads(self) -> str:
        """When this program reads the installed certificate, as text."""
        return "when it is reloaded" if self.served_by == "gate" else "at its next start"

    @property
    def load(self) -> str:
        """What makes it read the installed certificate."""
        return _RELOAD if self.served_by == "gate" else _LOAD


def missing_names(certificate: CertificateFacts, host: EngineHost) -> tuple[NamedAddress, ...]:
    """The names that the host's networks need and a certificate lacks, the urgent first.

    A name is urgent if server_names() says so, or if something listens on that address.
    """
    missing = [
        replace(name, urgent=name.urgent or _value(name) in host.listening)
        for name in host.names
        if match_san(certificate.subject_alternative_names, _value(name)) is None
    ]
    return tuple(sorted(missing, key=lambda name: not name.urgent))


def describe_endpoint(state: EndpointState, now: datetime) -> dict[str, Any]:
    """The observation as plain data, for a module's result; times in ISO 8601, UTC."""
    return {
        "gateways": list(state.reached.gateways),
        "source": state.reached.source,
        "peer": state.reached.peer,
        "protocol": state.anonymous.protocol,
        "tls_version": state.tls_version,
        "matched_name": state.matched_san,
        "certificate": describe_certificate(state.served, now),
        "client_certificate": describe_certificate(state.presented, now),
        "anonymous": state.anonymous.verdict,
        "client": state.verified.client,
        "api_version": state.api.version,
        "engine_version": state.api.engine_version,
        "engine_id": state.api.engine_id,
        "engine_name": state.api.engine_name,
        "server_time": timestamp(state.server_time) if state.server_time else "",
        "clock_difference": round((state.server_time - now).total_seconds()) if state.server_time else None,
    }


def describe_certificate(facts: Optional[CertificateFacts], now: datetime) -> dict[str, Any]:
    """A certificate as plain data; empty if there is none."""
    if facts is None:
        return {}
    return {
        "subject": facts.subject,
        "subject_alternative_names": [str(san) for san in facts.subject_alternative_names],
        "issuer": facts.issuer,
        "serial": facts.serial,
        "fingerprint_sha256": facts.fingerprint_sha256,
        "not_before": timestamp(facts.not_before),
        "not_after": timestamp(facts.not_after),
        "days_left": facts.days_left(now),
        "renewal_time": timestamp(default_renewal_time(facts)),
        "renewal_due": is_default_renewal_due(facts, now),
    }


def describe_host(served: Optional[CertificateFacts], host: EngineHost, now: datetime) -> dict[str, Any]:
    """The comparison as plain data; see diagnose_host() for the arguments."""
    compared = None if served is None or host.topology is None else missing_names(served, host)
    known = served is not None and host.installed is not None
    return {
        "served_by": host.served_by,
        "missing_names": None if compared is None else [asdict(name) for name in compared],
        "installed_certificate": describe_certificate(host.installed, now),
        "loaded": _fingerprint(served) == _fingerprint(host.installed) if known else None,
    }


def diagnose_host(served: Optional[CertificateFacts], host: EngineHost, now: datetime) -> tuple[Layer, Layer]:
    """The layers ``networks`` and ``installed``; served is None if no certificate was seen."""
    if served is None:
        unseen = unknown("not compared: no certificate was seen")
        return Layer("networks", *unseen), Layer("installed", *unseen)
    return Layer("networks", *_networks(served, host)), Layer("installed", *_installed(served, host, now))


def _networks(served: CertificateFacts, host: EngineHost) -> Verdict:
    if host.topology is None:
        return unknown(f"not compared: {host.not_compared}")
    missing = missing_names(served, host)
    if not missing:
        return holds(
            f"the certificate names all {len(host.names)} addresses and names by which this host's containers can "
            "reach the engine"
        )
    complete = host.installed is not None and not missing_names(host.installed, host)
    text = f"the certificate lacks {_render(missing)}"
    if complete:
        text += f"; the one in {host.installed_path} names all, and {host.server} reads it {host.reads}"
    if missing[0].urgent:
        return fails(text, host.load if complete else _PROVISION)
    others = _served_addresses(served, host)
    if others:
        text += f"; meanwhile their containers reach the engine at {' or '.join(others)}"
    return holds(text, "" if complete else _PROVISION)


def _installed(served: CertificateFacts, host: EngineHost, now: datetime) -> Verdict:
    installed = host.installed
    if installed is None:
        return unknown(f"not compared: {host.not_installed}")
    if _fingerprint(served) == _fingerprint(installed):
        return holds(f"{host.server} serves the certificate in {host.installed_path}")
    text = (
        f"{host.server} serves a certificate that ends on {timestamp(served.not_after)}, not the one in "
        f"{host.installed_path}, which ends on {timestamp(installed.not_after)} and which it reads {host.reads}"
    )
    if host.topology is None:
        # Without the networks it is not known which names are urgent, so names are not compared.
        installed = replace(installed, subject_alternative_names=served.subject_alternative_names)
    # The gate reads another one without a restart: nothing has to wait.
    waits = host.served_by != "gate"
    if waits and is_adequate(
        served, installed, host.listening, host.topology or _NO_NETWORKS, now, host.names
    ):
        return holds(f"{text}; until then, the served one is sufficient")
    return holds(text, host.load)


def _served_addresses(served: CertificateFacts, host: EngineHost) -> list[str]:
    """Gateways that the engine listens on and the certificate names."""
    everywhere = set(host.listening) & set(_ANY_ADDRESS)
    gateways = host.topology.gateways if host.topology else ()
    return [
        gateway.address
        for gateway in gateways
        if (everywhere or gateway.address in host.listening)
        and match_san(served.subject_alternative_names, gateway.address)
    ]


def _fingerprint(certificate: Optional[CertificateFacts]) -> str:
    return certificate.fingerprint_sha256 if certificate else ""


def _render(names: tuple[NamedAddress, ...]) -> str:
    shown = ", ".join(f"{name.name} ({name.origin})" for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _value(name: NamedAddress) -> str:
    return name.name.partition(":")[2]
