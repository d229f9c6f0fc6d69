# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print the size of each module's AnsiballZ payload, which Ansible sends to a managed node.

It needs no lab::

    PYTHONPATH=tests .dev/venv/bin/python tests/bench/payload.py
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

from runner.stage import stage_collection

ROOT = Path(__file__).resolve().parents[2]
OURS = "ansible_collections/wormhole/"
ZIP = re.compile(rb"UEsDB[A-Za-z0-9+/]+=*")
"""The base64 of a zip archive, in the program that Ansible sends."""


class Payload(NamedTuple):
    """The files of a payload: their number, and their bytes before compression.

    Attributes:
        our_files, our_bytes: of this collection.
        all_files, all_bytes: those of ansible-core included.
        sent: bytes of the whole program with the compressed archive, as it is sent.
    """

    our_files: int
    our_bytes: int
    all_files: int
    all_bytes: int
    sent: int


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    collections = stage_collection(ROOT)
    _AnsibleCollectionFinder(paths=[str(collections)])._install()
    modules = collections / "ansible_collections/wormhole/docker/plugins/modules"
    names = sorted(path.stem for path in modules.glob("*.py") if not path.stem.startswith("_"))
    print(table({name: payload(modules / f"{name}.py") for name in names}))


def payload(module: Path) -> Payload:
    """Build the payload of a module, as for a task, and measure it."""
    variables = {"ansible_python_interpreter": "/usr/bin/python3"}
    built = modify_module(
        module_name=f"wormhole.docker.{module.stem}",
        module_path=str(module),
        module_args={},
        templar=Templar(DataLoader(), variables),
        task_vars=variables,
        module_compression="ZIP_DEFLATED",
    ).b_module_data
    [archive] = ZIP.findall(built)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(archive))) as content:
        files = content.infolist()
    ours = [file for file in files if file.filename.startswith(OURS)]
    return Payload(
        len(ours),
        sum(file.file_size for file in ours),
        len(files),
        sum(file.file_size for file in files),
        len(built),
    )


def table(payloads: dict[str, Payload]) -> str:
    """Make a Markdown table."""
    lines = [
        "| module | our files | our bytes | all files | all bytes | sent |",
        "| --- " + "| ---: " * 5 + "|",
    ]
    lines += [
        f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} |"
        for name, numbers in payloads.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
