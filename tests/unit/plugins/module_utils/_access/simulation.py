# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the access of an identity will be once a plan is carried out; the other half of the planner's law."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable

from ansible_collections.wormhole.docker.plugins.module_utils._access.model import (
    AccessAction,
    AccessState,
    CloseDoor,
    EndSiblings,
    OpenDoor,
    RemovePolicy,
    RequireGate,
    WritePolicy,
)
from ansible_collections.wormhole.docker.plugins.module_utils._access.spec import render_policy
from ansible_collections.wormhole.docker.plugins.module_utils._gate import units


def simulate_access(state: AccessState, actions: Iterable[AccessAction]) -> AccessState:
    """The state after these actions, if every one succeeds."""
    for action in actions:
        if isinstance(action, RequireGate):
            # A run ends there, until somebody has installed it.
            state = replace(state, gate=True)
        elif isinstance(action, WritePolicy):
            text = render_policy(action.document, state.fingerprints)
            state = replace(state, policy=text, protected=True)
        elif isinstance(action, OpenDoor):
            unit = units.render_unix(action.identity, action.user)
            state = replace(state, unit=unit, enabled=True, owner=action.user, private=True)
        elif isinstance(action, CloseDoor):
            state = replace(state, unit=None, enabled=False, owner=None, private=True)
        elif isinstance(action, EndSiblings):
            # What is kept is looked for no more once the policy is gone.
            state = replace(state, siblings=())
        elif isinstance(action, RemovePolicy):
            state = replace(state, policy=None, protected=True)
    return state
