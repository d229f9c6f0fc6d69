# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What installing or removing the program of the run-time discovery does, as data."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.wormhole.docker.plugins.module_utils._wiring.program import (
    InstallProgram,
    ProgramState,
    RemoveProgram,
)


def simulate_program(state: ProgramState, action: object) -> ProgramState:
    """The state after an action of :func:`_wiring.program.plan_program`."""
    if isinstance(action, RemoveProgram):
        return replace(state, program=None, names=None)
    if isinstance(action, InstallProgram):
        program = state.program if action.program is None else action.program
        return replace(state, program=program, names=state.names if action.names is None else action.names)
    return state
