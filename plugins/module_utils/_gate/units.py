# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd units of the gate: one service, a socket for each wormhole, and one for each gateway.

systemd holds the sockets. While the service is stopped or restarted, clients wait in their queues.
systemd passes a service only the sockets that were active when it started: a new socket requires a
restart of the service.

The service has a network namespace of its own. The sockets that systemd has opened stay in that of
the host, and they are all that the service can use.

Sources: systemd.socket(5), systemd.service(5), systemd.exec(5), systemd.resource-control(5).
"""

from __future__ import annotations

import posixpath
from typing import Optional

from .._base.address import SocketAddress
from .._base.systemd_units import UNIT_DIRECTORY
from .._base.systemd_words import escape
from . import config, identities

MANAGED = "# Managed by the Ansible role wormhole.docker.gate, which undoes changes made here.\n"
SERVICE = "wormhole-gate.service"
USER = "wormhole-gate"
ENGINE_GROUP = "docker"
PROGRAM = "/usr/lib/wormhole-gate"
INTERPRETER = "/usr/bin/python3"
SOCKETS = "/run/wormhole/gate"
_PREFIX = "wormhole-gate-"
_WATCHDOG_SECONDS = 30
_BACKLOG = 1024


def unix_unit(identity: str) -> str:
    """Name of the socket unit of an identity's unix socket."""
    return f"{_PREFIX}unix-{identity}.socket"


def tls_unit(address: SocketAddress) -> str:
    """Name of the socket unit of a gateway. systemd allows colons in it, but no brackets."""
    return f"{_PREFIX}tls-{address.host}:{address.port}.socket"


def unit_path(name: str) -> str:
    """Path of a unit's file."""
    return f"{UNIT_DIRECTORY}/{name}"


def wants_links(name: str) -> tuple[str, ...]:
    """Paths of the links to a unit, by its [Install] section."""
    units = ("multi-user.target",) if name == SERVICE else ("sockets.target", SERVICE)
    return tuple(f"{UNIT_DIRECTORY}/{unit}.wants/{name}" for unit in units)


def socket_path(identity: str) -> str:
    """Path of an identity's socket. Its directory is what a container mounts."""
    return f"{SOCKETS}/{identity}/{identities.SOCKET_NAME}"


def render_unix(identity: str, user: int, group: Optional[int] = None) -> str:
    """Renders the socket unit of an identity.

    Args:
        identity: the identity.
        user: number of the user that the container runs as. It needs no name on the host, which
            SocketUser= would require.
        group: number of its group; by default that of root.
    """
    path = socket_path(identity)
    owner = f"{user}:{0 if group is None else group}"
    return (
        f"{MANAGED}[Unit]\n"
        f"Description=Docker API by the policy of {escape(identity)}\n"
        "\n[Socket]\n"
        f"ListenStream={path}\n"
        f"FileDescriptorName={identities.UNIX_PREFIX}{identity}\n"
        "SocketMode=0600\n"
        "DirectoryMode=0755\n"
        f"ExecStartPost=/bin/chown {owner} {path}\n"
        f"Backlog={_BACKLOG}\n"
        "RemoveOnStop=true\n"
        f"Service={SERVICE}\n"
        "\n[Install]\n"
        f"WantedBy=sockets.target {SERVICE}\n"
    )


def render_tls(address: SocketAddress) -> str:
    """Renders the socket unit of a gateway."""
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API by policy, by mutual TLS\n"
        "\n[Socket]\n"
        f"ListenStream={address}\n"
        f"FileDescriptorName={identities.TLS_NAME}\n"
        "FreeBind=true\n"
        f"Backlog={_BACKLOG}\n"
        f"Service={SERVICE}\n"
        "\n[Install]\n"
        f"WantedBy=sockets.target {SERVICE}\n"
    )


def render_service(settings: config.GateConfig, memory: str = "512M", tasks: int = 8192) -> str:
    """Renders the service.

    Args:
        settings: its configuration, for the time that it takes to stop.
        memory: MemoryMax=.
        tasks: TasksMax=: a thread for each connection.
    """
    stop = settings.limits.drain_seconds + 10
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Gate: the Docker API by policy, for wormholes\n"
        "After=docker.socket\n"
        "StartLimitIntervalSec=0\n"
        "\n[Service]\n"
        "Type=notify\n"
        "NotifyAccess=main\n"
        f"ExecStart={INTERPRETER} -I -B {PROGRAM} {config.PATH}\n"
        "ExecReload=/bin/kill -HUP $MAINPID\n"
        "Restart=always\n"
        "RestartSec=200ms\n"
        f"WatchdogSec={_WATCHDOG_SECONDS}\n"
        f"TimeoutStopSec={stop}\n"
        f"User={USER}\n"
        f"Group={USER}\n"
        f"SupplementaryGroups={ENGINE_GROUP}\n"
        "StandardOutput=journal\n"
        "StandardError=journal\n"
        "LogRateLimitIntervalSec=0\n"
        f"MemoryMax={memory}\n"
        f"TasksMax={tasks}\n"
        "LimitNOFILE=32768\n"
        f"{_SANDBOX}"
        "\n[Install]\n"
        "WantedBy=multi-user.target\n"
    )


_SANDBOX = """\
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
PrivateDevices=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
"""


def program_files(names: list[str]) -> dict[str, str]:
    """Where the program's files are installed.

    Args:
        names: paths below plugins/module_utils of all Python files.

    Returns:
        Path on the host by path below plugins/module_utils. The entry point is in addition:
        files/wormhole-gate/__main__.py, installed as ``PROGRAM/__main__.py``.
    """
    slices = ("_base/", "_policy/", "_gate/")
    return {
        name: posixpath.join(PROGRAM, "wormhole_gate", name)
        for name in names
        if name.startswith(slices) and posixpath.splitext(name)[1] in (".py", ".json")
    }
