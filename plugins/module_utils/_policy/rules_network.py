# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of networks, endpoints and ports.

What a rule is: :mod:`_policy.rules`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Dict, Iterable, List, Optional, Set

from .bodies import ENDPOINT
from .call import Json
from .decision import NETWORK, Found, Refusal
from .names import check_new_name
from .policy import DEFAULT_BRIDGE, Ports
from .scope import DROP, RuleResult, Scope, no_such, refuse_field
from .text import malformed

PREDEFINED = ("bridge", "host", "none", "default", "ingress", "docker_gwbridge")
NETWORK_OPTIONS = (
    "com.docker.network.driver.mtu",
    "com.docker.network.bridge.enable_icc",
    "com.docker.network.container_iface_prefix",
)
_DEFAULTS = ("", "default", DEFAULT_BRIDGE)
_PORT = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?\Z")
EVERY_ADDRESS = ("", "0.0.0.0", "::")
"""Ways to write every address of the host."""
_MAX_PORTS = 1000


def network_mode(scope: Scope, value: Json, where: str) -> RuleResult:
    mode = value or ""
    if mode == "none":
        return mode
    if mode in _DEFAULTS:
        check_bridge(scope, where)
        return value or DROP
    if mode == "host":
        raise Refusal("namespace", f"{where} is the network of the host", allowed=_allowed_networks(scope))
    if mode.startswith("container:"):
        if scope.policy.restricted:
            raise Refusal("namespace", f"{where} joins another container", allowed=_allowed_networks(scope))
        return f"container:{scope.own_container(mode[10:]).id}"
    return _forwarded(mode, usable_network(scope, mode))


def check_bridge(scope: Scope, where: str) -> None:
    """Check whether the default bridge may be used.

    Raises:
        Refusal: it is not in the policy's list.
    """
    if DEFAULT_BRIDGE not in scope.policy.networks or scope.policy.restricted:
        raise Refusal(
            "network", f"{where} is the default bridge", allowed=_allowed_networks(scope), setting="networks"
        )


def _allowed_networks(scope: Scope) -> str:
    listed = () if scope.policy.restricted else scope.policy.networks
    return ", ".join(("Networks of this identity", *listed, "none"))


def usable_network(scope: Scope, reference: str) -> Found:
    """Return a network that containers of the identity may join.

    Raises:
        Pending: the engine has not been asked about it.
        Refusal: it belongs to others, or does not exist.
    """
    found = scope.find(NETWORK, reference)
    if found is None:
        raise no_such(NETWORK, reference)
    listed = found.name in scope.policy.networks and not scope.policy.restricted and not found.owner
    if scope.is_own(found) or listed:
        return found
    if scope.sees(found):
        raise Refusal(
            "network", f"The network {reference} is not one that containers of this identity may join",
            allowed=_allowed_networks(scope), setting="networks",
        )  # fmt: skip
    raise no_such(NETWORK, reference)


def _forwarded(reference: str, found: Found) -> str:
    """A name stays a name, so that the container shows it; the beginning of an ID becomes the ID."""
    return found.name if reference == found.name else found.id


def endpoints(scope: Scope, value: Json, where: str) -> RuleResult:
    scope.find_all(NETWORK, [name for name in value if name not in (*_DEFAULTS, "none", "host")])
    kept: Dict[str, Json] = {}
    joined: Set[str] = set()
    for name, row in value.items():
        found: Optional[Found] = None
        place = f"{where}[{name}]"
        if name in _DEFAULTS:
            check_bridge(scope, place)
        elif name == "host":
            raise Refusal(
                "namespace", f"{place} is the network of the host", allowed=_allowed_networks(scope)
            )
        elif name != "none":
            found = usable_network(scope, name)
        identifier = found.id if found else DEFAULT_BRIDGE if name in _DEFAULTS else name
        if identifier in joined:
            raise malformed(f"{where} names one network twice")
        joined.add(identifier)
        kept[_forwarded(name, found) if found else name] = _endpoint(scope, found, row, place)
    return kept


def _endpoint(scope: Scope, found: Optional[Found], row: Json, where: str) -> Json:
    before, scope.network = scope.network, found
    try:
        return scope.apply(ENDPOINT, row, where)
    finally:
        scope.network = before


def endpoint(scope: Scope, value: Json, where: str) -> RuleResult:
    """The endpoint of a connection; its network is that of the path."""
    return _endpoint(scope, scope.find(NETWORK, scope.call.names[NETWORK]), value, where)


def own_address(scope: Scope, value: Json, where: str) -> RuleResult:
    if scope.network is None or not scope.is_own(scope.network):
        raise Refusal(
            "network", f"{where} is not allowed here", allowed="Addresses on networks of this identity"
        )
    return value


def own_aliases(scope: Scope, value: Json, where: str) -> RuleResult:
    if scope.network is None or not scope.is_own(scope.network):
        raise Refusal(
            "network", f"{where} is not allowed here", allowed="Aliases on networks of this identity"
        )
    return value


