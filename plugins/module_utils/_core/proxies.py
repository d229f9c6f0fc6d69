# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a container's variables send its Docker clients to a proxy instead of the engine.

They go by ``HTTPS_PROXY``, without TLS by ``HTTP_PROXY``, to whatever ``NO_PROXY`` does not name; never for loopback. Source: Go's
golang.org/x/net/http/httpproxy, which the clients in Go use.
"""

from __future__ import annotations

import ipaddress
from typing import Iterable, Optional, Union
from urllib.parse import urlsplit

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


def proxy_warnings(name: str, variables: Iterable[str], docker_host: str, *, tls: bool) -> list[str]:
    """What a run has to warn of.

    Args:
        name: of the container.
        variables: the container's, as ``NAME=value``.
        docker_host: of its wormhole; empty where it is not known.
        tls: whether it speaks TLS.
    """
    values = dict(item.partition("=")[::2] for item in variables)
    proxies = ("HTTPS_PROXY", "https_proxy") if tls else ("HTTP_PROXY", "http_proxy")
    proxy = next((variable for variable in proxies if values.get(variable)), "")
    address = _address(docker_host)
    exceptions = values.get("NO_PROXY") or values.get("no_proxy") or ""
    if not proxy or address is None or address.is_loopback:
        return []
    if any(_names(item, address) for item in exceptions.split(",")):
        return []
    return [
        f"container {name}: {proxy} sends its Docker clients to a proxy instead of {address}. Let NO_PROXY in env name {address}, "
        "or a range that holds it"
    ]


def _names(item: str, address: Address) -> bool:
    """Whether an entry of ``NO_PROXY`` holds an address: all, a network, or the address with or without a port."""
    item = item.strip()
    try:
        return item == "*" or address in ipaddress.ip_network(item, strict=False)
    except ValueError:
        return str(address) in (item.strip("[]"), item.rpartition(":")[0].strip("[]"))


def _address(docker_host: str) -> Optional[Address]:
    url = urlsplit(docker_host)
    try:
        return ipaddress.ip_address(url.hostname or "") if url.scheme == "tcp" else None
    except ValueError:
        return None
