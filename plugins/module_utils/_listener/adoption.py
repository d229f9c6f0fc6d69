# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Listeners that an administrator has configured: which of them dockerd keeps, which are adopted.

Units of this collection serve the TCP listeners. dockerd keeps its own unix sockets: on a host
without docker.socket, clients reach it by nothing else.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from .._base.address import SocketAddress, split_url
from .._engine import command as engine_command
from .._engine import options
from .model import ListenerState
from .spec import ListenerSpec

_STOCK_SOCKETS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock", "unix://", "unix:")
_TLS_PORT, _PLAINTEXT_PORT = 2376, 2375


def configured_hosts(state: ListenerState, config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The listeners that dockerd opens itself, by the file that configures them."""
    found = {}
    if "hosts" in config:
        value = config["hosts"]
        hosts = map(str, value if isinstance(value, list) else [value])
        found[state.command.config_file] = tuple(
            host for host in hosts if not host.startswith(options.SYSTEMD_SOCKETS)
        )
    otherwise = options.listens_otherwise(state.command.effective_words)
    if otherwise:
        found[state.command.source] = otherwise
    return found


def kept_hosts(spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The unix sockets that dockerd opens itself, and goes on to open."""
    hosts = [host for hosts in configured_hosts(state, config).values() for host in hosts]
    if "hosts" not in config and not options.hosts_of(state.command.effective_words):
        # An earlier run may have adopted the key hosts.
        adopted = engine_command.hosts_of_override(state.command) if state.command.override_path else None
        hosts = [options.DEFAULT_HOST] if adopted is None else [*adopted]
    ours = (f"unix://{spec.unix_socket}", f"unix:{spec.unix_socket}") if spec.unix_socket else ()
    passed = _STOCK_SOCKETS if _is_stock_socket_passed(state) else ()
    return tuple(
        dict.fromkeys(host for host in hosts if host.startswith("unix:") and host not in (*ours, *passed))
    )


def needs_override(spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]) -> bool:
    """Whether the configured command line lacks ``-H fd://`` or has listeners to replace."""
    words = state.command.words
    kept = kept_hosts(spec, state, config)
    others = [host for host in options.listens_otherwise(words) if host not in kept]
    return bool(others) or not options.takes_systemd_sockets(words)


def replaced_hosts(spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The listeners of the running dockerd, by its option -H, that it does not keep."""
    kept = kept_hosts(spec, state, config)
    running = options.listens_otherwise(state.command.running_words)
    return tuple(host for host in running if host not in kept)


def is_served(host: str, spec: ListenerSpec, endpoints: Iterable[SocketAddress]) -> bool:
    """Whether a listener stays reachable: this task serves it, or dockerd keeps it.

    Args:
        endpoints: where dockerd listens by TLS after the run.
    """
    if host.startswith("unix:") or host in _STOCK_SOCKETS:
        return True
    scheme, authority = split_url(host)
    if scheme not in ("", "tcp") or host.startswith(("fd:", "npipe:")):
        return False
    for default_port in (_TLS_PORT, _PLAINTEXT_PORT):
        address = SocketAddress.parse(authority, default_port)
        if address is None:
            continue
        # All addresses of the host are covered if the task lists one for other hosts.
        everywhere = address.host in ("", "0.0.0.0", "::")
        if (address.port == spec.port and spec.host_addresses) if everywhere else address in set(endpoints):
            return True
    return False


def _is_stock_socket_passed(state: ListenerState) -> bool:
    """Whether docker.socket passes Docker's default socket to dockerd, which does not open it."""
    running = state.command.running_words
    opens = set(options.listens_otherwise(running)) & set(_STOCK_SOCKETS)
    return state.stock.active and options.takes_systemd_sockets(running) and not opens
