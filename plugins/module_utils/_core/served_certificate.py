# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificate that an engine serves, held against what only the engine's own host can tell.

A client sees whether the certificate holds for itself now. Whether it holds for the containers of every Docker network,
and whether the engine has loaded the one that is installed, takes the host: dockerd reads its certificate at its start
and never again, while networks come and go and certificates are renewed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import (
    describe_certificate,
    match_san,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import NamedAddress, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.layers import Layer
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_material import is_adequate
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts, timestamp

NETWORKS, INSTALLED = "networks", "installed"

_NO_NETWORKS = Topology((), ())
_UNSEEN = "not compared: no certificate was seen"
_SHOWN = 4  # names in a text; as data they are all there
_ANY_ADDRESS = ("0.0.0.0", "::")
_PROVISION = "Run the playbook wormhole.docker.provision, or the role wormhole.docker.listener, for this host"
_LOAD = (
    "Run the role wormhole.docker.listener for this host, which restarts the engine once and names the containers that "
    "this stops"
)


@dataclass(frozen=True)
class EngineHost:
    """What the host of an engine tells. Whatever was not asked, or could not be, has its reason.

    Attributes:
        topology: the Docker networks; None if the engine was not asked.
        names: what a server certificate should name for them now; empty if the engine was not asked.
        not_compared: why the engine was not asked; empty if it was, and if no certificate is served.
        listening: addresses on which something listens on the endpoint's port.
        installed: the certificate that the engine reads at its next start; None if it was not looked for.
        installed_path: where that is.
        not_installed: why it was not looked for, or what is wrong with it; empty if it is there.
    """

    topology: Optional[Topology] = None
    names: tuple[NamedAddress, ...] = ()
    not_compared: str = ""
    listening: tuple[str, ...] = ()
    installed: Optional[CertificateFacts] = None
    installed_path: str = ""
    not_installed: str = ""


def missing_names(certificate: CertificateFacts, host: EngineHost) -> tuple[NamedAddress, ...]:
    """What the host's networks need and a certificate lacks, the urgent first.

    Urgent is what server_names() says, and every address that is listened on: who set that up meant it to be used.
    """
    missing = [
        replace(name, urgent=name.urgent or _value(name) in host.listening)
        for name in host.names
        if match_san(certificate.subject_alternative_names, _value(name)) is None
    ]
    return tuple(sorted(missing, key=lambda name: not name.urgent))


def is_loaded(served: Optional[CertificateFacts], host: EngineHost) -> Optional[bool]:
    """Whether the engine serves the certificate that is installed; None if that is not known."""
    if served is None or host.installed is None:
        return None
    return served.fingerprint_sha256 == host.installed.fingerprint_sha256


def describe_host(served: Optional[CertificateFacts], host: EngineHost, now: datetime) -> dict[str, Any]:
    """What the host tells as plain data, for a module's result; see :func:`diagnose_host` for the arguments."""
    compared = None if served is None or host.topology is None else missing_names(served, host)
    return {
        "missing_names": None if compared is None else [asdict(name) for name in compared],
        "installed_certificate": describe_certificate(host.installed, now),
        "loaded": is_loaded(served, host),
    }


def diagnose_host(served: Optional[CertificateFacts], host: EngineHost, now: datetime) -> tuple[Layer, Layer]:
    """The layers ``networks`` and ``installed``.

    Args:
        served: the certificate that the engine serves; None if none was seen.
        host: what the engine's host tells.
        now: the host's clock; aware.
    """
    if served is None:
        return Layer(NETWORKS, None, _UNSEEN), Layer(INSTALLED, None, _UNSEEN)
    return _networks(served, host), _installed(served, host, now)


def _networks(served: CertificateFacts, host: EngineHost) -> Layer:
    if host.topology is None:
        return Layer(NETWORKS, None, f"not compared: {host.not_compared}")
    missing = missing_names(served, host)
    if not missing:
        return Layer(
            NETWORKS,
            True,
            f"the certificate names all {len(host.names)} addresses and names by which this host's containers can "
            "reach the engine",
        )
    installed = host.installed
    coming = installed is not None and not missing_names(installed, host)
    there = f"; the one in {host.installed_path} names all, and the engine reads it at its next start"
    text = f"the certificate lacks {_listed(missing)}{there if coming else ''}"
    if missing[0].urgent:
        return Layer(NETWORKS, False, text, _LOAD if coming else _PROVISION)
    others = _served_addresses(served, host)
    if others:
        text += f"; meanwhile their containers reach the engine at {' or '.join(others)}"
    return Layer(NETWORKS, True, text, "" if coming else _PROVISION)


def _installed(served: CertificateFacts, host: EngineHost, now: datetime) -> Layer:
    installed = host.installed
    if installed is None:
        return Layer(INSTALLED, None, f"not compared: {host.not_installed}")
    if served.fingerprint_sha256 == installed.fingerprint_sha256:
        return Layer(INSTALLED, True, f"the engine serves the certificate in {host.installed_path}")
    text = (
        f"the engine serves a certificate that ends on {timestamp(served.not_after)}, not the one in "
        f"{host.installed_path}, which ends on {timestamp(installed.not_after)} and which it reads at its next start"
    )
    if host.topology is None:
        # Without the networks nobody knows which names can wait, so names are left out of it.
        installed = replace(installed, subject_alternative_names=served.subject_alternative_names)
    if is_adequate(served, installed, host.listening, host.topology or _NO_NETWORKS, now, host.names):
        return Layer(INSTALLED, True, f"{text}; until then what it serves is good enough")
    return Layer(INSTALLED, True, text, _LOAD)


def _served_addresses(served: CertificateFacts, host: EngineHost) -> list[str]:
    """Gateways that are listened on and named: what a container of any bridge network can use."""
    everywhere = set(host.listening) & set(_ANY_ADDRESS)
    gateways = host.topology.gateways if host.topology else ()
    return [
        gateway.address
        for gateway in gateways
        if (everywhere or gateway.address in host.listening)
        and match_san(served.subject_alternative_names, gateway.address)
    ]


def _listed(names: tuple[NamedAddress, ...]) -> str:
    shown = ", ".join(f"{name.name} ({name.origin})" for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _value(name: NamedAddress) -> str:
    return name.name.partition(":")[2]
