# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print what Ansible sends to a managed node for each module: its size, and what it costs to make it.

It needs no lab::

    PYTHONPATH=tests .dev/venv/bin/python tests/bench/payload.py
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar

from runner.stage import stage_collection

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.wormhole.docker"


class Payload(NamedTuple):
    """What is sent for a task.

    Attributes:
        files: number of files of this collection.
        bytes: their bytes.
        bundled: bytes of the program that Ansible packs with its own files.
        sent: bytes of the result, compressed.
        cpu: CPU time of the controller to make it, once in a run of a playbook; in ms.
    """

    files: int
    bytes: int
    bundled: int
    sent: int
    cpu: int


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    collections = stage_collection(ROOT)
    init_plugin_loader([str(collections)])
    bundle = import_module(f"{COLLECTION}.plugins.plugin_utils.bundle")
    modules = (collections / "ansible_collections/wormhole/docker/plugins/modules").glob("*.py")
    print(table({path.stem: payload(path.stem, bundle) for path in sorted(modules)}))


def payload(module: str, bundle: ModuleType) -> Payload:
    """Build the payload of a module, as for a task, and measure it."""
    variables = {"ansible_python_interpreter": "/usr/bin/python3"}
    name = bundle.find_bundle(f"wormhole.docker.{module}")
    began = time.process_time()
    built = modify_module(
        module_name=name,
        module_path=module_loader.find_plugin(name),
        module_args={},
        templar=Templar(DataLoader(), variables),
        task_vars=variables,
        module_compression="ZIP_DEFLATED",
    ).b_module_data
    packed = time.process_time()
    text = bundle.render_bundle(module)
    rendered = time.process_time() - packed
    ours = [len(source.encode()) for source in bundle.read_files(module).values()]
    return Payload(len(ours), sum(ours), len(text), len(built), round((packed - began + rendered) * 1000))


def table(payloads: dict[str, Payload]) -> str:
    """Make a Markdown table."""
    lines = [
        "| module | files | bytes | bundled | sent | CPU, ms |",
        "| --- " + "| ---: " * 5 + "|",
    ]
    lines += [
        f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} |"
        for name, numbers in payloads.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
