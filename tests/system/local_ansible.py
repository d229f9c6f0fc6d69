# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-core on a lab host, for runs without another controller."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playbooks import ansible_directory

_DIRECTORY = "/opt/ansible-core"
_LIBRARIES = """
import importlib.metadata, json, pathlib, ansible
names = ("ansible-core", "Jinja2", "MarkupSafe", "packaging", "PyYAML", "resolvelib")
tops = {file.parts[0] for name in names for file in importlib.metadata.distribution(name).files}
print(json.dumps([str(pathlib.Path(ansible.__file__).parents[1]), *sorted(tops - {".."})]))
"""
"""Prints the directory of ansible-core and of its dependencies, and their names there."""
PROGRAMS = {"ansible": "adhoc", "ansible-playbook": "playbook", "ansible-galaxy": "galaxy"}


def install_ansible(host: Any) -> None:
    """Copy the controller's ansible-core to a host, which has its own package of cryptography."""
    libraries = subprocess.run(
        [ansible_directory() / "python", "-c", _LIBRARIES], check=True, capture_output=True, text=True
    )
    source, *names = json.loads(libraries.stdout)
    copy(host, source, names, _DIRECTORY)
    for program, module in PROGRAMS.items():
        text = f'#!/bin/sh\nPYTHONPATH={_DIRECTORY} exec python3 -m ansible {module} "$@"\n'
        host.write(f"/usr/local/bin/{program}", text, 0o755)


def copy(host: Any, source: str | Path, names: Sequence[str], target: str) -> None:
    """Copy directories to a host."""
    with subprocess.Popen(["tar", "-C", source, "-cf-", *names], stdout=subprocess.PIPE) as packed:
        unpack = host.ssh_argv(f"mkdir -p {target} && tar -C {target} -xf -")
        subprocess.run(unpack, stdin=packed.stdout, check=True)
