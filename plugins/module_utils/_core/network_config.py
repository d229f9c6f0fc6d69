# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dockerd's configuration says about networks that are not there yet: addresses to come, known in advance.

Measured on Docker 20.10 and 26.1:

- ``bip`` is docker0's address from the engine's next start on. With ``ipv6``, docker0's IPv6 address is the first of
  ``fixed-cidr-v6``. Neither release knows ``bip6``, which newer ones have.
- ``default-address-pools`` are cut into subnets in the order in which they are written. A new network gets the next
  free subnet, and its gateway is the subnet's first address.
- With pools and without ``bip``, docker0 is made anew at every start of the engine, in the first free subnet: it moves
  when a subnet before its own has become free.
- With ``live-restore``, docker0 stays as it is while a container runs. If none does, it takes ``bip``, not a pool.

Sources: Docker documentation, "dockerd", daemon configuration file; moby, ``daemon_unix.go``.
"""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass, replace
from typing import Any, Iterable, Iterator, Mapping, Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.daemon_json import PATH
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import (
    DEFAULT_BRIDGE,
    Gateway,
    NamedAddress,
    Topology,
)

MAXIMUM_POOL_NAMES = 64
"""Subnets of the pools whose first address is named in advance.

A pool of /24 in 10.0.0.0/8 has 65,536 subnets, and every handshake carries the whole certificate. The bound counts from
the start of the pools and not from the first free subnet, so that a network which comes or goes within it never
changes the certificate. Beyond it, a network is named once it exists, as all are without pools.
"""

_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

_MEND = "Mend the file: dockerd would not start with it"


@dataclass(frozen=True)
class Promise:
    """An address that docker0 gets when the engine starts next.

    Attributes:
        key: of daemon.json, such as ``bip``.
        address: without a prefix length.
        subnet: in CIDR notation.
    """

    key: str
    address: str
    subnet: str

    @property
    def family(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.address).version


@dataclass(frozen=True)
class AddressPool:
    """An entry of ``default-address-pools``.

    Attributes:
        base: what is cut into subnets, in CIDR notation.
        size: prefix length of each.
    """

    base: str
    size: int

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_network(self.base).version

    def subnets(self) -> Iterator[_Network]:
        """In the engine's order; none where a subnet has no room for a gateway and a container."""
        if self.size > ipaddress.ip_network(self.base).max_prefixlen - 2:
            return iter(())
        return ipaddress.ip_network(self.base).subnets(new_prefix=self.size)


@dataclass(frozen=True)
class NetworkConfig:
    """What is configured for networks.

    Attributes:
        promises: docker0's addresses: at most one IPv4, at most one IPv6.
        pools: where new networks come from; empty for the engine's own default.
        own_bridge: the default network is on a bridge of the administrator's (``bridge``), or there is none.
        live_restore: containers survive a restart of the engine.
    """

    promises: tuple[Promise, ...] = ()
    pools: tuple[AddressPool, ...] = ()
    own_bridge: bool = False
    live_restore: bool = False


def parse_network_config(
    config: Mapping[str, Any], running_pools: Iterable[Mapping[str, Any]] = (), path: str = PATH
) -> NetworkConfig:
    """Reads the keys that are about networks.

    Args:
        config: daemon.json.
        running_pools: the pools of the engine that runs, as ``GET /info`` has them: they may come from its command
            line. They count where the file names none.
        path: of the file, for messages.

    Raises:
        Refused: a value is none that dockerd would start with.
    """
    pools = config.get("default-address-pools") or list(running_pools)
    if not isinstance(pools, list):
        raise _bad(path, "default-address-pools", 'a list of {"base": "10.1.0.0/16", "size": 24}', pools)
    return NetworkConfig(
        promises=tuple(_promises(config, path)),
        pools=tuple(_parse_pool(pool, path) for pool in pools),
        own_bridge=bool(config.get("bridge")),
        live_restore=config.get("live-restore") is True,
    )


def promised_names(config: NetworkConfig) -> tuple[NamedAddress, ...]:
    """The addresses to come, for the server certificate's SANs.

    Those of docker0 are urgent, for wherever it moves, every wormhole has to follow. Those of the pools can wait:
    there is nobody at a network that does not exist. Pools of IPv6, of which one has more subnets than the bound as a rule,
    come last wherever they are written: the engine takes a subnet of each family.
    """
    names = [NamedAddress(f"IP:{promise.address}", f"{promise.key} of {PATH}") for promise in config.promises]
    pools = sorted(config.pools, key=lambda pool: pool.version)
    subnets = itertools.chain.from_iterable(pool.subnets() for pool in pools)
    for subnet in itertools.islice(subnets, MAXIMUM_POOL_NAMES):
        origin = f"first address of {subnet}, of default-address-pools"
        names.append(NamedAddress(f"IP:{subnet.network_address + 1}", origin, urgent=False))
    return tuple(names)


