# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans a wormhole with its identity: the certificate, the container, and identities to remove.

An identity belongs to the user of the container. The number of a user's name is known once the
container is created, because the image defines it. So the identity of a new container is handed
over after the container is created and before it is started (:mod:`_wormhole.io.identity`). Until
then it keeps its owner.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Mapping, Optional, Union, get_args

from .._access.model import Closing, Opening
from .._base.errors import Refused, VerificationFailed
from .._base.labels import LABEL_IDENTITY_DIRECTORY
from .._base.plan import Plan, Reason
from .._certificates.facts import CERTIFICATE_FILE, KEY_FILE
from .._certificates.model import CertificateAction, CertificateState, IssueCertificate, expected_entries
from .._certificates.names import SubjectAlternativeName
from .._certificates.ownership import Accepted, check_accepted
from .._certificates.plan import describe_found, describe_requested, future_names, plan_certificates
from .._certificates.removal import RemovalAction, RemovalState, RemoveFiles, plan_removal
from .._certificates.spec import CertificateSpec
from .._certificates.trust import Authority
from .._container.inspection import config_of, labels_of
from .._container.users import host_uid, plain_uid
from .._engine.security import EngineSecurity
from .._wiring.spec import TLS
from .access import WormholeAccess, has_door, plan_closing, plan_opening, wanted_access
from .found import identity_owner, read_wiring_spec
from .identity_spec import GROUP
from .model import (
    Action,
    CreateContainer,
    PullImage,
    RemoveContainer,
    RemovePrevious,
    RestorePrevious,
    Steps,
    WormholeState,
)
from .plan import plan_wormhole
from .resolve import current_container, wiring_of
from .spec import ABSENT, WormholeSpec

ManagedAction = Union[CertificateAction, Opening, Action, RemovalAction, Closing]


@dataclass(frozen=True)
class IdentityState:
    """The observed state of a wormhole's identity.

    Attributes:
        certificate: state of its directory.
        uid: user of the existing container, as a number on the host; None without a container.
        sharers: users of other wormholes that mount the same directory, by name; read if the owner
            may change.
        removal: the record of the host; read if an identity may have to be removed.
        mounted: directories that other containers mount; read in the same case.
        accepted: the authorities whose clients the engine accepts; None if unknown. Not read if the
            present certificate is from the issuing authority.
        access: its access through the gate.
    """

    certificate: CertificateState = CertificateState()
    uid: Optional[int] = None
    sharers: Mapping[str, int] = field(default_factory=dict)
    removal: RemovalState = RemovalState()
    mounted: frozenset[str] = frozenset()
    accepted: Optional[Accepted] = None
    access: WormholeAccess = WormholeAccess()


@dataclass(frozen=True)
class ManagedState:
    """The observed state of a wormhole and of its identity."""

    wormhole: WormholeState
    identity: IdentityState = IdentityState()


def plan_managed(
    spec: WormholeSpec,
    identity: Optional[CertificateSpec],
    state: ManagedState,
    authority: Authority,
    now: datetime,
) -> Plan[ManagedAction]:
    """Plan a wormhole and its identity.

    Args:
        spec: the specified wormhole.
        identity: its certificate, without an owner; None if it is not managed.

    Raises:
        InvalidInput, Refused, VerificationFailed: see :func:`_wormhole.plan.plan_wormhole` and
            :func:`_certificates.plan.plan_certificates` and :func:`reject_sharing`.
    """
    container = plan_wormhole(spec, state.wormhole)
    steps = Steps(container.reasons, container.actions, container.before, container.after)
    certificate = Steps()
    if identity is not None:
        certificate = _plan_certificate(spec, identity, state, container, authority, now)
    steps = certificate + _plan_access(spec, state, container, certificate) + steps
    ending = ending_containers(container)
    steps += _plan_unneeded(spec, state, ending)
    return (steps + plan_closing(spec, state.wormhole, state.identity.access, ending)).as_plan()


def creation(plan: Plan[Any]) -> Optional[CreateContainer]:
    """Return the action of a plan that creates the container; None without one."""
    return next((action for action in plan.actions if isinstance(action, CreateContainer)), None)


def is_new(certificate: CertificateState) -> bool:
    """Report whether an identity does not exist yet."""
    return not {CERTIFICATE_FILE, KEY_FILE} & set(certificate.entries)


def future_uid(spec: WormholeSpec, state: ManagedState, plan: Plan[Any]) -> Optional[int]:
    """Return the user of the container after a plan, as a number on the host; None if unknown."""
    if creation(plan) is None:
        return state.identity.uid
    pulling = any(isinstance(action, PullImage) for action in plan.actions)
    image = None if pulling else state.wormhole.image
    user = spec.wiring.identity_owner or spec.options.get("user")
    if user is None and image is None:
        return None
    if user is None:
        user = config_of(image).get("User") or ""
    uid = plain_uid(str(user))
    if uid is not None:
        security = state.wormhole.wiring.security
        return uid_on_host(spec.name, security, uid, host_users=spec.wiring.host_users)
    present = current_container(spec, state.wormhole)
    if present is None or image is None or present.get("Image") != image["Id"]:
        return None
    return state.identity.uid if identity_user(present) == user else None


