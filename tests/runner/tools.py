# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds Python interpreters, and builds virtual environments from pinned requirements."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from runner.steps import Failed, Log, Settings

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""Python versions to test the collection on, if they are installed."""

_SYSTEM = tuple(Path(directory) for directory in ("/usr/bin", "/usr/local/bin"))


@functools.cache
def interpreters() -> dict[str, Path]:
    """Return the interpreters by version, such as ``{"3.11": Path("/usr/bin/python3.11")}``.

    Debian's interpreters come first. Shims (scripts that select an interpreter when they run) are
    left out: they do not always run the version in their name, which ansible-test relies on.
    """
    found = {}
    for version in VERSIONS:
        for directory in _directories():
            path = directory / f"python{version}"
            if path.is_file() and _is_program(path) and _version(path) == version:
                found[version] = path
                break
    return found


def _directories() -> Iterator[Path]:
    """Yield the directories to search, each once: the system's, those on PATH, pyenv's."""
    seen: set[Path] = set()
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = (Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry)
    for directory in (*_SYSTEM, *on_path, *sorted(pyenv.glob("versions/*/bin"), reverse=True)):
        # Skip virtual environments.
        if directory not in seen and not (directory.parent / "pyvenv.cfg").exists():
            seen.add(directory)
            yield directory


def _is_program(path: Path) -> bool:
    """Whether a file is machine code, not a script."""
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _version(python: Path) -> str:
    """Return an interpreter's ``major.minor``, or "" if it cannot create virtual environments."""
    program = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-I", "-c", program], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def base_python() -> Path:
    """Return the interpreter that the current virtual environment was created with."""
    return Path(getattr(sys, "_base_executable", sys.executable))


def environment(settings: Settings, log: Log, name: str, python: Path | None = None) -> Path:
    """Return the ``bin`` directory of the virtual environment of ``tests/requirements/NAME.txt``;
    build it if needed.

    It is built again if the requirements, the interpreter or its path change. Concurrent calls wait
    for the first one.

    Raises:
        Failed: the environment could not be built.
    """
    python = python or base_python()
    requirements = settings.root / "tests/requirements" / f"{name}.txt"
    home = settings.work / "tools" / name
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    # The programs in an environment contain its path, so it cannot be moved.
    stamp = json.dumps({"home": str(home), "python": str(python), "requirements": digest})
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = home / "stamp.json"
        if not mark.exists() or mark.read_text() != stamp:
            shutil.rmtree(home, ignore_errors=True)
            log.write(f"building the environment {name}")
            commands: tuple[list[str | Path], ...] = (
                [python, "-m", "venv", home],
                [
                    home / "bin/pip",
                    "--disable-pip-version-check",
                    "install",
                    "--progress-bar=off",
                    "-r",
                    requirements,
                ],
            )
            for command in commands:
                if log.run(command, cwd=settings.root) != 0:
                    raise Failed(f"the virtual environment {name} could not be built: see {log.path}")
            mark.write_text(stamp)
    return home / "bin"


def path_with(*directories: Path) -> str:
    """Return a PATH of these directories and the system's, without user additions such as shims."""
    words = [*(str(directory) for directory in directories), "/usr/local/sbin", "/usr/local/bin"]
    return os.pathsep.join([*words, "/usr/sbin", "/usr/bin", "/sbin", "/bin"])


def plain_environment(*directories: Path, **variables: str | Path) -> dict[str, str]:
    """Return the environment for a tool, with the given directories first in PATH.

    Variables of the user that would change results, such as ``ANSIBLE_*`` and ``DOCKER_*``, are
    left out.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "DOCKER_", "PYTHON", "PYTEST_", "VIRTUAL_ENV"))
    }
    return {
        **kept,
        "PATH": path_with(*directories),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "120",
        **{name: str(value) for name, value in variables.items()},
    }
