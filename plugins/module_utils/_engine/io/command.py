# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read how this host's systemd starts dockerd: unit files, environment files, the process."""

from __future__ import annotations

import contextlib
import glob
import os
from dataclasses import replace
from typing import Mapping

from ..._base import systemd_words
from ..._base.errors import EngineUnavailable, MissingRequirement
from ..._base.io import files, systemd
from ..._base.io.unit_files import read_unit_files
from .. import command as engine_command

PROPERTIES = ("LoadState", "NeedDaemonReload", "DropInPaths", "FragmentPath", "MainPID")
"""The properties of docker.service that read_command() needs."""


def observe_command() -> engine_command.EngineCommand:
    """Reads how dockerd is started.

    A host without systemd, or without docker.service, has an empty command line.
    """
    try:
        shown = systemd.show(engine_command.UNIT, PROPERTIES)
    except (MissingRequirement, EngineUnavailable):
        return engine_command.EngineCommand(running="", configured="", source="")
    return read_command(shown)


def read_command(shown: Mapping[str, str]) -> engine_command.EngineCommand:
    """Reads how dockerd is started, given the properties of docker.service."""
    found = engine_command.parse_files(
        read_unit_files(engine_command.UNIT, shown),
        _command_line(int(shown.get("MainPID") or 0)),
        shown.get("NeedDaemonReload") == "yes",
        _read_environment,
    )
    loaded = found.guard_path in ("", *shown.get("DropInPaths", "").split())
    return replace(found, guard_loaded=loaded)


def _read_environment(file: engine_command.EnvironmentFile) -> list[tuple[str, str]]:
    """The paths and contents of environment files; what is not a file does not count."""
    found = []
    for path in sorted(glob.glob(file.pattern)):
        text = files.read_text(path) if os.path.isfile(path) else None
        if text is not None:
            found.append((path, text))
    return found


def _command_line(pid: int) -> str:
    """The command line of the running dockerd; empty if it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as stream:
        words = stream.read().decode(errors="replace").split("\0")
        return systemd_words.render(words[:-1])
    return ""
