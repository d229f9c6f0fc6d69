# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd, by its own client.

Sources: systemctl(1), systemd.unit(5), org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import subprocess
from typing import Mapping, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.commands import run
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    EngineUnavailable,
    MissingRequirement,
)

# Longer than the 90 s that systemd gives a service to start and again to stop (DefaultTimeoutStartSec).
_TIMEOUT = 240.0


def show(unit: str, properties: Sequence[str]) -> Mapping[str, str]:
    """Reads properties of a unit, which need not exist; an unknown property is left out.

    Raises:
        MissingRequirement: this host does not run systemd.
        EngineUnavailable: systemd does not answer.
    """
    return _parse_properties(_systemctl("show", unit, "--no-pager", "--property=" + ",".join(properties)))


def show_units(units: Sequence[str], properties: Sequence[str]) -> dict[str, dict[str, str]]:
    """Reads properties of several units at once, by the unit's name as it was given.

    Raises:
        MissingRequirement: this host does not run systemd.
        EngineUnavailable: systemd does not answer.
    """
    if not units:
        return {}
    text = _systemctl("show", "--no-pager", "--property=" + ",".join(properties), "--", *units)
    # One block a unit, in the order of the arguments, with an empty line in between.
    blocks = [_parse_properties(block) for block in text.split("\n\n")]
    return dict(zip(units, blocks))


def daemon_reload() -> None:
    """Makes systemd read the unit files again."""
    _systemctl("daemon-reload")


def enable(*units: str) -> None:
    """Links units into those that their [Install] sections name."""
    if units:
        _systemctl("--quiet", "enable", "--", *units)


def stop(*units: str) -> None:
    """Stops units, of templates all instances, and waits for that; no error for one that does not exist."""
    templates = [unit for unit in units if "@." in unit]
    loaded = [
        unit
        for unit, shown in show_units([u for u in units if u not in templates], ["ActiveState"]).items()
        if shown.get("ActiveState") != "inactive"
    ]
    # A pattern need not match anything.
    patterns = [unit.replace("@.", "@*.") for unit in templates]
    if loaded or patterns:
        _systemctl("stop", "--", *loaded, *patterns)


def restart_units(*units: str) -> None:
    """Restarts units other than the engine's."""
    if units:
        _systemctl("restart", "--", *units)


def reload(unit: str) -> None:
    """Lets a service read its configuration again; it says when it has done so, or only that it was told."""
    _systemctl("reload", unit)


def restart(unit: str) -> None:
    """Restarts a service and waits until it is up.

    Its start counter is reset first: docker.service allows three starts a minute (StartLimitBurst), and a restart of
    ours that is refused for this reason would leave the engine down.

    Raises:
        EngineUnavailable: it did not come up; the text holds the last lines that it logged.
    """
    run(["systemctl", "reset-failed", unit], _TIMEOUT)
    try:
        _systemctl("restart", unit)
    except EngineUnavailable as error:
        raise EngineUnavailable(
            unit,
            expected="to start",
            found=last_log_line(unit) or error.found,
            remedy=f"See journalctl -u {unit}",
        ) from error


def last_log_line(unit: str) -> str:
    """The last thing that the unit's processes, not systemd, wrote to the journal; empty if it cannot be read."""
    try:
        answer = run(
            ["journalctl", f"_SYSTEMD_UNIT={unit}", "--lines=1", "--output=cat", "--quiet", "--no-pager"],
            _TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()


def _parse_properties(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            # A repeated property (Listen=, TriggeredBy=) is a list: one entry a line.
            values[key] = f"{values[key]}\n{value}" if key in values else value
    return values


def _systemctl(*arguments: str) -> str:
    argv = ["systemctl", *arguments]
    try:
        answer = run(argv, _TIMEOUT)
    except FileNotFoundError as error:
        raise MissingRequirement(
            "systemctl", expected="a host that runs systemd", found="no such program"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise EngineUnavailable(
            " ".join(argv), expected="an answer", found=f"none within {_TIMEOUT:.0f} s"
        ) from error
    if answer.returncode:
        raise EngineUnavailable(
            " ".join(argv),
            expected="success",
            found=answer.stderr.strip() or f"exit status {answer.returncode}",
        )
    return answer.stdout
