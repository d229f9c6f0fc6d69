# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show and change units of systemd, by its own client.

Every function raises MissingRequirement if this host does not run systemd, and EngineUnavailable if
systemd does not answer or reports a failure.

Sources: systemctl(1), systemd.unit(5), org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import subprocess
from typing import Mapping, Sequence

from ..errors import EngineUnavailable, MissingRequirement
from .commands import failure_of, run

_TIMEOUT = 240.0  # more than 90 s to stop a service and 90 s to start it (DefaultTimeoutStartSec)


def show(unit: str, properties: Sequence[str]) -> Mapping[str, str]:
    """Reads properties of a unit, which need not exist; unknown properties are left out."""
    return _parse_properties(_systemctl("show", unit, "--no-pager", "--property=" + ",".join(properties)))


def show_units(units: Sequence[str], properties: Sequence[str]) -> dict[str, dict[str, str]]:
    """Reads properties of several units at once, by the given name of the unit."""
    if not units:
        return {}
    # One block for each unit, in the order of the arguments.
    return dict(zip(units, _show_blocks(units, properties)))


def show_matching(patterns: Sequence[str], properties: Sequence[str]) -> dict[str, dict[str, str]]:
    """Reads properties of all loaded units that match a pattern, and of those named without one."""
    blocks = _show_blocks(patterns, ["Id", *properties])
    return {block["Id"]: block for block in blocks if "Id" in block}


def daemon_reload() -> None:
    """Makes systemd read the unit files again."""
    _systemctl("daemon-reload")


def enable(*units: str) -> None:
    """Links units into those of their [Install] sections."""
    if units:
        _systemctl("--quiet", "enable", "--", *units)


def stop(*units: str) -> None:
    """Stops units (of templates, all instances) and waits; units that do not exist are no error."""
    shown = show_units([unit for unit in units if "@." not in unit], ["ActiveState"])
    loaded = [unit for unit, values in shown.items() if values.get("ActiveState") != "inactive"]
    # A pattern that matches no unit is no error.
    patterns = [unit.replace("@.", "@*.") for unit in units if "@." in unit]
    if loaded or patterns:
        _systemctl("stop", "--", *loaded, *patterns)


def restart_units(*units: str) -> None:
    """Restarts units other than the engine's."""
    if units:
        _systemctl("restart", "--", *units)


def reload(unit: str) -> None:
    """Makes a service read its configuration again; may return before it has done so."""
    _systemctl("reload", unit)


def reload_or_start(unit: str) -> None:
    """Makes a service read its configuration again, or starts it if it does not run."""
    run(["systemctl", "reset-failed", unit], _TIMEOUT)
    _systemctl("reload-or-restart", unit)


def restart(unit: str) -> None:
    """Restarts a service and waits until it is active; a failure has its last log line.

    Resets its start counter first: docker.service allows three starts a minute (StartLimitBurst),
    and a restart beyond this limit would leave the engine stopped.
    """
    run(["systemctl", "reset-failed", unit], _TIMEOUT)
    try:
        _systemctl("restart", unit)
    except EngineUnavailable as error:
        found = last_log_line(unit) or error.found
        raise EngineUnavailable(
            unit, found=found, problem=f"{unit} did not start: {found}", remedy=f"See journalctl -u {unit}"
        ) from error


def last_log_line(unit: str) -> str:
    """The last line that a unit's processes wrote to the journal; empty if it cannot be read."""
    options = ("--lines=1", "--output=cat", "--quiet", "--no-pager")
    try:
        return run(["journalctl", f"_SYSTEMD_UNIT={unit}", *options], _TIMEOUT).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _show_blocks(units: Sequence[str], properties: Sequence[str]) -> list[dict[str, str]]:
    text = _systemctl("show", "--no-pager", "--property=" + ",".join(properties), "--", *units)
    return [_parse_properties(block) for block in text.split("\n\n")]


def _parse_properties(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            # A repeated property (Listen=, TriggeredBy=) is a list with one entry in each line.
            values[key] = f"{values[key]}\n{value}" if key in values else value
    return values


def _systemctl(*arguments: str) -> str:
    command = " ".join(["systemctl", *arguments])
    try:
        answer = run(["systemctl", *arguments], _TIMEOUT)
    except FileNotFoundError as error:
        raise MissingRequirement(
            "systemctl",
            found="no such program",
            problem="This host has no systemctl",
            remedy="Use a host that runs systemd",
        ) from error
    except subprocess.TimeoutExpired as error:
        found = f"no answer within {_TIMEOUT:.0f} s"
        raise EngineUnavailable(command, found=found, problem=f"{command} gave {found}") from error
    if answer.returncode:
        found = failure_of(answer)
        raise EngineUnavailable(command, found=found, problem=f"{command} failed: {found}")
    return answer.stdout