def topology_after_restart(topology: Topology, config: NetworkConfig, taken: Iterable[str] = ()) -> Topology:
    """Where docker0 is once the engine has been restarted; as it is now, where nothing is configured for it.

    Args:
        topology: the networks as they are.
        config: what the engine reads when it starts.
        taken: subnets beyond docker0's to which the host has routes: pools are searched for others.
    """
    if config.own_bridge or topology.default is None:
        return topology
    interface = topology.default.interface
    promises = list(config.promises)
    if config.pools and not config.live_restore and not any(promise.family == 4 for promise in promises):
        subnet = _first_free(topology, config, taken)
        if subnet is not None:
            promises.append(Promise("default-address-pools", str(subnet.network_address + 1), str(subnet)))
    gateways = list(topology.gateways)
    for promise in promises:
        moved = Gateway(promise.address, promise.family, DEFAULT_BRIDGE, interface, promise.subnet)
        places = [
            i for i, g in enumerate(gateways) if (g.network, g.family) == (DEFAULT_BRIDGE, moved.family)
        ]
        if places:
            gateways[places[0]] = moved
        else:
            # IPv4 before IPv6, and the default bridge before all others, as parse_networks sorts them.
            gateways.insert(1, moved)
    return replace(topology, gateways=tuple(gateways))


def _promises(config: Mapping[str, Any], path: str) -> Iterator[Promise]:
    if config.get("bip"):
        yield _parse_promise(config["bip"], "bip", path)
    if config.get("ipv6") is not True:
        return
    if config.get("bip6"):
        yield _parse_promise(config["bip6"], "bip6", path)
    elif config.get("fixed-cidr-v6"):
        value = config["fixed-cidr-v6"]
        try:
            subnet = ipaddress.IPv6Network(value, strict=False)
        except (TypeError, ValueError) as error:
            raise _bad(path, "fixed-cidr-v6", "an IPv6 subnet, such as fd00:1::/64", value) from error
        if not subnet.is_link_local:
            yield Promise("fixed-cidr-v6", str(subnet.network_address + 1), str(subnet))


def _parse_promise(value: Any, key: str, path: str) -> Promise:
    example = "fd00:1::1/64" if key == "bip6" else "10.1.0.1/24"
    try:
        address, prefix = value.split("/")
        interface = ipaddress.ip_interface(f"{address}/{int(prefix)}")
    except (AttributeError, ValueError) as error:
        raise _bad(
            path, key, f"an address with the prefix length of its subnet, such as {example}", value
        ) from error
    return Promise(key, str(interface.ip), str(interface.network))


def _parse_pool(value: Any, path: str) -> AddressPool:
    # encoding/json, which dockerd reads with, takes these names in any case; GET /info has them as Base and Size.
    fields = {str(key).lower(): field for key, field in value.items()} if isinstance(value, dict) else {}
    try:
        base, size = ipaddress.ip_network(fields["base"], strict=False), int(fields["size"])
        if not base.prefixlen <= size <= base.max_prefixlen:
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        example = 'a base and the prefix length of its subnets, such as {"base": "10.1.0.0/16", "size": 24}'
        raise _bad(path, "default-address-pools", example, value) from error
    return AddressPool(str(base), size)


def _first_free(topology: Topology, config: NetworkConfig, taken: Iterable[str]) -> Optional[_Network]:
    others = [gateway.subnet for gateway in topology.gateways if gateway.network != DEFAULT_BRIDGE]
    occupied = [ipaddress.ip_network(text) for text in (*others, *taken)]
    # A pool of IPv6 may have more subnets than could be counted.
    pools = (pool for pool in config.pools if pool.version == 4)
    for subnet in itertools.chain.from_iterable(pool.subnets() for pool in pools):
        if not any(subnet.overlaps(other) for other in occupied):
            return subnet
    return None


def _bad(path: str, key: str, expected: str, found: Any) -> Refused:
    return Refused(f"{path}: {key}", expected=expected, found=repr(found), remedy=_MEND)
