# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether dockerd needs a restart to load an installed certificate."""

from __future__ import annotations

from datetime import datetime
from typing import Collection

from .._certificates.facts import CertificateFacts, is_default_renewal_due
from .._certificates.host_uri import without_host
from .._networks.gateways import NamedAddress, Topology


def is_adequate(
    served: CertificateFacts,
    installed: CertificateFacts,
    addresses: Collection[str],
    topology: Topology,
    now: datetime,
    promised: Collection[NamedAddress] = (),
) -> bool:
    """Whether the engine may keep serving the certificate that it has in memory.

    It may while the installed one only adds names, and the engine listens on none of these
    addresses. An added network does not justify a restart that stops every container of the host,
    because its containers reach docker0's address.

    Args:
        served: the certificate that the engine has in memory.
        installed: the certificate that it reads at its next start.
        addresses: the addresses on which it listens.
        topology: the host's Docker networks.
        now: the host's clock.
        promised: addresses of networks that the engine may create.
    """
    if served.fingerprint_sha256 == installed.fingerprint_sha256:
        # A restart would not change anything.
        return True
    if (served.public_key_sha256, served.authority_key_identifier, served.common_name) != (
        installed.public_key_sha256,
        installed.authority_key_identifier,
        installed.common_name,
    ):
        return False
    if is_default_renewal_due(served, now):
        return False
    can_wait = {f"IP:{gateway.address}" for gateway in topology.gateways}
    can_wait |= {name.name for name in promised if not name.urgent}
    can_wait -= {f"IP:{address}" for address in addresses}
    # No client dials the name of the host in the inventory.
    missing = set(without_host(installed.subject_alternative_names)) - set(served.subject_alternative_names)
    return can_wait.issuperset(map(str, missing))
