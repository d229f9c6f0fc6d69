# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entry point of the gate, installed with the slices that it needs (see program_files() in _gate/units.py)."""

from __future__ import annotations

import sys

from wormhole_gate._gate.io.program import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
