# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access to hosts: SSH keys, known hosts, SSH options and the Ansible inventory."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.paths import LabPaths
from lab.process import run
from lab.spec import HostState


def ensure_key(path: Path) -> str:
    """Create a key pair if it is missing; return the public key."""
    public = path.with_name(f"{path.name}.pub")
    if not public.exists():
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "wormhole-lab", "-f", str(path)])
    return public.read_text().strip()


def ssh_options(paths: LabPaths, name: str) -> list[str]:
    """Return the options of `ssh` for a host.

    The connection is shared. Its master runs in the lab, so it ends with the lab. Without a master,
    `ssh` connects directly.
    """
    return [
        "-F/dev/null",
        f'-oIdentityFile="{paths.private_key}"',
        "-oIdentitiesOnly=yes",
        *_known_hosts_options(paths),
        "-oUpdateHostKeys=no",
        "-oBatchMode=yes",
        "-oLogLevel=ERROR",
        "-oConnectTimeout=5",
        "-oServerAliveInterval=5",
        f"-oControlPath={paths.ssh_master(name)}",
        "-oControlMaster=no",
    ]


def _known_hosts_options(paths: LabPaths) -> list[str]:
    # ssh splits a path with spaces unless it is quoted.
    return [
        f'-oUserKnownHostsFile="{paths.known_hosts}"',
        "-oGlobalKnownHostsFile=/dev/null",
        "-oStrictHostKeyChecking=yes",
    ]


def ssh_argv(paths: LabPaths, host: HostState, *command: str) -> list[str]:
    """Return the `ssh` command line that runs a command on a host."""
    return ["ssh", *ssh_options(paths, host.name), f"root@{host.address}", *command]


def write_known_hosts(paths: LabPaths, hosts: Iterable[HostState]) -> None:
    """Write every host's public key."""
    lines = [
        f"{host.address} {host_key(paths, host).with_suffix('.pub').read_text().strip()}\n" for host in hosts
    ]
    replace(paths.known_hosts, "".join(lines))


def host_key(paths: LabPaths, host: HostState) -> Path:
    """Return the path of a host's private host key."""
    return paths.ssh / f"host-{host.name}"


def write_inventory(paths: LabPaths, hosts: Iterable[HostState]) -> None:
    """Write an Ansible inventory. It is JSON, which is valid YAML and needs no library to write."""
    groups: dict[str, Any] = {}
    for host in hosts:
        variables = {
            "ansible_host": host.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(paths.private_key),
            "ansible_ssh_args": shlex.join(ssh_options(paths, host.name)),
            "ansible_ssh_common_args": shlex.join(_known_hosts_options(paths)),
            "ansible_pipelining": True,
            "ansible_python_interpreter": "/usr/bin/python3",
            "lab_variant": host.variant,
        }
        group = groups.setdefault(f"debian{host.release}", {"hosts": {}})
        group["hosts"][host.name] = variables
    replace(paths.inventory, json.dumps({"all": {"children": groups}}, indent=2) + "\n")


def replace(path: Path, text: str) -> None:
    """Replace a file atomically: a reader sees either the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    Path(draft).rename(path)
