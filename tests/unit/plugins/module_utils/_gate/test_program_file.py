# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program as one file."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._gate.program_file import (
    pack_program,
    program_files,
    program_hash,
)

WORDS = st.text("abcdefghij_", min_size=1, max_size=8)
NAMES = st.lists(WORDS, min_size=1, max_size=4).map(lambda words: "/".join(words) + ".py")


def test_the_program_is_made_of_its_slices_only():
    names = ["_base/errors.py", "_policy/decide.py", "_gate/io/program.py", "_glue/run.py", "_gate/notes.txt"]
    assert program_files(names) == {
        "_base/errors.py": "wormhole_gate/_base/errors.py",
        "_policy/decide.py": "wormhole_gate/_policy/decide.py",
        "_gate/io/program.py": "wormhole_gate/_gate/io/program.py",
    }


@given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=8))
def test_what_is_packed_is_unpacked(files):
    archive = zipfile.ZipFile(io.BytesIO(pack_program(files)))
    assert archive.testzip() is None
    found = {name: archive.read(name) for name in archive.namelist()}
    assert {name: found[name] for name in files} == files
    assert {name for name in found if name not in files} <= {
        f"{name.rpartition('/')[0]}/__init__.py" for name in found
    }
    assert archive.namelist() == sorted(archive.namelist())


def test_packing_does_not_depend_on_order_or_python():
    files = {"b/c.py": b"1", "a.py": b"2"}
    packed = pack_program(files)
    assert packed == pack_program(dict(reversed(files.items())))
    # Fixed on purpose: another value means that hosts get the program again.
    assert program_hash(packed) == "a41b53d87cd5bcf791083908a7a7f7837c5cf2443ea544a9c9052edc0513519f"
    assert program_hash(None) == ""


def test_python_runs_it(tmp_path):
    files = {
        "__main__.py": b"from p.q import r; print(r.X)",
        "p/q/r.py": b"from ..s import X",
        "p/s.py": b"X = 7",
    }
    path = tmp_path / "program.pyz"
    path.write_bytes(pack_program(files))
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(path)], stdout=subprocess.PIPE, check=True, timeout=60
    )
    assert found.stdout.split() == [b"7"]
