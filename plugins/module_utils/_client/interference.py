# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find variables of a container that keep its Docker clients from its engine, or that change what
they trust.

A wormhole can be perfect and still not serve a client with such a variable. docs/clients.md lists
which client honours which one.

Sources: measured with the clients in docs/clients.md; go-connections, ``DialerFromEnvironment``
(``ALL_PROXY``); requests, ``Session.merge_environment_settings`` (``REQUESTS_CA_BUNDLE``) and
``should_bypass_proxies`` (``NO_PROXY``); Node.js, "Command-line API" (``NODE_TLS_REJECT_UNAUTHORIZED``
and ``NODE_USE_ENV_PROXY``).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, Mapping, Optional, Sequence, Union

from .._base.address import SocketAddress, split_url
from .._endpoint.layers import Layer

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

_SOCKS = ("socks5", "socks5h")  # the only schemes that Docker's CLI accepts, and then does not use
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class Interference:
    """What a variable does to a container's Docker clients, and what to do about it."""

    problem: str
    remedy: str


def interference_warnings(name: str, variables: Iterable[str], docker_host: str, *, tls: bool) -> list[str]:
    """The warnings about a container of this name; see find_interference()."""
    found = find_interference(variables, docker_host, tls=tls)
    return [f"container {name}: {item.problem}. {item.remedy}" for item in found]


def diagnose_environment(variables: Iterable[str], docker_host: str, *, tls: bool) -> Layer:
    """The layer ``environment`` of a container; see find_interference()."""
    found = find_interference(variables, docker_host, tls=tls)
    if not found:
        text = "no variable of the container redirects its Docker clients or changes what they trust"
        return Layer("environment", True, text)
    problems, remedies = "; ".join(item.problem for item in found), ". ".join(item.remedy for item in found)
    return Layer("environment", True, problems, remedies)


def find_interference(variables: Iterable[str], docker_host: str, *, tls: bool) -> tuple[Interference, ...]:
    """Find the variables of a container that interfere with connections to its engine.

    Args:
        variables: the container's environment variables, as ``NAME=value``.
        docker_host: its ``DOCKER_HOST``; empty if it is not known.
        tls: whether it uses TLS.
    """
    values = dict(item.partition("=")[::2] for item in variables)
    if split_url(docker_host)[0] == "unix":
        return ()
    found = [*_proxies(values, docker_host, tls), *_all_proxy(values)]
    return (*found, *_trust(values)) if tls else tuple(found)


def _proxies(values: Mapping[str, str], docker_host: str, tls: bool) -> Iterator[Interference]:
    """Yield the proxies that some clients would connect to, each with these clients."""
    address = _address(docker_host)
    schemes = ("HTTPS_PROXY", "https_proxy") if tls else ("HTTP_PROXY", "http_proxy")
    if address is None:
        return
    exceptions = [
        item.strip() for item in (values.get("NO_PROXY") or values.get("no_proxy") or "").split(",")
    ]
    redirected: dict[str, list[str]] = {}
    for client, others, is_direct in _PROXIED:
        proxy = next((name for name in (*schemes, *others) if values.get(name)), "")
        used = client != _NODE or values.get("NODE_USE_ENV_PROXY") == "1"
        if proxy and used and not is_direct(address, exceptions):
            redirected.setdefault(proxy, []).append(client)
    for proxy, clients in redirected.items():
        problem = f"{proxy} sends {' and '.join(clients)} to a proxy instead of {address}"
        yield Interference(problem, f"Add {address} to NO_PROXY in env")


def _all_proxy(values: Mapping[str, str]) -> Iterator[Interference]:
    name = next((name for name in ("ALL_PROXY", "all_proxy") if values.get(name)), "")
    if name and split_url(values[name])[0] not in _SOCKS:
        problem = f"with {name}, Docker's CLI and Compose reject every engine at a TCP address, whatever NO_PROXY says"
        remedy = f"Set {name} to an empty string in env, and use HTTP_PROXY and HTTPS_PROXY instead"
        yield Interference(problem, remedy)


def _trust(values: Mapping[str, str]) -> Iterator[Interference]:
    bundle = next((name for name in _BUNDLES if values.get(name)), "")
    if bundle and not _is_own_authority(values, values[bundle]):
        problem = f"the Docker SDK for Python, and clients that use it, verify the engine by {bundle} instead of the "
        problem += "container's ca.pem"
        remedy = f"Set {bundle} to an empty string for these clients, or add ca.pem to the file that it names"
        yield Interference(problem, remedy)
    if values.get("NODE_TLS_REJECT_UNAUTHORIZED") == "0":
        name = "NODE_TLS_REJECT_UNAUTHORIZED"
        problem = (
            f"with {name}=0, Docker clients of Node.js connect to any server and do not verify the engine"
        )
        yield Interference(problem, f"Remove {name}, or set it to an empty string in env")


def _is_own_authority(values: Mapping[str, str], path: str) -> bool:
    return path == values.get("DOCKER_CERT_PATH", "").rstrip("/") + "/ca.pem"


def _is_direct_to_cli(address: Address, exceptions: Sequence[str]) -> bool:
    """Go: addresses, ranges, addresses with a port; loopback always."""
    ported = (item for item in exceptions if item.count(":") == 1 or "]:" in item)
    named = (SocketAddress.parse(item, 0) for item in ported)
    with_port = any(found is not None and found.host == str(address) for found in named)
    return address.is_loopback or with_port or any(_contains(item, address) for item in exceptions)


def _is_direct_to_sdk(address: Address, exceptions: Sequence[str]) -> bool:
    """requests: addresses, and ranges of IPv4."""
    return any(_contains(item, address) for item in exceptions if address.version == 4 or "/" not in item)


def _is_direct_to_node(address: Address, exceptions: Sequence[str]) -> bool:
    """Node.js: addresses; its ranges have another form, ``172.16.0.0-172.31.255.255``."""
    return any(_contains(item, address) for item in exceptions if "/" not in item)


_NODE = "Docker clients of Node.js"
_PROXIED: tuple[tuple[str, tuple[str, ...], Callable[[Address, Sequence[str]], bool]], ...] = (
    ("Docker's CLI and Compose", (), _is_direct_to_cli),
    ("the Docker SDK for Python", ("ALL_PROXY", "all_proxy"), _is_direct_to_sdk),
    (_NODE, (), _is_direct_to_node),
)
"""Clients, variables of a proxy that they read in addition, and how they read ``NO_PROXY``."""


def _contains(item: str, address: Address) -> bool:
    """Whether an entry of ``NO_PROXY`` is everything, this address, or a range that contains it."""
    try:
        return item == "*" or address in ipaddress.ip_network(item, strict=False)
    except ValueError:
        return False


def _address(docker_host: str) -> Optional[Address]:
    scheme, authority = split_url(docker_host)
    named = SocketAddress.parse(authority, 0) if scheme == "tcp" else None
    try:
        return ipaddress.ip_address(named.host) if named else None
    except ValueError:
        return None
