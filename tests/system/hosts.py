# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observations of a host that several scenarios use."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

GATEWAY = "172.17.0.1"
"""docker0's address on a lab host, from Docker's first address pool."""

WORMHOLE = {
    "name": "agent",
    "image": "wormhole-lab/cli:1",
    "pull": "never",
    "restart_policy": "always",
}


def launch_arguments(*wormholes: dict[str, Any]) -> list[str]:
    """Return arguments of ansible-playbook that list these wormholes for every host."""
    return ["-e", json.dumps({"wormholes_containers": list(wormholes or (WORMHOLE,))})]


BYSTANDER = "docker run -d --name bystander wormhole-lab/busybox:1 sh -c 'trap exit TERM; while :; do sleep 0.2; done'"
"""Starts an unmanaged container."""


RESTART = "systemctl reset-failed docker.service docker.socket; systemctl restart docker.service"
"""Restarts the engine, regardless of systemd's limit on starts."""


def configure(host: Any, text: str) -> None:
    """Write an administrator's daemon.json, and restart the engine with it."""
    host.write("/etc/docker/daemon.json", text, 0o640)
    host.run(RESTART)


@dataclass(frozen=True)
class Engine:
    """The identity of a running dockerd, which changes with a restart."""

    pid: str
    started: str
    containers: tuple[str, ...]


def engine(host: Any) -> Engine:
    """Return the engine's process and its running containers; fail if it does not answer."""
    shown = host.run(
        "systemctl show docker.service -p MainPID,ExecMainStartTimestampMonotonic --value"
    ).stdout.split()
    running = host.run("docker ps --no-trunc --format '{{.ID}} {{.Names}}'").stdout.splitlines()
    return Engine(shown[0], shown[1], tuple(sorted(running)))


def footprint(host: Any) -> str:
    """Return everything that a run could change on a host: files with their metadata, units,
    containers, sockets.

    Caches, logs, and traces of SSH and of Ansible itself are left out, and so are units that are
    not active, which systemd forgets at any time, and its own, which end by themselves when idle.
    """
    script = r"""
        find /etc /usr/local /root /var/lib/docker/containers /var/lib/docker/network /srv /opt -xdev \
            -not -path '/root/.ansible*' -not -path '/var/lib/docker/containers/*/*.log' -not -type d \
            -printf '%p %y %m %U %G %s %T@ %l\n' | sort
        systemctl list-units --all --plain --no-legend --type=socket,service | awk '{print $1, $3}' |
            grep -v -e ssh -e user@ -e session -e '^systemd-' -e ' inactive$'
        docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}' 2>&1 | sort
        ss -Hltn | awk '{print $4}' | sort
    """
    return str(host.run(script).stdout)


def listening(host: Any) -> list[str]:
    """Return the local addresses of the listening TCP sockets."""
    return sorted(line.split()[3] for line in host.run("ss -Hltn").stdout.splitlines())


def inside(host: Any, command: str, *, container: str = "agent", check: bool = True) -> Any:
    """Run a shell command in a wormhole."""
    return host.run(f"docker exec {container} sh -c {shlex.quote(command)}", check=check)


def last_rejection(host: Any) -> str:
    """Return the engine's last handshake error. A client may not receive the alert."""
    said = host.run(
        "journalctl --no-pager -q -o cat -u docker.service | grep 'TLS handshake error' | tail -n 1"
    )
    return str(said.stdout)


FLEET = ("-e", "certificate_authority_scope=fleet")
"""Arguments of a playbook whose hosts share an authority."""


def own_name(host: Any, generation: int = 1) -> str:
    """Return the common name of a host's own authority, after as many rotations less one."""
    return f"wormhole CA {host.name}" + (f" G{generation}" if generation > 1 else "")
