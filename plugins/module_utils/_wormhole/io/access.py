# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives a wormhole's socket of the gate to the user that runs in the container.

As with an identity's key, the user's number may be known only once the container is created. The
existing container keeps the socket until it is stopped.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Protocol

from ..._access.io.changes import give_door
from ..._access.io.state import observe_access
from ..._engine.port import EnginePort
from ..._engine.security import EngineSecurity, parse_security
from ..access import has_door
from ..identity import reject_sharing
from ..spec import WormholeSpec


class GivesBack(Protocol):
    """What restores the identity of an existing container."""

    def give_back(self, container: Mapping[str, Any]) -> None:
        """See :meth:`_wormhole.io.identity.Identity.give_back`."""


FindUid = Callable[[EnginePort, Mapping[str, Any], EngineSecurity], int]


class Door:
    """The gate's socket of a wormhole; one of the keepers of :mod:`_wormhole.io.identity`.

    Args:
        find_uid: returns the user of a container, as a number on the host.
        former: the keeper of what an existing container may have instead.

    Attributes:
        sharers: users of other wormholes that have the same socket, by name; set after they are
            observed.
    """

    def __init__(self, spec: WormholeSpec, engine: EnginePort, find_uid: FindUid, former: GivesBack) -> None:
        self._former = former
        self._name = spec.name
        self._identity = spec.wiring.identity
        self._engine = engine
        self._find_uid = find_uid
        self._uid: Optional[int] = None
        self._previous: Optional[int] = None
        self.sharers: Mapping[str, int] = {}

    def require(self) -> None:
        pass

    def prepare(self, container: str) -> None:
        found = self._engine.find_container(container) or {}
        uid = self._find_uid(self._engine, found, parse_security(self._engine.info()))
        reject_sharing(self._identity, self._name, uid, self.sharers)
        self._uid = uid

    def hand_over(self) -> None:
        if self._uid is not None:
            self._previous = observe_access(self._identity).owner
            give_door(self._identity, self._uid)

    def take_back(self) -> None:
        if self._previous is not None:
            give_door(self._identity, self._previous)
            self._previous = None

    def give_back(self, container: Mapping[str, Any]) -> None:
        self._former.give_back(container)
        # The interrupted run may have given the socket to the user of the new container.
        if has_door(container, self._identity) and observe_access(self._identity).has_door:
            uid = self._find_uid(self._engine, container, parse_security(self._engine.info()))
            give_door(self._identity, uid)
