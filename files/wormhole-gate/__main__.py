# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entry point of the gate: the first argument says what to do (see program_file.py in the slice _gate).

Each command imports only what it needs: a door runs with the first connection to each socket.
"""

from __future__ import annotations

import sys


def run(command: str, arguments: list[str]) -> int:
    """Carries out a command; returns the exit status."""
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
    known = "serve, door, certificate, reload, report, replay or cleanup"
    sys.stderr.write(f"wormhole-gate: {command} is not a command: use {known}.\n")
    return 64


if __name__ == "__main__":
    sys.exit(run(sys.argv[1] if sys.argv[1:] else "serve", sys.argv[2:]))
