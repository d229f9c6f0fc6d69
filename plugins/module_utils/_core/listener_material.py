# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what dockerd has in memory will do, although something else is installed."""

from __future__ import annotations

from datetime import datetime
from typing import Collection

from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import NamedAddress, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.renewal import is_renewal_due
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts


def is_adequate(
    served: CertificateFacts,
    installed: CertificateFacts,
    addresses: Collection[str],
    topology: Topology,
    now: datetime,
    promised: Collection[NamedAddress] = (),
) -> bool:
    """Whether the engine may go on with the certificate that it has in memory, although another one is installed.

    It may while nothing is new but names, and none of these is an address that it listens on: a network that somebody
    adds is no reason to stop every container of the host, since its containers reach docker0's address.

    Args:
        served: what the engine has in memory.
        installed: what it would read if it were restarted.
        addresses: where it listens.
        topology: the host's Docker networks.
        now: the host's clock.
        promised: addresses of networks to come.
    """
    if served.fingerprint_sha256 == installed.fingerprint_sha256:
        # Whatever is to be said against it, a restart would not change it.
        return True
    if (served.public_key_sha256, served.authority_key_identifier, served.common_name) != (
        installed.public_key_sha256,
        installed.authority_key_identifier,
        installed.common_name,
    ):
        return False
    if is_renewal_due(served, now):
        return False
    can_wait = {f"IP:{gateway.address}" for gateway in topology.gateways}
    can_wait |= {name.name for name in promised if not name.urgent}
    can_wait -= {f"IP:{address}" for address in addresses}
    missing = set(installed.subject_alternative_names) - set(served.subject_alternative_names)
    return can_wait.issuperset(map(str, missing))
