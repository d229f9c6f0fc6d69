# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pack the program of the gate: pack.py COLLECTION TARGET."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

collection, target = Path(sys.argv[1]), Path(sys.argv[2])
slices = collection / "plugins/module_utils"
spec = importlib.util.spec_from_file_location("program_file", slices / "_gate/program_file.py")
program_file = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program_file)
names = program_file.program_files(str(path.relative_to(slices)) for path in slices.rglob("*.py"))
files = {inside: (slices / name).read_bytes() for name, inside in names.items()}
files["__main__.py"] = (collection / "files" / program_file.ENTRY_POINT).read_bytes()
target.write_bytes(program_file.pack_program(files))
