# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compile the program for this version of Python, so that it starts faster.

Root runs this as a command of the program (``compile``) when it is installed, and before each start of
the service. The archive then usually exists, and the entry point ends at once. The name of the archive
says for which program and which Python it is, and no other one is used. Whatever fails here only makes
the start slower.

Source: PEP 552 (the header of compiled files).
"""

from __future__ import annotations

import importlib.util
import marshal
import os
import sys
import zipfile

from ..._base.errors import WormholeError
from ..._base.io import files
from ..program_file import pack_program

_UNCHECKED = (1).to_bytes(4, "little")
"""Flags: the file names a hash of its source, which is not compared. The archive has no sources."""
_MODE = 0o644


def main(program: str, compiled: str) -> int:
    """Writes the archive, and removes those of others; returns the exit status."""
    directory = os.path.dirname(program)
    try:
        files.write_file(compiled, compile_archive(program), mode=_MODE, uid=os.getuid(), gid=os.getgid())
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            # With a dot, those that a killed run has left.
            if name.lstrip(".").startswith("compiled-") and path != compiled:
                files.remove_file(path)
    except (OSError, ValueError, SyntaxError, zipfile.BadZipFile, WormholeError) as error:
        sys.stderr.write(f"wormhole-gate: The program is not compiled, and starts more slowly: {error}\n")
    return 0


def compile_archive(program: str) -> bytes:
    """The compiled modules of a program, as an archive.

    Raises:
        OSError, SyntaxError, zipfile.BadZipFile: the program cannot be read or compiled.
    """
    compiled = {}
    with zipfile.ZipFile(program) as archive:
        for name in archive.namelist():
            if name.endswith(".py") and "/" in name:
                source = archive.read(name)
                # The path that tracebacks show.
                code = compile(source, os.path.join(program, name), "exec", dont_inherit=True)
                header = importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source)
                compiled[f"{name}c"] = header + marshal.dumps(code)
    return pack_program(compiled)
