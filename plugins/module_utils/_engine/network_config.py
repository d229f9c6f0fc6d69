# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The addresses of networks to come, as dockerd's configuration determines them.

Measured on Docker 20.10 and 26.1:

- ``bip`` is docker0's address from the next start of the engine on. With ``ipv6``, docker0's IPv6
  address is the first one of ``fixed-cidr-v6``. Neither release knows ``bip6``; newer ones do.
- The engine divides ``default-address-pools`` into subnets in the order of the file. A new network
  gets the next free subnet, and its gateway is the first address of the subnet.
- With pools and without ``bip``, the engine creates docker0 at every start, in the first free
  subnet. docker0 moves if an earlier subnet has become free.
- With ``live-restore``, docker0 stays as it is while a container is running. Otherwise it gets
  ``bip``, but no pool.

Sources: Docker documentation, "dockerd", daemon configuration file; moby, ``daemon_unix.go``.
"""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass, replace
from typing import Any, Iterable, Iterator, Mapping, Optional, Union

from .._base.errors import Refused
from .._container.values import canonical_address, is_address
from .._networks import ranges
from .._networks.gateways import DEFAULT_BRIDGE, Gateway, NamedAddress, Topology
from .daemon_json import PATH

MAXIMUM_POOL_NAMES = 64
"""How many subnets of the pools have their first address in the certificate in advance.

A pool of /24 in 10.0.0.0/8 has 65,536 subnets, and every handshake transmits the whole certificate.
The limit counts from the start of the pools, not from the first free subnet: a network that is
created or removed within it never changes the certificate. A network beyond it is added to the
certificate once it exists.
"""

_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

_REPAIR = "Repair the file: dockerd would not start with it"


@dataclass(frozen=True)
class Promise:
    """An address that docker0 gets at the next start of the engine.

    Attributes:
        key: the key of daemon.json that sets it, such as ``bip``.
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
        base: the network to divide, in CIDR notation.
        size: prefix length of each subnet.
    """

    base: str
    size: int

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_network(self.base).version

    def subnets(self) -> Iterator[_Network]:
        """The subnets in the engine's order; none if too small for a gateway and a container."""
        if self.size > ipaddress.ip_network(self.base).max_prefixlen - 2:
            return iter(())
        return ipaddress.ip_network(self.base).subnets(new_prefix=self.size)


@dataclass(frozen=True)
class NetworkConfig:
    """What dockerd's configuration says about networks.

    Attributes:
        promises: docker0's addresses: at most one IPv4, at most one IPv6.
        pools: the subnets for new networks; empty for the engine's own default.
        own_bridge: the default network uses the administrator's bridge (``bridge``), or does not
            exist.
        live_restore: containers keep running during a restart of the engine.
    """

    promises: tuple[Promise, ...] = ()
    pools: tuple[AddressPool, ...] = ()
    own_bridge: bool = False
    live_restore: bool = False


def parse_network_config(
    config: Mapping[str, Any], running_pools: Iterable[Mapping[str, Any]] = (), path: str = PATH
) -> NetworkConfig:
    """Reads the keys for networks.

    Args:
        config: the parsed daemon.json.
        running_pools: the pools that the running engine reports (``GET /info``), for example from
            its command line. They count if the file sets none.
        path: path of the file, for messages.

    Raises:
        Refused: dockerd would not start with a value.
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


def parse_host_gateways(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses to which ``host-gateway`` leads in the hosts file of a container.

    Empty by default, which stands for docker0's address. ``host-gateway-ip`` was replaced by the
    list ``host-gateway-ips`` in Docker 28.
    """
    values = [config.get(key) or [] for key in ("host-gateway-ips", "host-gateway-ip")]
    texts = [text for value in values for text in ([value] if isinstance(value, str) else value)]
    return tuple(canonical_address(str(text)) for text in texts if is_address(str(text)))


def promised_names(config: NetworkConfig, path: str = PATH) -> tuple[NamedAddress, ...]:
    """The addresses to come, as names for the server certificate.

    Those of docker0 are urgent, because every wormhole has to use docker0's new address. Those of
    the pools are not: a network that does not exist has no clients. IPv6 pools come last, because a
    single one usually has more subnets than the limit. Pools that are not private are left out,
    because such an address needs the consent of the task.
    """
    names = [NamedAddress(f"IP:{promise.address}", f"{promise.key} of {path}") for promise in config.promises]
    local = (pool for pool in config.pools if ranges.is_local(ipaddress.ip_network(pool.base)[0]))
    pools = sorted(local, key=lambda pool: pool.version)
    subnets = itertools.chain.from_iterable(pool.subnets() for pool in pools)
    for subnet in itertools.islice(subnets, MAXIMUM_POOL_NAMES):
        origin = f"first address of {subnet}, of default-address-pools"
        names.append(NamedAddress(f"IP:{subnet.network_address + 1}", origin, urgent=False))
    return tuple(names)


def topology_after_restart(topology: Topology, config: NetworkConfig, taken: Iterable[str] = ()) -> Topology:
    """The networks after a restart of the engine, which may give docker0 another address.

    Args:
        topology: the present networks.
        config: the configuration that the engine reads at its start.
        taken: subnets other than docker0's to which the host has routes; the engine takes no
            overlapping subnet of a pool.
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
        present = [g for g in gateways if (g.network, g.family) == (DEFAULT_BRIDGE, moved.family)]
        if present:
            gateways[gateways.index(present[0])] = moved
        else:
            # In the order of parse_networks: the default bridge first, IPv4 before IPv6.
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
        expected = f"an address with the prefix length of its subnet, such as {example}"
        raise _bad(path, key, expected, value) from error
    return Promise(key, str(interface.ip), str(interface.network))


def _parse_pool(value: Any, path: str) -> AddressPool:
    # dockerd's JSON decoder accepts these names in any case; GET /info reports Base and Size.
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
    # An IPv6 pool may have too many subnets to iterate over.
    pools = (pool for pool in config.pools if pool.version == 4)
    subnets = itertools.chain.from_iterable(pool.subnets() for pool in pools)
    return next((subnet for subnet in subnets if not any(map(subnet.overlaps, occupied))), None)


def _bad(path: str, key: str, expected: str, found: Any) -> Refused:
    return Refused(f"{path}: {key}", expected=expected, found=repr(found), remedy=_REPAIR)
