# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener's systemd units: sockets for each address and for a unix socket, and plaintext
proxies. If the gate serves TLS, the sockets for the addresses are units of the gate instead.

docker.service wants each socket of dockerd. One restart of the service therefore starts the sockets
in the same transaction, after the old engine has stopped and before the new one starts; systemd
allows no other moment.

dockerd speaks either TLS or plaintext on all of its TCP sockets. socat(1) therefore serves
plaintext and passes each connection on to the stock unix socket. systemd-socket-proxyd(8) would end
a connection as soon as one side has no more to send, and lose the output of ``docker run``
(measured with systemd 252). The plaintext sockets are bound to the bridge's interface, because
Linux accepts connections to each of its addresses on every interface, and nothing else protects
them.

Sources: systemd.socket(5), systemd.unit(5), socat(1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .._base.address import SocketAddress
from .._base.systemd_units import MANAGED, UNIT_DIRECTORY, parse_stream
from .._gate import units as gate_units
from .._networks.gateways import Topology
from . import guard
from .spec import ENGINE_UNIT, ListenerSpec

PREFIX = "wormhole-docker"
SINGLE_UNIT = f"{PREFIX}.socket"
"""The only unit of earlier versions, for all addresses."""
UNIX_UNIT = f"{PREFIX}-unix.socket"
INSECURE_PREFIX = f"{PREFIX}-insecure-plaintext-"
GATE_PREFIX = "wormhole-gate-tls-"

_STOCK_SOCKET = "/run/docker.sock"
PROXY = "/usr/bin/socat"
_CONNECTIONS = 256
_LINGER = 86400
"""Seconds for which one side can still send after the other has ended; socat's default is 0.5."""


@dataclass(frozen=True)
class SocketAccess:
    """Mode, user and group of the stock unix socket (systemd.socket(5)).

    Attributes:
        active: whether docker.socket is active. A host can be without it.
    """

    mode: str = "0660"
    user: str = "root"
    group: str = "docker"
    active: bool = True


def unit_path(name: str) -> str:
    """Path of a unit's file."""
    return f"{UNIT_DIRECTORY}/{name}"


def tls_unit(address: str, port: int) -> str:
    """Name of an endpoint's socket unit. systemd allows colons in it, but no brackets."""
    return f"{PREFIX}-{address}:{port}.socket"


def is_listener_unit(name: str) -> bool:
    """Whether a name is that of a listener's unit, of this or an earlier version."""
    pattern = re.escape(PREFIX) + r"-(insecure-plaintext-)?[0-9a-fA-F.:]+@?\.(socket|service)"
    return name in (SINGLE_UNIT, UNIX_UNIT) or is_gate_unit(name) or bool(re.fullmatch(pattern, name))


def is_gate_unit(name: str) -> bool:
    """Whether a name is that of a TLS socket of the gate."""
    return bool(re.fullmatch(re.escape(GATE_PREFIX) + r"[0-9a-fA-F.:]+\.socket", name))


def is_engine_unit(name: str) -> bool:
    """Whether a unit of the listener hands its sockets to dockerd."""
    return not is_insecure(name) and not is_gate_unit(name)


def is_tls_unit(name: str) -> bool:
    """Whether a name is that of a TLS socket of dockerd."""
    return is_listener_unit(name) and name != UNIX_UNIT and is_engine_unit(name)


def is_insecure(name: str) -> bool:
    """Whether a unit belongs to a plaintext proxy."""
    return name.startswith(INSECURE_PREFIX)


def is_template(name: str) -> bool:
    """Whether systemd starts an instance of a unit for each connection (systemd.unit(5))."""
    return "@." in name


def wants_links(name: str) -> tuple[str, ...]:
    """Paths of the links to a listener's unit, by its [Install] section."""
    if is_gate_unit(name):
        return gate_units.wants_links(name)
    units: tuple[str, ...] = ("sockets.target", ENGINE_UNIT)
    if is_insecure(name):
        units = (ENGINE_UNIT,) if name.endswith(".socket") else ()
    return tuple(f"{UNIT_DIRECTORY}/{unit}.wants/{name}" for unit in units)


def render_units(
    spec: ListenerSpec,
    endpoints: tuple[SocketAddress, ...],
    insecure: tuple[SocketAddress, ...],
    topology: Topology,
    stock: SocketAccess,
) -> dict[str, str]:
    """Renders all desired units by name: TLS endpoints, unix socket, and insecure endpoints."""
    if spec.gate_tls:
        units = {gate_units.tls_unit(endpoint): gate_units.render_tls(endpoint) for endpoint in endpoints}
    else:
        units = {tls_unit(*endpoint): _render_tls(*endpoint) for endpoint in endpoints}
    if spec.unix_socket:
        units[UNIX_UNIT] = _render_unix(spec.unix_socket, stock)
    for address, port in insecure:
        gateway = topology.find(address)
        name, interface = f"{INSECURE_PREFIX}{address}:{port}", "lo" if gateway is None else gateway.interface
        units[f"{name}.socket"] = _render_insecure_socket(address, port, interface)
        units[f"{name}@.service"] = _render_insecure_service()
    return units


def parse_socket_unit(text: str) -> tuple[SocketAddress, ...]:
    """Parses the TCP endpoints that a socket unit names."""
    streams = re.findall(r"^ListenStream=(.*)$", text, re.MULTILINE)
    return tuple(endpoint for endpoint in map(parse_stream, streams) if endpoint is not None)


def parse_unix_paths(text: str) -> tuple[str, ...]:
    """Parses the paths of the unix sockets that a socket unit names."""
    return tuple(re.findall(r"^ListenStream=(/.*)$", text, re.MULTILINE))


def _render_tls(address: str, port: int) -> str:
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API for wormholed containers, by mutual TLS\n"
        f"ConditionPathExistsGlob={guard.DROP_INS}\n"
        "\n[Socket]\n"
        f"ListenStream={SocketAddress(address, port)}\n"
        "FreeBind=true\n"
        f"Service={ENGINE_UNIT}\n"
        "\n[Install]\n"
        f"WantedBy=sockets.target {ENGINE_UNIT}\n"
    )