def identity_user(container: Mapping[str, Any]) -> str:
    """Return the user to whom the identity of a container belongs."""
    return identity_owner(container) or str(config_of(container).get("User") or "")


def uid_on_host(name: str, security: EngineSecurity, uid: int, *, host_users: bool) -> int:
    """Return the number on the host of a user in the container ``name``.

    Raises:
        VerificationFailed: the engine maps the number to none of the host.
    """
    if host_users or not security.remapped:
        return uid
    found = host_uid(uid, security.uid_maps)
    if found is None:
        subject = f"user {uid} of container {name}"
        problem = f"The engine maps {subject} to no user of the host"
        raise VerificationFailed(subject, problem=problem, remedy="Use a number below 65536")
    return found


def owned(identity: CertificateSpec, uid: Optional[int], gid: int = GROUP) -> CertificateSpec:
    """Return an identity with its owner, who is root if unknown."""
    return replace(identity, uid=uid or 0, gid=gid)


def reject_sharing(identity: str, name: str, uid: int, sharers: Mapping[str, int]) -> None:
    """Reject an identity that wormholes of different users share: its key or socket has one owner.

    Raises:
        Refused: another wormhole runs as another user.
    """
    others = {sharer: number for sharer, number in sharers.items() if number != uid}
    if others:
        found = ", ".join(f"{sharer}, whose user is {others[sharer]}" for sharer in sorted(others))
        subject = f"identity {identity}"
        problem = f"The {subject} cannot belong to user {uid} of container {name}, "
        problem += f"because it is also mounted by {found}"
        remedy = "Give each wormhole its own identity with the option identity"
        raise Refused(subject, problem=problem, remedy=remedy)


def removable_directories(spec: WormholeSpec, state: WormholeState) -> set[str]:
    """Return the identities' directories that may have to be removed, see :func:`_made_here`.

    They were made for the existing containers, or for a wormhole to remove, which may have none.
    """
    if spec.state == ABSENT and not spec.wiring.identity_managed:
        return set()
    found = set(map(made_for, state.existing))
    if spec.state == ABSENT:
        found.add(spec.wiring.identity_directory)
    elif spec.wiring.transport == TLS:
        found.discard(spec.wiring.identity_directory)
    return found - {""}


def made_for(container: Optional[Mapping[str, Any]]) -> str:
    """Return the directory of the identity that was created for a container; empty if none was."""
    return str(labels_of(container).get(LABEL_IDENTITY_DIRECTORY) or "")


def _plan_certificate(
    spec: WormholeSpec,
    identity: CertificateSpec,
    state: ManagedState,
    container: Plan[Action],
    authority: Authority,
    now: datetime,
) -> Steps:
    found = state.identity.certificate
    future = future_uid(spec, state, container)
    if future is not None:
        reject_sharing(identity.name, spec.name, future, state.identity.sharers)
    replaced = creation(container) is not None and _is_used(spec, identity, state)
    present = _present_owner(identity, state, future, replaced=replaced)
    plan = plan_certificates([present], {identity.name: found}, authority, now)
    if not _may_be_changed(spec, state, authority, now):
        check_issuer(plan, state, authority)
    reasons = [
        Reason(f"identity_{reason.code}", f"identity {identity.name}: {reason.text}", spec.name)
        for reason in plan.reasons
    ]
    if future is not None and present.uid != future:
        text = f"identity {identity.name}: its owner changes from user {present.uid} to user {future}, "
        text += "as identity_owner says" if spec.wiring.identity_owner else "the user of the container"
        reasons.append(Reason("identity_owner_differs", text, spec.name))
    if not reasons:
        return Steps()
    before = {"identity": describe_found(present, found, authority)}
    names = future_names(present, found, authority, plan.actions)
    after = {"identity": _describe(spec, identity, future, found, names)}
    return Steps(tuple(reasons), plan.actions, before, after)


def _may_be_changed(spec: WormholeSpec, state: ManagedState, authority: Authority, now: datetime) -> bool:
    """Report whether an earlier task may change whom the engine accepts, which check mode cannot know."""
    accepted = state.identity.accepted
    expired = accepted is not None and accepted.have_expired(now)
    return authority.replaces or expired or bool(wiring_of(spec, state.wormhole).obstacle)


