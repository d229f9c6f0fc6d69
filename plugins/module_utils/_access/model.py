# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observed access of an identity, and the actions that change it.

:mod:`_access.plan` plans actions, and :mod:`_access.io.changes` applies them. An identity's *door* is
the socket unit that listens at its unix socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Union

from .._gate.ending import Ending


@dataclass(frozen=True)
class AccessState:
    """The observed state.

    Attributes:
        gate: whether the gate is installed.
        policy: text of the policy's file; None without one.
        protected: whether that file has the owner, group and mode that it should have.
        unit: text of the door's socket unit; None without one.
        enabled: whether systemd starts the door when the host boots.
        owner: number of the user to whom the socket belongs; None if it does not exist.
        private: whether only its owner may connect to the socket.
        fingerprints: SHA-256 of the certificates that the specification names, as they are now.
        replay: which of the calls that the gate has recorded the specified policy would refuse, as a
            sentence; empty if none, or if the policy stays.
        siblings: what happens to what the identity has created, if its wormhole is removed.
    """

    gate: bool = False
    policy: Optional[str] = None
    protected: bool = True
    unit: Optional[str] = None
    enabled: bool = False
    owner: Optional[int] = None
    private: bool = True
    fingerprints: tuple[str, ...] = ()
    replay: str = ""
    siblings: tuple[Ending, ...] = ()

    @property
    def has_door(self) -> bool:
        """Whether anything of a door exists."""
        return self.unit is not None or self.enabled or self.owner is not None


@dataclass(frozen=True)
class RequireGate:
    """Fail, because the gate is not installed, or does not serve the transport.

    Attributes:
        identity: whose access requires it.
        problem, remedy: the sentences of the error.
    """

    identity: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class WritePolicy:
    """Write the file of a policy.

    Attributes:
        identity: the identity.
        document: the policy.
        certificates: paths of the certificates whose fingerprints are admitted.
    """

    identity: str
    document: Mapping[str, Any]
    certificates: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenDoor:
    """Let an identity's socket exist and belong to a user, given by number."""

    identity: str
    user: int


@dataclass(frozen=True)
class CloseDoor:
    """Remove an identity's socket."""

    identity: str


@dataclass(frozen=True)
class EndSiblings:
    """Stop and remove what an identity has created, as its policy says.

    Attributes:
        identity: the identity.
        siblings: what is expected to happen.
    """

    identity: str
    siblings: tuple[Ending, ...]


@dataclass(frozen=True)
class RemovePolicy:
    """Remove the file of a policy, and the record of the identity's calls. It has no access any more."""

    identity: str


Opening = Union[RequireGate, WritePolicy, OpenDoor]
"""What a wormhole needs before its container starts."""
Closing = Union[CloseDoor, EndSiblings, RemovePolicy]
"""What is removed once the container that used it is gone."""
AccessAction = Union[Opening, Closing]
