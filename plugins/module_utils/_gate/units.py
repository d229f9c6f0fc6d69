# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd units of the gate: a service, a socket for each wormhole and each gateway, and doors.

systemd passes a service only the sockets that were active when it started. So the sockets are not
those of the gate: each belongs to a *door*, an instance of a template. With the first connection,
systemd starts the door, and the door passes the listening socket on to the running gate. That way,
sockets are added and removed without a restart of the gate, and without a disturbance of others.

systemd keeps all sockets open. While the gate is stopped or restarted, clients wait in their queues.
When it starts, it has all doors stopped (ExecStartPre=), so that each is started again by the next
connection.

The service has a network namespace of its own. The sockets that systemd has opened stay in that of
the host, and they are all that the service can use.

Sources: systemd.socket(5), systemd.service(5), systemd.exec(5), systemd.resource-control(5),
systemd.path(5).
"""

from __future__ import annotations

import re
from typing import Optional

from .._base.address import SocketAddress
from .._base.systemd_units import UNIT_DIRECTORY
from .._base.systemd_words import escape
from . import config, control, places

MANAGED = "# Managed by the Ansible role wormhole.docker.gate, which undoes changes made here.\n"
_PREFIX = "wormhole-gate"
SERVICE = f"{_PREFIX}.service"
DOOR = f"{_PREFIX}-door@.service"
"""The template of all doors."""
CERTIFICATE_PATH = f"{_PREFIX}-certificate.path"
"""Has systemd start CERTIFICATE_SERVICE when the server's certificate is replaced."""
CERTIFICATE_SERVICE = f"{_PREFIX}-certificate.service"
"""Reloads the gate."""

USER = "wormhole-gate"
"""User and group of the gate."""
ENGINE_GROUP = "docker"
INTERPRETER = "/usr/bin/python3"
PROGRAM = "/usr/local/lib/wormhole-gate/wormhole-gate.pyz"
"""The program, see program_file.py. Its directory holds nothing else."""
SOCKETS = "/run/wormhole/gate"
"""Directory of the directories that containers mount, one for each identity."""
STATE = "/var/lib/wormhole-gate"
"""Directory for what the gate has to remember (StateDirectory=). The gate owns it."""
RUNTIME = control.RUNTIME
CONTROL = f"{RUNTIME}/{control.NAME}"

_WATCHDOG_SECONDS = 30
_BACKLOG = 1024
_DOOR_SECONDS = 60
_SETTLE_SECONDS = 1
COMMAND = (INTERPRETER, "-I", "-S", "-B")
"""Runs the program that follows."""
_PYTHON = f"{' '.join(COMMAND)} {PROGRAM}"
_INSTANCE = re.compile(r"unix-[A-Za-z0-9][A-Za-z0-9_.-]*|tls-[0-9A-Fa-f.:]+:[0-9]+")


def unix_unit(identity: str) -> str:
    """Name of the socket unit of an identity's unix socket."""
    return f"{_PREFIX}-unix-{identity}.socket"


def tls_unit(address: SocketAddress) -> str:
    """Name of the socket unit of a gateway. systemd allows colons in it, but no brackets."""
    return f"{_PREFIX}-tls-{address.host}:{address.port}.socket"


def is_socket_unit(name: str) -> bool:
    """Whether this is the name of a socket unit of the gate."""
    return bool(_INSTANCE.fullmatch(_instance(name))) and name.endswith(".socket")


def door_unit(socket_unit: str) -> str:
    """Name of the door of a socket unit."""
    return DOOR.replace("@", f"@{_instance(socket_unit)}")


def _instance(socket_unit: str) -> str:
    """What tells a socket unit from others, such as ``unix-ci``: the name of its door."""
    return socket_unit[len(_PREFIX) + 1 : -len(".socket")]


def unit_path(name: str) -> str:
    """Path of a unit's file."""
    return f"{UNIT_DIRECTORY}/{name}"


def wants_links(name: str) -> tuple[str, ...]:
    """Paths of the links to a unit, by its [Install] section."""
    target = {".socket": "sockets.target", ".path": "paths.target"}
    wants = target.get(name[name.rindex(".") :], "multi-user.target")
    return () if name in (DOOR, CERTIFICATE_SERVICE) else (f"{UNIT_DIRECTORY}/{wants}.wants/{name}",)


