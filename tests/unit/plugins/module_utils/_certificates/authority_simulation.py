# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulates the plan of an authority."""

from __future__ import annotations

import datetime
from dataclasses import replace

from ansible_collections.wormhole.docker.plugins.module_utils._base.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import (
    CERTIFICATE_FILE,
    DIRECTORY,
    FORMER_CERTIFICATE_FILE,
    FORMER_KEY_FILE,
    KEY_FILE,
    MODES,
    NEXT_CERTIFICATE_FILE,
    NEXT_KEY_FILE,
    RETIRED_FILE,
    AuthorityAction,
    AuthoritySpec,
    AuthorityState,
    CreateAuthority,
    CreateSuccessor,
    DropFormer,
    SetMode,
    authority_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import KeyFacts


def simulate_authority(
    spec: AuthoritySpec, state: AuthorityState, plan: Plan[AuthorityAction], now: datetime.datetime
) -> AuthorityState:
    """The state that a plan leads to."""
    for action in plan.actions:
        state = _simulate_one(spec, state, action, now)
    return state


def _simulate_one(
    spec: AuthoritySpec, state: AuthorityState, action: AuthorityAction, now: datetime.datetime
) -> AuthorityState:
    if isinstance(action, CreateAuthority):
        certificate = authority_certificate(spec, now)
        key = KeyFacts(spec.key_type, certificate.public_key_sha256)
        return AuthorityState(_modes(DIRECTORY, KEY_FILE, CERTIFICATE_FILE), key, certificate)
    if isinstance(action, SetMode):
        return replace(state, modes={**state.modes, action.name: action.mode})
    if isinstance(action, CreateSuccessor):
        successor = authority_certificate(action.spec, now)
        modes = {**state.modes, **_modes(NEXT_KEY_FILE, NEXT_CERTIFICATE_FILE)}
        return replace(state, successor=successor, modes=modes)
    if isinstance(action, DropFormer):
        dropped = (FORMER_KEY_FILE, FORMER_CERTIFICATE_FILE)
        modes = {name: mode for name, mode in state.modes.items() if name not in dropped}
        return replace(state, former=None, modes={**modes, **_modes(RETIRED_FILE)})
    if state.unfinished or state.successor is None:
        return replace(state, unfinished=False)
    return replace(
        state,
        key=KeyFacts(state.successor.key_type, state.successor.public_key_sha256),
        certificate=state.successor,
        chain=(),
        former=state.certificate,
        successor=None,
        modes={**state.modes, **_modes(FORMER_KEY_FILE, FORMER_CERTIFICATE_FILE)},
    )


def _modes(*names: str) -> dict[str, int]:
    return {name: MODES[name] for name in names}
