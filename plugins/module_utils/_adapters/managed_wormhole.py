# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wormhole and its identity on their host, observed and changed as one."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any, Callable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import (
    certificate_record,
    certificate_removal,
    certificate_store,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.identity_host import (
    GivenIdentity,
    ManagedIdentity,
    NoIdentity,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wormhole_host import (
    AwaitHealth,
    Prove,
    WormholeHost,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_removal import find_kept
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import Authority
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._core.systemd_units import UNIT_DIRECTORY
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import TLS
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import ABSENT, WormholeSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_identity import (
    IdentityState,
    ManagedAction,
    ManagedState,
    creation,
    is_new,
    made_for,
    plan_managed,
    removed_directories,
    split_actions,
)


class ManagedWormhole:
    """One wormhole with its identity.

    Args:
        spec: the wormhole that is wanted.
        identity: the certificate to look after, without an owner; None if there is none.
        engine: the engine that is to run it.
        prove: see :class:`_adapters.wormhole_host.WormholeHost`.
        authority: who issues.
        now: the host's clock.
        await_health: see there.
        unit_directory: of the listener's socket units.
    """

    def __init__(
        self,
        spec: WormholeSpec,
        identity: Optional[CertificateSpec],
        engine: EnginePort,
        prove: Prove,
        authority: Authority,
        now: datetime,
        *,
        await_health: AwaitHealth,
        unit_directory: str = UNIT_DIRECTORY,
    ) -> None:
        self._spec = spec
        self._identity = identity
        self._authority = authority
        self._now = now
        self._managed = ManagedIdentity(spec, identity, engine, authority)
        keeper: NoIdentity = GivenIdentity(spec, engine) if self._is_given() else self._managed
        self.host = WormholeHost(
            spec, engine, prove, keeper, await_health=await_health, unit_directory=unit_directory
        )
        self._first: Optional[ManagedState] = None

    def observe(self) -> ManagedState:
        """Reads everything that the plan depends on.

        Raises:
            WormholeError: something does not answer or cannot be read.
        """
        wormhole = self.host.observe()
        state = ManagedState(wormhole, self._managed.observe(wormhole))
        self._first = self._first or state
        return state

    def plan(self, state: ManagedState) -> Plan[ManagedAction]:
        """See :func:`_core.wormhole_identity.plan_managed`."""
        return plan_managed(self._spec, self._identity, state, self._authority, self._now)

    def apply(
        self, plan: Plan[ManagedAction], ask: Callable[[Plan[Any]], None], issued: Mapping[str, str]
    ) -> None:
        """Carries out a plan.

        Args:
            plan: what to do.
            ask: called once it is certain that nothing else is missing, with what has to be issued; raises if that has not been.
            issued: certificates in PEM form, by name.

        Raises:
            WormholeError: a step failed. A container that was to be replaced is back; an identity that was to be the new one's
                is gone.
        """
        parts = split_actions(plan)
        self.host.require(parts.container)
        ask(parts.certificate)
        certificate_store.apply_certificates(parts.certificate, self._authority, issued, self._now)
        if self._identity is not None and plan.actions:
            certificate_record.mark_identity(self._identity.directory)
        try:
            self.host.carry_out(parts.container)
        except BaseException:
            if self._is_unused():
                # The error that counts is the first.
                with contextlib.suppress(WormholeError):
                    self._managed.discard()
            raise
        if creation(parts.container) is not None and self._is_given():
            certificate_record.release_identity(self._spec.wiring.identity_directory)
        if not parts.removal.is_empty:
            certificate_removal.apply_removal(parts.removal)

    def kept(self, plan: Plan[ManagedAction]) -> dict[str, list[str]]:
        """What stays in the directories of identities that a plan removes: by directory, names that nobody made here."""
        going = removed_directories(plan)
        return find_kept(going, self._first.identity.removal) if going and self._first else {}

    def _is_given(self) -> bool:
        """Whether somebody else looks after the identity."""
        spec = self._spec
        return spec.wiring.transport == TLS and spec.state != ABSENT and self._identity is None

    def _is_unused(self) -> bool:
        """Whether there was no identity before, and there is no container that it is for."""
        if self._identity is None or self._first is None or self.host.has_created:
            return False
        there: tuple[Any, ...] = (self._first.wormhole.container, self._first.wormhole.former)
        state: IdentityState = self._first.identity
        return is_new(state.certificate) and self._identity.directory not in map(made_for, there)
