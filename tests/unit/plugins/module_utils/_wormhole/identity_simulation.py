# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What applying the plan of a managed wormhole does, as data."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Optional

from ansible_collections.wormhole.docker.plugins.module_utils._base.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import DIRECTORY
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.model import (
    CertificateState,
    Entry,
    expected_entries,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.removal import simulate_removal
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import Authority
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.identity import (
    ManagedAction,
    ManagedState,
    creation,
    owned,
    split_actions,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.simulation import (
    simulate_certificates,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.simulation import (
    simulate_wormhole,
)


def simulate_managed(
    state: ManagedState,
    plan: Plan[ManagedAction],
    identity: Optional[CertificateSpec],
    authority: Authority,
    now: datetime,
    uid: int,
) -> ManagedState:
    """The state that a plan leads to.

    Args:
        state, plan, identity, authority, now: as for :func:`plan_managed`.
        uid: as whom a container that is created turns out to run, as a number of the host.
    """
    parts = split_actions(plan)
    wormhole = simulate_wormhole(state.wormhole, parts.container)
    found = state.identity
    if identity is not None:
        after = simulate_certificates({identity.name: found.certificate}, parts.certificate, authority, now)
        found = replace(found, certificate=after[identity.name])
        if creation(plan) is not None:
            found = replace(found, uid=uid, certificate=_handed_over(identity, found.certificate, uid))
    found = replace(found, removal=simulate_removal(found.removal, parts.removal))
    return ManagedState(wormhole, found)


def _handed_over(identity: CertificateSpec, state: CertificateState, uid: int) -> CertificateState:
    wanted = expected_entries(owned(identity, uid))
    entries: dict[str, Entry] = {name: wanted[name] for name in state.entries}
    return replace(state, entries={DIRECTORY: wanted[DIRECTORY], **entries})
