# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides how TCP sockets that somebody has slipped in are closed."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core import systemd_units
from ansible_collections.wormhole.docker.plugins.module_utils._core.foreign_sockets import render_override
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    STOCK_UNIT,
    Action,
    ListenerSpec,
    ListenerState,
    WriteUnits,
    render_endpoint,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Reason


class FileDiff(NamedTuple):
    """A file before and after, as lines; none for no file."""

    path: str
    before: list[str]
    after: list[str]


def wanted_overrides(spec: ListenerSpec, state: ListenerState) -> dict[str, tuple[str, str]]:
    """Paths and texts of our drop-ins, by the socket unit of somebody else's that each of them closes."""
    return {
        unit: (systemd_units.override_path(unit, socket.drop_ins), render_override(socket))
        for unit, socket in state.foreign_sockets.items()
        if spec.tls and (socket.configured or socket.is_closed)
    }


def sockets_to_stop(spec: ListenerSpec, state: ListenerState) -> list[str]:
    """Socket units of somebody else's that have to be stopped, because they listen on nothing but what is to go."""
    return [
        unit
        for unit, socket in sorted(state.foreign_sockets.items())
        if spec.tls and socket.held and not socket.others and unit != STOCK_UNIT
    ]


def plan_foreign(spec: ListenerSpec, state: ListenerState) -> tuple[list[Reason], list[Action]]:
    """What closes the TCP sockets that somebody has slipped in; the files that name them stay."""
    reasons: list[Reason] = []
    files: list[tuple[str, Optional[str]]] = []
    stale = False
    wanted = wanted_overrides(spec, state)
    for unit, socket in sorted(state.foreign_sockets.items()):
        present = (socket.override_path, socket.override_text)
        if unit in wanted and present != wanted[unit]:
            places = ", ".join(render_endpoint(*endpoint) for endpoint in socket.configured)
            text = f"{unit} has dockerd listen on {places}, by {', '.join(socket.sources)}"
            reasons.append(Reason("listener_slipped_in", text, unit))
            files.append(wanted[unit])
        elif unit not in wanted and socket.override_path:
            text = f"{socket.override_path} overrules {unit} for no reason any more"
            reasons.append(Reason("override_surplus", text, unit))
        elif spec.tls and socket.held and socket.others:
            reasons.append(Reason("unit_stale", f"systemd has not read the present {unit}", unit))
            stale = True
        if socket.override_path and socket.override_path != wanted.get(unit, ("", ""))[0]:
            files.append((socket.override_path, None))
    return reasons, [WriteUnits(tuple(files))] if files or stale else []


def diff_foreign(spec: ListenerSpec, state: ListenerState) -> list[FileDiff]:
    """Our drop-ins before and after."""
    found = []
    overrides = wanted_overrides(spec, state)
    for unit, socket in state.foreign_sockets.items():
        wanted_path, wanted_text = overrides.get(unit, ("", ""))
        for path in filter(None, dict.fromkeys((socket.override_path, wanted_path))):
            before = socket.override_text.splitlines() if path == socket.override_path else []
            after = wanted_text.splitlines() if path == wanted_path else []
            found.append(FileDiff(path, before, after))
    return found