def socket_path(identity: str) -> str:
    """Path of an identity's socket. Its directory is what a container mounts."""
    return f"{SOCKETS}/{identity}/{places.SOCKET_NAME}"


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
        f"FileDescriptorName={places.UNIX_PREFIX}{identity}\n"
        "SocketMode=0600\n"
        "DirectoryMode=0755\n"
        f"ExecStartPost=/bin/chown {owner} {path}\n"
        "RemoveOnStop=true\n"
        f"{_common(unix_unit(identity))}"
    )


def render_tls(address: SocketAddress) -> str:
    """Renders the socket unit of a gateway."""
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Docker API by policy, by mutual TLS\n"
        "\n[Socket]\n"
        f"ListenStream={address}\n"
        f"FileDescriptorName={places.TLS_NAME}\n"
        "FreeBind=true\n"
        f"{_common(tls_unit(address))}"
    )


def _common(socket_unit: str) -> str:
    # A socket whose service is started too often fails for good, so this must not be bounded.
    return (
        f"Backlog={_BACKLOG}\n"
        f"Service={door_unit(socket_unit)}\n"
        "TriggerLimitIntervalSec=0\n"
        "\n[Install]\n"
        "WantedBy=sockets.target\n"
    )


def render_door() -> str:
    """Renders the template of the doors.

    A door that stops tells the gate, if it runs, to listen no more. The instance's name names it.
    """
    stop = f"test ! -S {CONTROL} || exec {_PYTHON} door remove"
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Pass a socket on to the gate: %i\n"
        f"BindsTo={_PREFIX}-%i.socket\n"
        f"Wants={SERVICE}\n"
        f"After={_PREFIX}-%i.socket {SERVICE}\n"
        "StartLimitIntervalSec=0\n"
        "\n[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=yes\n"
        f"ExecStart={_PYTHON} door add %i\n"
        f"ExecStop=-/bin/sh -c '{stop} \"$$0\"' %i\n"
        "SuccessExitStatus=SIGTERM\n"
        f"TimeoutStartSec={_DOOR_SECONDS}\n"
        f"TimeoutStopSec={_DOOR_SECONDS // 4}\n"
        f"User={USER}\n"
        f"Group={USER}\n"
        f"{_DOOR_SANDBOX}"
    )


def render_certificate_path(directory: str) -> str:
    """Renders the path unit that watches the server's certificate.

    Args:
        directory: of ca.pem, cert.pem and key.pem.
    """
    watched = "".join(f"PathChanged={directory}/{name}\n" for name in config.TLS_NAMES)
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Watch the certificate of the gate\n"
        "\n[Path]\n"
        f"{watched}"
        f"Unit={CERTIFICATE_SERVICE}\n"
        "\n[Install]\n"
        "WantedBy=paths.target\n"
    )


def render_certificate_service() -> str:
    """Renders the service that reloads the gate after the certificate was replaced.

    While it runs, systemd does not watch the files. So it waits until all are replaced.
    """
    return (
        f"{MANAGED}[Unit]\n"
        "Description=Have the gate read its certificate again\n"
        "StartLimitIntervalSec=0\n"
        "\n[Service]\n"
        "Type=oneshot\n"
        f"ExecStartPre=/bin/sleep {_SETTLE_SECONDS}\n"
        f"ExecStart=/bin/systemctl try-reload-or-restart {SERVICE}\n"
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
        # Root's own, outside of the sandbox.
        f"ExecStartPre=+/bin/systemctl stop --no-ask-password {DOOR.replace('@', '@*')}\n"
        # Its failure only makes the start slower.
        f"ExecStartPre=-+{_PYTHON} compile\n"
        f"ExecStartPre=+{_PYTHON} certificate {config.PATH}\n"
        f"ExecStart={_PYTHON} serve {config.PATH}\n"
        f"ExecReload=+{_PYTHON} reload {config.PATH}\n"
        "Restart=always\n"
        "RestartSec=200ms\n"
        f"RestartPreventExitStatus={config.MALFORMED_STATUS}\n"
        f"WatchdogSec={_WATCHDOG_SECONDS}\n"
        f"TimeoutStopSec={stop}\n"
        f"User={USER}\n"
        f"Group={USER}\n"
        f"SupplementaryGroups={ENGINE_GROUP}\n"
        "RuntimeDirectory=wormhole-gate\n"
        "RuntimeDirectoryMode=0700\n"
        "StateDirectory=wormhole-gate\n"
        "StateDirectoryMode=0700\n"
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


_DOOR_SANDBOX = """\
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateDevices=yes
RestrictAddressFamilies=AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""

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
