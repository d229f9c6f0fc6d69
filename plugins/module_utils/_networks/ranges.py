# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses that are not unique: on every host and in every network, they may be another one's."""

from __future__ import annotations

import ipaddress
from typing import Union

LOCAL_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # private (RFC 1918)
        *("127.0.0.0/8", "::1/128"),  # loopback (RFC 1122, RFC 4291)
        *("169.254.0.0/16", "fe80::/10"),  # link-local (RFC 3927, RFC 4291)
        "fc00::/7",  # unique local (RFC 4193)
    )
)
"""Shared addresses (100.64.0.0/10, RFC 6598) are not among them: a provider may route them."""


def is_local(address: Union[ipaddress.IPv4Address, ipaddress.IPv6Address]) -> bool:
    """Whether an address is private, loopback, link-local or unique local."""
    return any(address in network for network in LOCAL_NETWORKS if network.version == address.version)