def check_issuer(plan: Plan[CertificateAction], state: ManagedState, authority: Authority) -> None:
    """Check that the engine accepts the identity that a plan issues.

    Raises:
        Refused: it does not trust the authority.
    """
    for action in plan.actions:
        if isinstance(action, IssueCertificate):
            check_accepted(action.spec.name, state.identity.accepted, authority)


def _is_used(spec: WormholeSpec, identity: CertificateSpec, state: ManagedState) -> bool:
    """Report whether the existing container has this identity."""
    present = current_container(spec, state.wormhole)
    if present is None:
        return False
    mounted = read_wiring_spec(spec.wiring, present).identity_directory
    return identity.directory in (made_for(present), mounted)


def _present_owner(
    identity: CertificateSpec, state: ManagedState, future: Optional[int], *, replaced: bool
) -> CertificateSpec:
    """Return the identity with its owner until the new container is created."""
    # A container that is replaced runs until then, and needs its key.
    if replaced and state.identity.uid is not None:
        return owned(identity, state.identity.uid)
    key = state.identity.certificate.entries.get(KEY_FILE)
    if future is None and key is not None:
        return owned(identity, key.uid, key.gid)
    return owned(identity, future)


def _describe(
    spec: WormholeSpec,
    identity: CertificateSpec,
    uid: Optional[int],
    found: CertificateState,
    names: tuple[SubjectAlternativeName, ...],
) -> dict[str, Any]:
    fields = describe_requested(owned(identity, uid), found, names)
    if uid is None:
        user = spec.wiring.identity_owner or str(spec.options.get("user") or "of the image")
        user = user.partition(":")[0]
        key = expected_entries(owned(identity, uid))[KEY_FILE]
        fields[KEY_FILE] = f"{key.mode:04o} user {user}:{key.gid}"
    return fields


def _plan_access(
    spec: WormholeSpec, state: ManagedState, container: Plan[Action], certificate: Steps
) -> Steps:
    """Plan the access through the gate that the wormhole needs."""
    access = wanted_access(spec, state.wormhole)
    if access is None:
        return Steps()
    future = future_uid(spec, state, container) if access.door else None
    if future is not None:
        reject_sharing(access.identity, spec.name, future, state.identity.sharers)
    present = current_container(spec, state.wormhole)
    return plan_opening(
        spec,
        state.wormhole,
        state.identity.access.own,
        future,
        replaced=creation(container) is not None and has_door(present, access.identity),
        issuing=any(isinstance(action, IssueCertificate) for action in certificate.actions),
    )


def ending_containers(container: Plan[Action]) -> frozenset[str]:
    """Return the IDs of the containers that a plan removes."""
    removals = (RemoveContainer, RemovePrevious)
    ending = {action.container for action in container.actions if isinstance(action, removals)}
    created = creation(container)
    if created is not None:
        ending.add(created.previous)
    ending.update(action.successor for action in container.actions if isinstance(action, RestorePrevious))
    return frozenset(ending)


def _plan_unneeded(spec: WormholeSpec, state: ManagedState, ending: frozenset[str]) -> Steps:
    """Plan to remove the identities that only the removed containers use."""
    used = {
        made_for(item) for item in state.wormhole.existing if item["Id"] not in ending
    } | state.identity.mounted
    unused = sorted(removable_directories(spec, state.wormhole) & _made_here(state) - used)
    plan = plan_removal(unused, state.identity.removal) if unused else Plan()
    if plan.is_empty:
        return Steps()
    reasons = tuple(Reason(f"identity_{reason.code}", reason.text, spec.name) for reason in plan.reasons)
    before, after = {"identities": dict(plan.before)}, {"identities": dict(plan.after)}
    return Steps(reasons, plan.actions, before, after)


def _made_here(state: ManagedState) -> set[str]:
    """Return the directories of identities that this collection has created.

    An unmanaged identity may have the name of a wormhole, too.
    """
    labelled = map(made_for, state.wormhole.existing)
    return {*labelled, *state.identity.removal.record.identities}


def removed_directories(plan: Plan[ManagedAction]) -> list[str]:
    """Return the directories of the identities that a plan removes."""
    return [action.directory for action in plan.actions if isinstance(action, RemoveFiles)]


@dataclass(frozen=True)
class Parts:
    """The actions of a plan by the slice that applies them, in this order."""

    certificate: Plan[CertificateAction]
    opening: Plan[Opening]
    container: Plan[Action]
    removal: Plan[RemovalAction]
    closing: Plan[Closing]


def split_actions(plan: Plan[ManagedAction]) -> Parts:
    """Divide a plan. Each part that is not empty has all reasons."""

    def part(kinds: Any) -> Plan[Any]:
        actions = tuple(action for action in plan.actions if isinstance(action, get_args(kinds)))
        return Plan(reasons=plan.reasons if actions else (), actions=actions)

    return Parts(part(CertificateAction), part(Opening), part(Action), part(RemovalAction), part(Closing))
