# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener's systemd units: one socket for each address, one for the unix socket, a proxy for plaintext.

A socket of dockerd's is wanted by docker.service too, so that one restart of the service starts it in the same
transaction, at the moment at which systemd allows it: after the old engine has stopped and before the new one starts.

dockerd speaks either TLS or plaintext on all its TCP sockets. Plaintext, where somebody insists on it, is therefore
served by socat(1), which passes it on to the stock unix socket; systemd-socket-proxyd(8) ends a connection when one
side has no more to send, and so loses what ``docker run`` prints (measured with systemd 252). Its sockets are bound to the bridge's
interface: Linux answers for any of its addresses on any interface, and without TLS nothing else keeps others out.

Sources: systemd.socket(5), systemd.unit(5), socat(1).
"""

from __future__ import annotations

import re

from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    ENGINE_UNIT,
    ListenerSpec,
    SocketAccess,
    render_endpoint,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.systemd_units import (
    MANAGED,
    UNIT_DIRECTORY,
    parse_stream,
)

PREFIX = "wormhole-docker"
SINGLE_UNIT = f"{PREFIX}.socket"
"""Of earlier versions, which had one unit for all addresses."""
UNIX_UNIT = f"{PREFIX}-unix.socket"
INSECURE_PREFIX = f"{PREFIX}-insecure-plaintext-"

_STOCK_SOCKET = "/run/docker.sock"
PROXY = "/usr/bin/socat"
_CONNECTIONS = 256
_LINGER = 86400
"""Seconds for which the one side may go on to send after the other has ended; socat's own default is half a second."""


def unit_path(name: str) -> str:
    """Where the file of a unit of ours is."""
    return f"{UNIT_DIRECTORY}/{name}"


def tls_unit(address: str, port: int) -> str:
    """Name of the socket unit of an endpoint; systemd allows colons in it, and no brackets."""
    return f"{PREFIX}-{address}:{port}.socket"


def is_listener_unit(name: str) -> bool:
    """Whether a unit's name is one that this module gives, or gave in an earlier version."""
    if name == SINGLE_UNIT:
        return True
    return name == UNIX_UNIT or bool(
        re.fullmatch(re.escape(PREFIX) + r"-(insecure-plaintext-)?[0-9a-fA-F.:]+@?\.(socket|service)", name)
    )


def is_tls_unit(name: str) -> bool:
    """Whether a unit's name is that of a socket that is served by TLS."""
    return is_listener_unit(name) and name != UNIX_UNIT and not is_insecure(name)


def is_insecure(name: str) -> bool:
    """Whether a unit serves plaintext; dockerd has nothing to do with it."""
    return name.startswith(INSECURE_PREFIX)


def is_template(name: str) -> bool:
    """Whether a unit is one of which systemd starts an instance for each connection (systemd.unit(5))."""
    return "@." in name


def pulled_in_by(name: str) -> tuple[str, ...]:
    """The units that want a unit of ours, by its [Install] section."""
    if is_insecure(name):
        return (ENGINE_UNIT,) if name.endswith(".socket") else ()
    return ("sockets.target", ENGINE_UNIT)


def wants_links(name: str) -> tuple[str, ...]:
    """The links by which they do."""
    return tuple(f"{UNIT_DIRECTORY}/{unit}.wants/{name}" for unit in pulled_in_by(name))


def render_units(
    spec: ListenerSpec,
    endpoints: tuple[tuple[str, int], ...],
    insecure: tuple[tuple[str, int], ...],
    topology: Topology,
    stock: SocketAccess,
) -> dict[str, str]:
    """All units that should be there, as texts by name.

    Args:
        spec: what is asked for.
        endpoints: where dockerd listens by TLS.
        insecure: where plaintext is served.
        topology: the networks that the addresses are gateways of.
        stock: who may use the stock unix socket.
    """
    units = {tls_unit(*endpoint): _render_tls(*endpoint) for endpoint in endpoints}
    if spec.unix_socket:
        units[UNIX_UNIT] = _render_unix(spec.unix_socket, stock)
    for address, port in insecure:
        gateway = topology.find(address)
        name = f"{INSECURE_PREFIX}{address}:{port}"
        units[f"{name}.socket"] = _render_insecure_socket(
            address, port, "lo" if gateway is None else gateway.interface
        )
        units[f"{name}@.service"] = _render_insecure_service()
    return units


def parse_socket_unit(text: str) -> tuple[tuple[str, int], ...]:
    """The TCP endpoints that a socket unit names."""
    streams = re.findall(r"^ListenStream=(.*)$", text, re.MULTILINE)
    return tuple(endpoint for endpoint in map(parse_stream, streams) if endpoint is not None)


def parse_unix_paths(text: str) -> tuple[str, ...]:
    """The paths of unix sockets that a socket unit names."""
    return tuple(re.findall(r"^ListenStream=(/.*)$", text, re.MULTILINE))


def _render_tls(address: str, port: int) -> str:
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API for wormholed containers, by mutual TLS\n"
        "\n"
        "[Socket]\n"
        f"ListenStream={render_endpoint(address, port)}\n"
        "FreeBind=true\n"
        f"Service={ENGINE_UNIT}\n"
        "\n"
        "[Install]\n"
        f"WantedBy=sockets.target {ENGINE_UNIT}\n"
    )


def _render_unix(path: str, stock: SocketAccess) -> str:
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API in a directory of its own, for wormholed containers\n"
        "\n"
        "[Socket]\n"
        f"ListenStream={path}\n"
        f"SocketMode={stock.mode}\n"
        f"SocketUser={stock.user}\n"
        f"SocketGroup={stock.group}\n"
        "DirectoryMode=0755\n"
        "RemoveOnStop=true\n"
        f"Service={ENGINE_UNIT}\n"
        "\n"
        "[Install]\n"
        f"WantedBy=sockets.target {ENGINE_UNIT}\n"
    )


def _render_insecure_socket(address: str, port: int, interface: str) -> str:
    # The interface exists once dockerd has started; ordered after it, this cannot be part of sockets.target.
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API in plaintext, INSECURE: whoever reaches it is root on this host\n"
        "DefaultDependencies=no\n"
        f"After={ENGINE_UNIT}\n"
        "Conflicts=shutdown.target\n"
        "Before=shutdown.target\n"
        "\n"
        "[Socket]\n"
        f"ListenStream={render_endpoint(address, port)}\n"
        f"BindToDevice={interface}\n"
        "FreeBind=true\n"
        "Accept=yes\n"
        f"MaxConnections={_CONNECTIONS}\n"
        "\n"
        "[Install]\n"
        f"WantedBy={ENGINE_UNIT}\n"
    )


def _render_insecure_service() -> str:
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API in plaintext, INSECURE: passes a connection on to the unix socket\n"
        "CollectMode=inactive-or-failed\n"
        "\n"
        "[Service]\n"
        f"ExecStart={PROXY} -t {_LINGER} STDIO UNIX-CONNECT:{_STOCK_SOCKET}\n"
        "StandardInput=socket\n"
        "StandardOutput=socket\n"
        "StandardError=journal\n"
    )