def links(scope: Scope, value: Json, where: str) -> RuleResult:
    if scope.policy.restricted:
        raise refuse_field(where)
    rows = [text.partition(":") for text in value]
    scope.find_all("container", [row[0] for row in rows])
    return [f"{scope.own_container(reference).id}:{alias or reference}" for reference, _mark, alias in rows]


def port_bindings(scope: Scope, value: Json, where: str) -> RuleResult:
    if scope.policy.restricted:
        raise Refusal(
            "port", f"{where} publishes ports", allowed="Networks of this identity", setting="level"
        )
    # Engines take an empty list for one port of their choice on every address.
    return {
        port: [_binding(scope.policy.ports, row, f"{where}[{port}]") for row in rows or [{}]]
        for port, rows in value.items()
    }


def _binding(ports: Ports, row: Dict[str, str], where: str) -> Dict[str, str]:
    address, port = row.get("HostIp", ""), row.get("HostPort", "")
    if address in EVERY_ADDRESS and "*" not in ports.addresses:
        if address != "" or not ports.addresses:
            raise _refuse_port(ports, f"{where} is published on every address")
        address = ports.addresses[0]
    elif address not in EVERY_ADDRESS and not _is_listed(ports.addresses, address):
        raise _refuse_port(ports, f"{where} is published on an address that is not allowed")
    if port in ("", "0"):
        if not ports.random:
            raise _refuse_port(ports, f"{where} is published on a port of the engine's choice")
    elif not _in_ranges(ports, port, where):
        raise _refuse_port(ports, f"{where} is published on port {port}")
    return {"HostIp": address, "HostPort": port}


def _is_listed(addresses: Iterable[str], address: str) -> bool:
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        raise malformed("HostIp is not an IP address") from None
    return any(text == "*" or ipaddress.ip_address(text) == wanted for text in addresses)


def _in_ranges(ports: Ports, text: str, where: str) -> bool:
    if not _PORT.match(text):
        raise malformed(f"{where}: HostPort is neither a port nor a range")
    first, _mark, last = text.partition("-")
    low, high = int(first), int(last or first)
    if not 0 < low <= high < 65536 or high - low > _MAX_PORTS:
        raise malformed(f"{where}: HostPort is not a range of ports")
    return any(start <= low and high <= end for start, end in ports.ranges)


def _refuse_port(ports: Ports, problem: str) -> Refusal:
    ranges = [f"{low}" if low == high else f"{low}-{high}" for low, high in ports.ranges]
    choices = [*ranges, *(["a port of the engine's choice"] if ports.random else [])]
    allowed = f"{', '.join(choices) or 'no port'} on {', '.join(ports.addresses) or 'no address'}"
    return Refusal("port", problem, allowed=allowed[0].upper() + allowed[1:], setting="ports")


def publish_all(scope: Scope, value: Json, where: str) -> RuleResult:
    ports = scope.policy.ports
    if scope.policy.restricted or not ports.random or "*" not in ports.addresses:
        raise _refuse_port(ports, f"{where} publishes ports of the engine's choice on every address")
    return value


def network_name(scope: Scope, value: Json, where: str) -> RuleResult:
    if not value:
        raise malformed("The body names no network")
    check_new_name(scope.policy, NETWORK, value)
    found = None if value in PREDEFINED else scope.find(NETWORK, value)
    if value in PREDEFINED or (found is not None and not scope.is_own(found)):
        # Two networks may have one name. Then nobody can use it any more.
        raise Refusal("name", f"The name {value} of the new network cannot be used", allowed="Another name")
    scope.count("networks")
    return value


def bridge_driver(scope: Scope, value: Json, where: str) -> RuleResult:
    raise Refusal("value", f"{where} is not allowed", allowed="bridge")


def internal(scope: Scope, value: Json, where: str) -> RuleResult:
    if scope.policy.internal and not value:
        raise Refusal(
            "network", "The new network is not internal", allowed="Internal: true", setting="internal"
        )
    return DROP if value is None else value


def network_options(scope: Scope, value: Json, where: str) -> RuleResult:
    for name in value:
        if name not in NETWORK_OPTIONS:
            raise Refusal(
                "value", f"{where} has an option that is not allowed", allowed=", ".join(NETWORK_OPTIONS)
            )
    return value


def subnets(scope: Scope, value: Json, where: str) -> RuleResult:
    pools = [ipaddress.ip_network(text) for text in scope.policy.subnets]
    for row in value:
        for name in ("Subnet", "IPRange"):
            if row.get(name) and not _is_inside(pools, row[name]):
                raise Refusal(
                    "network", f"{where} has a subnet that is not allowed",
                    allowed=", ".join(scope.policy.subnets) or "What the engine chooses", setting="subnets",
                )  # fmt: skip
        others: List[str] = [row.get("Gateway", ""), *row.get("AuxiliaryAddresses", {}).values()]
        if any(others) and not row.get("Subnet"):
            raise malformed(f"{where} has addresses without a subnet")
    return value


def _is_inside(pools: List[Any], text: str) -> bool:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        network = None
    if network is None or "/" not in text:
        raise malformed("A subnet is not written as ADDRESS/BITS")
    return any(pool.version == network.version and network.subnet_of(pool) for pool in pools)
