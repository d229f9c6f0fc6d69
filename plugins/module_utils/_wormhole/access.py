# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans the access of a wormhole through the gate.

A policy and its door exist before the container starts, and are removed after the container that
used them. So a container never has more access than planned.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional

from .._access.model import AccessState
from .._access.plan import plan_access, plan_removal
from .._access.spec import AccessSpec
from .._base.errors import Refused
from .._base.labels import LABEL_GATE, LABEL_IDENTITY, LABEL_TRANSPORT
from .._base.plan import Reason
from .._container.inspection import labels_of
from .._container.values import split_bind
from .._gate import places
from .._wiring.spec import TLS
from .._wiring.wire import access_of
from .model import Steps, WormholeState
from .spec import ABSENT, WormholeSpec


@dataclass(frozen=True)
class WormholeAccess:
    """The observed access of a wormhole.

    Attributes:
        own: access of the identity that the wormhole has after the run, if it needs any.
        former: accesses of identities that it may not need any more, by identity.
        used: identities that other containers have.
    """

    own: AccessState = AccessState()
    former: Mapping[str, AccessState] = field(default_factory=dict)
    used: frozenset[str] = frozenset()


def wanted_access(spec: WormholeSpec, state: WormholeState) -> Optional[AccessSpec]:
    """Return the access that a wormhole has after the run; None for one without the gate.

    Without an image, the existing container keeps its wiring, and its policy with it.
    """
    keeps = spec.state == ABSENT or not spec.image
    return None if keeps else access_of(spec.wiring, state.wiring)


def former_identities(spec: WormholeSpec, state: WormholeState) -> set[str]:
    """Return the identities whose access the wormhole may not need any more."""
    if spec.state != ABSENT and not spec.image:
        return set()
    found = {identity_of(container) for container in state.existing}
    access = wanted_access(spec, state)
    # After an interrupted run, no container may show it.
    found.add(spec.wiring.identity)
    return {name for name in found if places.is_identity(name)} - {"" if access is None else access.identity}


def identity_of(container: Optional[Mapping[str, Any]]) -> str:
    """Return the identity with which a container calls its engine; empty without one."""
    return _identity_in(labels_of(container))


def listed_identities(summaries: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the identities of containers in the engine's list."""
    return frozenset(_identity_in(summary.get("Labels") or {}) for summary in summaries) - {""}


def has_door(container: Optional[Mapping[str, Any]], identity: str) -> bool:
    """Report whether a container has the gate's socket of an identity."""
    return labels_of(container).get(LABEL_GATE) == "true" and identity_of(container) == identity


def plan_opening(
    spec: WormholeSpec,
    state: WormholeState,
    access: AccessState,
    future: Optional[int],
    *,
    replaced: bool,
    issuing: bool,
) -> Steps:
    """Plan the access that a wormhole needs before its container starts.

    Args:
        access: the present access of its identity.
        future: number of the user of the container after the run; None if unknown.
        replaced: whether an existing container with this door is replaced. It keeps the door until
            it is stopped.
        issuing: whether the run issues the certificate of the identity.

    Raises:
        Refused: the gate serves TLS, and the name of the identity cannot have a policy.
    """
    wanted = wanted_access(spec, state)
    if wanted is None:
        return Steps()
    if not places.is_identity(wanted.identity):
        subject = f"identity {wanted.identity}"
        problem = f"{subject} cannot have a policy, which the gate of this host requires: "
        problem += "its name has characters other than letters, digits, _ . -"
        raise Refused(subject, problem=problem, remedy="Choose another name with the option identity")
    user = access.owner if replaced and access.owner is not None else future
    by_gate = state.wiring.served_by_gate
    plan = plan_access(wanted, access, user, issuing=issuing, served_by_gate=by_gate)
    reasons = [_for(spec, reason, wanted.identity) for reason in plan.reasons]
    if wanted.door and replaced and future is not None and access.owner not in (None, future):
        text = f"the owner of its socket changes from user {access.owner} to user {future}"
        reasons.append(Reason("door_owner_differs", f"identity {wanted.identity}: {text}", spec.name))
    return Steps(tuple(reasons), plan.actions, plan.before, plan.after)


def plan_closing(
    spec: WormholeSpec, state: WormholeState, access: WormholeAccess, ending: frozenset[str]
) -> Steps:
    """Plan to remove accesses that nobody needs after the run.

    Args:
        ending: IDs of the containers that the run removes.
    """
    used = {identity_of(item) for item in state.existing if item["Id"] not in ending} | access.used
    unused = {name: found for name, found in access.former.items() if name not in used}
    plan = plan_removal(unused)
    reasons = tuple(Reason(reason.code, reason.text, spec.name) for reason in plan.reasons)
    return Steps(reasons, plan.actions, plan.before, plan.after)


def bypass_warnings(spec: WormholeSpec) -> tuple[str, ...]:
    """Warn of options that make a container root on its host, whatever its policy."""
    policy = spec.wiring.policy
    if policy is None or not policy.restricts or spec.state == ABSENT:
        return ()
    ways = ["privileged"] if spec.options.get("privileged") else []
    sources = [split_bind(item)[0] for item in spec.options.get("volumes", ())]
    sources += [str(mount.get("source") or "") for mount in dict(spec.options.get("mounts", {})).values()]
    ways += [f"the mount of {source}" for source in sources if _has_socket(source, spec.wiring.socket_path)]
    if not ways:
        return ()
    found = f"its policy {policy.preset} does not limit {' and '.join(ways)}"
    return (f"{spec.name}: {found}, by which the container can be root on its host",)


def _has_socket(source: str, socket: str) -> bool:
    """Report whether a directory or file of the host is, or contains, the engine's socket."""
    path = posixpath.normpath(source) if source.startswith("/") else ""
    known = {socket, "/run/docker.sock", "/var/run/docker.sock"}
    return bool(path) and any(f"{item}/".startswith(f"{path.rstrip('/')}/") for item in known)


def _for(spec: WormholeSpec, reason: Reason, identity: str) -> Reason:
    return Reason(reason.code, f"identity {identity}: {reason.text}", spec.name)


def _identity_in(labels: Mapping[str, Any]) -> str:
    through = labels.get(LABEL_TRANSPORT) == TLS or labels.get(LABEL_GATE) == "true"
    return str(labels.get(LABEL_IDENTITY) or "") if through else ""
