# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program of the gate, from the files of this collection.

A host is sent its hash, and the program only if the host has another one.
"""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

from ansible_collections.wormhole.docker.plugins.module_utils._gate.program_file import (
    ENTRY_POINT,
    pack_program,
    program_files,
    program_hash,
)
from ansible_collections.wormhole.docker.plugins.plugin_utils.run_files import once_in_a_run

_COLLECTION = Path(__file__).resolve().parents[2]


def hash_of_program() -> str:
    """The hash of the program, by which a host finds out whether it has the program.

    Raises:
        OSError: a file of the collection cannot be read.
    """
    return once_in_a_run("gate_program.sha256", lambda: program_hash(read_program())).read_text()


def packed_program() -> str:
    """The program as text, as wormhole_gate unpacks it."""
    return base64.b64encode(zlib.compress(read_program(), 9)).decode()


def read_program() -> bytes:
    """Pack the program.

    Raises:
        OSError: a file of the collection cannot be read.
    """
    slices = _COLLECTION / "plugins" / "module_utils"
    names = (path.relative_to(slices).as_posix() for path in slices.glob("_*/**/*.py"))
    files = {packed: (slices / name).read_bytes() for name, packed in program_files(names).items()}
    return pack_program({**files, "__main__.py": (_COLLECTION / "files" / ENTRY_POINT).read_bytes()})