def _render_unix(path: str, stock: SocketAccess) -> str:
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API in a directory of its own, for wormholed containers\n"
        "\n[Socket]\n"
        f"ListenStream={path}\n"
        f"SocketMode={stock.mode}\n"
        f"SocketUser={stock.user}\n"
        f"SocketGroup={stock.group}\n"
        "DirectoryMode=0755\n"
        "RemoveOnStop=true\n"
        f"Service={ENGINE_UNIT}\n"
        "\n[Install]\n"
        f"WantedBy=sockets.target {ENGINE_UNIT}\n"
    )


def _render_insecure_socket(address: str, port: int, interface: str) -> str:
    # The interface exists only after dockerd has started. A unit ordered after it cannot be part of
    # sockets.target.
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API in plaintext, INSECURE: whoever reaches it is root on this host\n"
        "DefaultDependencies=no\n"
        f"After={ENGINE_UNIT}\n"
        "Conflicts=shutdown.target\n"
        "Before=shutdown.target\n"
        "\n[Socket]\n"
        f"ListenStream={SocketAddress(address, port)}\n"
        f"BindToDevice={interface}\n"
        "FreeBind=true\n"
        "Accept=yes\n"
        f"MaxConnections={_CONNECTIONS}\n"
        "\n[Install]\n"
        f"WantedBy={ENGINE_UNIT}\n"
    )


def _render_insecure_service() -> str:
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API in plaintext, INSECURE: passes a connection on to the unix socket\n"
        "CollectMode=inactive-or-failed\n"
        "\n[Service]\n"
        f"ExecStart={PROXY} -t {_LINGER} STDIO UNIX-CONNECT:{_STOCK_SOCKET}\n"
        "StandardInput=socket\n"
        "StandardOutput=socket\n"
        "StandardError=journal\n"
    )
