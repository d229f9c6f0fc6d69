# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the program of the gate what an identity has created, before its access is removed."""

from __future__ import annotations

from dataclasses import replace

from ..._base.errors import WormholeError
from ..._gate.io import consulting
from ..model import AccessState
from ..spec import UNRESTRICTED, read_policy


def with_siblings(identity: str, state: AccessState) -> AccessState:
    """Return the state with what a removal of the identity's access does to what it has created.

    A program that does not answer does not prevent the removal. The running gate then does the same
    some time later.
    """
    found = read_policy(state.policy)
    if not state.gate or found is None or found[0].get("preset") == UNRESTRICTED:
        return state
    try:
        return replace(state, siblings=consulting.clean_up([identity], carry_out=False))
    except WormholeError:
        return state
