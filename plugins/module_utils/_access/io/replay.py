# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the gate which of the calls that it has recorded another policy would refuse."""

from __future__ import annotations

from dataclasses import replace

from ..._base.errors import WormholeError
from ..._gate.io import consulting
from ..model import AccessState
from ..spec import AccessSpec, read_policy


def with_replay(spec: AccessSpec, state: AccessState) -> AccessState:
    """Return the state with what a change of the policy would have refused.

    The gate is asked only if the policy changes. Its answer is for the reader of a diff, so that a
    gate of another version, which cannot answer, does not prevent the change.
    """
    found = read_policy(state.policy)
    if not state.gate or found is None or found[0] == spec.document:
        return state
    try:
        refused = consulting.describe_replay(consulting.replay(spec.document))
    except (WormholeError, KeyError, TypeError, ValueError):
        return state
    return replace(state, replay=refused)
