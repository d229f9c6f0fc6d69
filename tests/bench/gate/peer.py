# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The peer: HAProxy of Debian, configured as the container docker-socket-proxy configures it.

Its haproxy.cfg (github.com/Tecnativa/docker-socket-proxy, v0.4.1) was read, not copied. What it does to a
call is the same here: HTTP mode, one line of log for each call to the standard output, a new connection to
the engine for each (option http-server-close), and for each section of the API a regular expression that is
matched with the decoded path if the section's environment variable is true. Everything is allowed here,
so the sections that come first in the list are found first, as there.
"""

from __future__ import annotations

CONFIGURATION = "/srv/bench/haproxy.cfg"
SERVER = "/srv/bench/server.pem"
"""Certificate and key."""
SOCKET = "/srv/bench/haproxy.sock"
UNIT = "bench-haproxy.service"

VERBS = ("(stop|restart|kill)", "start", "stop")
"""Calls on a container with variables of their own, which are asked about first."""
SECTIONS = (
    "auth", "build", "commit", "configs", "containers", "distribution", "events", "exec", "grpc", "images", "info",
    "networks", "nodes", "_ping", "plugins", "secrets", "services", "session", "swarm", "system", "tasks", "version",
    "volumes",
)  # fmt: skip
_VERSION = r"(/v[\d\.]+)?"


def render(address: str, authority: str) -> str:
    """Return the configuration.

    Args:
        address: where it serves TLS, as ADDRESS:PORT. docker-socket-proxy serves plaintext by default.
        authority: path of the certificates that issue those of clients.
    """
    paths = [*(f"/containers/[a-zA-Z0-9_.-]+/{verb}" for verb in VERBS), *(f"/{name}" for name in SECTIONS)]
    allowed = "\n".join(
        f"    http-request allow if {{ path,url_dec -m reg -i ^{_VERSION}{path} }} {{ env(ALLOW) -m bool }}"
        for path in paths
    )
    return f"""global
    log stdout format raw daemon info
    maxconn 4000

defaults
    mode http
    log global
    option httplog
    option dontlognull
    option http-server-close
    option redispatch
    retries 3
    maxconn 3000
    timeout connect 10s
    timeout client 10m
    timeout server 10m
    timeout http-request 10s
    timeout http-keep-alive 10s

backend engine
    server socket /run/docker.sock

frontend proxy
    bind {SOCKET}
    bind {address} ssl crt {SERVER} ca-file {authority} verify required
    http-request deny unless METH_GET || {{ env(ALLOW) -m bool }}
{allowed}
    http-request deny
    default_backend engine
"""
