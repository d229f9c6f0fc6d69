# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The compiled copy of the program: what starts faster is the same program, or is not used."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.io import compiling
from ansible_collections.wormhole.docker.plugins.module_utils._gate.program_file import (
    ENTRY_POINT,
    pack_program,
    program_files,
)

ROOT = Path(__file__).resolve().parents[6]
ENTRY = ROOT / "files" / ENTRY_POINT
MARKER = b"def main(command, stream):\n    print('compiled')\n    return 0\n"


def pack(more=b""):
    slices = ROOT / "plugins/module_utils"
    names = (path.relative_to(slices).as_posix() for path in slices.glob("_*/**/*.py"))
    files = {packed: (slices / name).read_bytes() for name, packed in program_files(names).items()}
    return pack_program({**files, "__main__.py": ENTRY.read_bytes() + more})


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "wormhole-gate.pyz"
    path.write_bytes(pack())
    return path


def run(program, command):
    argv = [sys.executable, "-I", "-S", "-B", str(program), command]
    return subprocess.run(argv, input=b"{}", capture_output=True, check=False, timeout=60)


def compiled(program):
    return sorted(path.name for path in program.parent.glob("*compiled-*"))


def test_the_compiled_program_does_the_same(program):
    before = json.loads(run(program, "replay").stdout)
    assert run(program, "compile").returncode == 0
    [name] = compiled(program)
    first = (program.parent / name).stat()
    assert json.loads(run(program, "replay").stdout) == before
    # A second run has nothing to do.
    assert run(program, "compile").returncode == 0
    assert (program.parent / name).stat().st_ino == first.st_ino


def test_what_is_used_is_the_archive_of_this_program_only(program):
    run(program, "compile")
    [name] = compiled(program)
    path = program.parent / name
    # Its modules are found first: this one says so.
    path.write_bytes(pack_program({"wormhole_gate/_gate/io/questions.py": MARKER}))
    assert run(program, "replay").stdout == b"compiled\n"
    program.write_bytes(pack(b"# another version\n"))
    assert b"compiled" not in run(program, "replay").stdout
    # The archive of the previous one is removed, and what a killed run has left.
    (program.parent / f".{name}.abc.new").write_bytes(b"half")
    run(program, "compile")
    assert len(compiled(program)) == 1
    assert compiled(program) != [name]


def test_another_python_has_another_archive(program, monkeypatch):
    spec = importlib.util.spec_from_file_location("entry", ENTRY)
    entry = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(entry)
    ours = entry.compiled_path(str(program))
    assert ours == entry.compiled_path(str(program))
    monkeypatch.setattr(entry.sys, "version", "3.99.0")
    assert entry.compiled_path(str(program)) != ours
    assert entry.compiled_path(str(program.parent / "absent")) == ""


def test_a_failure_is_said_and_fails_nothing(program, capsys):
    program.write_bytes(b"no archive")
    assert compiling.main(str(program), str(program.parent / "compiled-x.pyz")) == 0
    assert "starts more slowly" in capsys.readouterr().err
    assert compiled(program) == []
