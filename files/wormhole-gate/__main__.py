# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entry point of the gate: the first argument says what to do (see program_file.py in the slice _gate).

Each command imports only what it needs: a door runs with the first connection to each socket.

Python compiles what it imports from an archive each time. Root therefore keeps the compiled files in a
second archive beside the program (see compiling.py). Its name holds a hash of the program and of the
version of Python, so that it is never used for another one of either.
"""

from __future__ import annotations

import hashlib
import os
import sys


def compiled_path(program: str) -> str:
    """Path of the archive with the compiled files of a program; empty if it cannot be read."""
    try:
        with open(program, "rb") as stream:
            content = stream.read()
    except OSError:
        return ""
    digest = hashlib.sha256(f"{sys.implementation.cache_tag} {sys.version}".encode() + b"\0" + content)
    return os.path.join(os.path.dirname(program), f"compiled-{digest.hexdigest()}.pyz")


def run(command: str, arguments: list[str]) -> int:
    """Carries out a command; returns the exit status."""
    program = os.path.abspath(sys.argv[0])
    compiled = compiled_path(program)
    exists = os.path.isfile(compiled)
    if command == "compile" and exists:
        return 0
    if command == "compile":
        from wormhole_gate._gate.io import compiling

        return compiling.main(program, compiled)
    if exists:
        sys.path.insert(0, compiled)
    if command == "serve":
        from wormhole_gate._gate.io.program import main

        return main(arguments)
    if command == "door":
        from wormhole_gate._gate.io import door

        return door.main(arguments)
    if command == "certificate":
        from wormhole_gate._gate.io import certificate

        return certificate.prepare(arguments)
    if command == "reload":
        from wormhole_gate._gate.io import certificate

        return certificate.reload(arguments)
    if command in ("report", "replay"):
        from wormhole_gate._gate.io import questions

        return questions.main(command, sys.stdin.buffer)
    if command == "cleanup":
        from wormhole_gate._gate.io import sweeping

        return sweeping.main(sys.stdin.buffer)
    known = "serve, door, certificate, reload, report, replay, cleanup or compile"
    sys.stderr.write(f"wormhole-gate: {command} is not a command: use {known}.\n")
    return 64


if __name__ == "__main__":
    sys.exit(run(sys.argv[1] if sys.argv[1:] else "serve", sys.argv[2:]))
