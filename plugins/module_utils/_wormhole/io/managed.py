# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observes and changes a wormhole together with its identity."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any, Callable, Mapping, Optional

from ..._access.io.changes import apply_access, require_access, restore_access
from ..._access.model import EndSiblings
from ..._base.errors import WormholeError
from ..._base.plan import Plan
from ..._certificates.io import record as certificate_record
from ..._certificates.io import removal as certificate_removal
from ..._certificates.io.installing import apply_certificates
from ..._certificates.removal import find_kept
from ..._certificates.spec import CertificateSpec
from ..._certificates.trust import Authority
from ..._engine.port import EnginePort
from ..._gate.ending import Ending
from ..._wiring.io.state import ObserveWiring
from ..._wiring.spec import TLS
from .. import identity as planning
from ..identity import ManagedAction, ManagedState, creation, made_for
from ..spec import ABSENT, WormholeSpec
from .access import Door
from .container import AwaitHealth, Verify, WormholeHost
from .identity import (
    Identity,
    ManagedIdentity,
    NoIdentity,
    UnmanagedIdentity,
    discard,
    find_uid,
    observe_identity,
)


class ManagedWormhole:
    """One wormhole with its identity.

    Args:
        identity: the certificate to manage, without an owner; None if there is none.
        verify, await_health, look: see :class:`_wormhole.io.container.WormholeHost`.
        authority: the authority that issues certificates.
        now: the host's clock.

    Attributes:
        host: the wormhole without its identity.
    """

    def __init__(
        self,
        spec: WormholeSpec,
        identity: Optional[CertificateSpec],
        engine: EnginePort,
        verify: Verify,
        authority: Authority,
        now: datetime,
        *,
        await_health: AwaitHealth,
        look: ObserveWiring,
    ) -> None:
        self._spec = spec
        self._identity = identity
        self._engine = engine
        self._authority = authority
        self._now = now
        self._managed = None if identity is None else ManagedIdentity(spec, identity, engine, authority)
        wiring, absent = spec.wiring, spec.state == ABSENT
        self._unmanaged = wiring.transport == TLS and not absent and not wiring.identity_managed
        keeper: Identity = NoIdentity(engine) if self._managed is None else self._managed
        if self._unmanaged:
            keeper = UnmanagedIdentity(spec, engine)
        gated = wiring.gated and not absent and bool(spec.image)
        self._door = Door(spec, engine, find_uid, keeper) if gated else None
        keeper = keeper if self._door is None else self._door
        self.host = WormholeHost(spec, engine, verify, keeper, await_health=await_health, look=look)
        self._first: Optional[ManagedState] = None
        self._planned: Optional[tuple[ManagedState, Plan[ManagedAction]]] = None
        self._endings: Optional[tuple[Ending, ...]] = None

    def observe(self) -> ManagedState:
        """Read everything that the plan depends on.

        Raises:
            WormholeError: something does not answer or cannot be read.
        """
        wormhole = self.host.observe()
        identity = observe_identity(self._spec, self._identity, self._engine, self._authority, wormhole)
        if self._managed is not None:
            self._managed.sharers = identity.sharers
        if self._door is not None:
            self._door.sharers = identity.sharers
        state = ManagedState(wormhole, identity)
        self._first = self._first or state
        return state

    def plan(self, state: ManagedState) -> Plan[ManagedAction]:
        """See :func:`_wormhole.identity.plan_managed`. A run asks several times about one state."""
        if self._planned is None or self._planned[0] is not state:
            plan = planning.plan_managed(self._spec, self._identity, state, self._authority, self._now)
            self._planned = state, plan
        return self._planned[1]

    def require(
        self, plan: Plan[ManagedAction], ask: Callable[[Plan[Any]], None], *, listener_comes: bool = False
    ) -> None:
        """Check what a plan requires, before anything is changed.

        Args:
            ask: see :meth:`apply`.
            listener_comes: whether the listener and the gate may be missing, because the run creates
                them first.

        Raises:
            WormholeError: something does not exist, or the change is rejected.
        """
        parts = planning.split_actions(plan)
        if not listener_comes:
            require_access(parts.opening.actions)
        self.host.require(parts.container, listener_comes=listener_comes)
        if self._first is not None:
            planning.check_issuer(parts.certificate, self._first, self._authority)
        ask(parts.certificate)

    def apply(
        self, plan: Plan[ManagedAction], ask: Callable[[Plan[Any]], None], issued: Mapping[str, str]
    ) -> None:
        """Carry out a plan.

        Args:
            ask: called with the plan of the certificates once nothing else is missing; raises an
                error if they have not been issued yet.
            issued: certificates in PEM form, by name.

        Raises:
            WormholeError: a step failed. The previous container is restored, and an identity that
                was new is removed.
        """
        self.require(plan, ask)
        parts = planning.split_actions(plan)
        apply_certificates(parts.certificate, self._authority, issued, self._now)
        if self._identity is not None and plan.actions:
            identity = self._identity.directory
            certificate_record.update(lambda record: record.with_identity(identity))
        try:
            apply_access(parts.opening.actions)
            self.host.carry_out(parts.container)
        except BaseException:
            # The previous container runs again, and gets no more access than it had.
            with contextlib.suppress(WormholeError):
                self._restore_access(parts.opening)
            if self._identity is not None and self._is_unused(self._identity):
                # The error that counts is the first.
                with contextlib.suppress(WormholeError):
                    discard(self._identity)
            raise
        if creation(parts.container) is not None and self._unmanaged:
            released = self._spec.wiring.identity_directory
            certificate_record.update(lambda record: record.without_identity(released))
        if not parts.removal.is_empty:
            certificate_removal.apply_removal(parts.removal)
        # Last: until then, containers that end here may have used it.
        self._endings = apply_access(parts.closing.actions)

    def endings(self, plan: Plan[ManagedAction]) -> tuple[Ending, ...]:
        """Return what has happened to what the wormhole had created, or would happen."""
        if self._endings is not None:
            return self._endings
        ends = (action for action in plan.actions if isinstance(action, EndSiblings))
        return tuple(ending for action in ends for ending in action.siblings)

    def kept(self, plan: Plan[ManagedAction]) -> dict[str, list[str]]:
        """Return the unmanaged files that stay, by the directory of each removed identity."""
        removed = planning.removed_directories(plan)
        return find_kept(removed, self._first.identity.removal) if removed and self._first else {}

    def _restore_access(self, opening: Plan[Any]) -> None:
        """Restore the access that a failed run has changed."""
        if self._first is None or opening.is_empty or self.host.has_created:
            return
        restore_access(opening.actions[0].identity, self._first.identity.access.own)

    def _is_unused(self, identity: CertificateSpec) -> bool:
        """Report whether the run has made the identity, and no container uses it."""
        if self._first is None or self.host.has_created:
            return False
        used = map(made_for, self._first.wormhole.existing)
        return planning.is_new(self._first.identity.certificate) and identity.directory not in used
