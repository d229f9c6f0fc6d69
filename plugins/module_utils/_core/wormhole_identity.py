# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides about a wormhole and its identity together: the certificate first, then the container, then what nobody needs any more.

An identity belongs to the user that runs in the container. Who that is may be known only once the container has been created,
because a user's name has a number in its image; so a container that is created gets its identity handed over before it is started
(:mod:`_adapters.identity_host`), and until then the certificate stays whose it is. A container that is there tells its user.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Mapping, Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_plan import (
    describe_found,
    describe_wanted,
    plan_certificates,
    simulate_certificates,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_removal import (
    RemovalAction,
    RemovalState,
    RemoveDirectory,
    RemoveFiles,
    plan_removal,
    simulate_removal,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    CERTIFICATE_FILE,
    DIRECTORY,
    KEY_FILE,
    Authority,
    CertificateAction,
    CertificateState,
    Entry,
    InstallTrustBundle,
    IssueCertificate,
    RecordCertificate,
    RemoveLeftovers,
    SetAttributes,
    wanted_entries,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_users import (
    host_uid,
    plain_uid,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_security import EngineSecurity
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused, VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._core.identities import GROUP
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_IDENTITY_DIRECTORY,
    TLS,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import (
    ABSENT,
    Action,
    CreateContainer,
    PullImage,
    RemoveContainer,
    RemoveFormer,
    WormholeSpec,
    WormholeState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_found import read_wiring_spec
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_plan import (
    plan_wormhole,
    settle_container,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_simulation import (
    simulate_wormhole,
)

ManagedAction = Union[CertificateAction, Action, RemovalAction]


@dataclass(frozen=True)
class IdentityState:
    """What there is of a wormhole's identity.

    Attributes:
        certificate: what stands in its directory.
        uid: as whom the container runs that is there, as a number of the host; None without one.
        sharers: by name, as whom other wormholes run that mount the same directory; looked up where it matters.
        removal: what was made on the host; looked up where an identity may have to go.
        mounted: the directories that other containers mount; looked up there, too.
    """

    certificate: CertificateState = CertificateState()
    uid: Optional[int] = None
    sharers: Mapping[str, int] = field(default_factory=dict)
    removal: RemovalState = RemovalState()
    mounted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ManagedState:
    """What there is of a wormhole and of its identity."""

    wormhole: WormholeState
    identity: IdentityState = IdentityState()


def plan_managed(
    spec: WormholeSpec,
    identity: Optional[CertificateSpec],
    state: ManagedState,
    authority: Authority,
    now: datetime,
) -> Plan[ManagedAction]:
    """Decides for a wormhole and its identity.

    Args:
        spec: the wormhole that is wanted.
        identity: its certificate, without an owner; None if it is not looked after.
        state: what is there.
        authority: who issues.
        now: the host's clock.

    Raises:
        InvalidInput, Refused, VerificationFailed: see :func:`_core.wormhole_plan.plan_wormhole` and
            :func:`_core.certificate_plan.plan_certificates`; and if another user's wormhole has the same identity.
    """
    container = plan_wormhole(spec, state.wormhole)
    parts = [
        _Part() if identity is None else _plan_certificate(spec, identity, state, container, authority, now),
        _Part(container.before, container.after, container.reasons, container.actions),
        _plan_unneeded(spec, state, container),
    ]
    return Plan(
        {key: value for part in parts for key, value in part.before.items()},
        {key: value for part in parts for key, value in part.after.items()},
        tuple(reason for part in parts for reason in part.reasons),
        tuple(action for part in parts for action in part.actions),
    )


@dataclass(frozen=True)
class _Part:
    """A part of a plan; the action for its reasons may be another part's, such as the creation of the container."""

    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    actions: tuple[ManagedAction, ...] = ()


def creation(plan: Plan[Any]) -> Optional[CreateContainer]:
    """The action of a plan that creates the container."""
    return next((action for action in plan.actions if isinstance(action, CreateContainer)), None)


def is_new(certificate: CertificateState) -> bool:
    """Whether there is nothing of an identity yet."""
    return not {CERTIFICATE_FILE, KEY_FILE} & set(certificate.entries)


def future_uid(spec: WormholeSpec, state: ManagedState, plan: Plan[Any]) -> Optional[int]:
    """As whom the container will run that a plan leads to, as a number of the host; None if only its creation will tell."""
    if creation(plan) is None:
        return state.identity.uid
    pulling = any(isinstance(action, PullImage) for action in plan.actions)
    image = None if pulling else state.wormhole.image
    user = spec.options.get("user")
    if user is None:
        if image is None:
            return None
        user = (image.get("Config") or {}).get("User") or ""
    uid = plain_uid(str(user))
    if uid is not None:
        security = state.wormhole.wiring.security
        return uid_on_host(spec.name, security, uid, host_users=spec.wiring.host_users)
    present = settle_container(spec, state.wormhole)
    same_image = present is not None and image is not None and present.get("Image") == image["Id"]
    if present is not None and same_image and (present.get("Config") or {}).get("User") == user:
        return state.identity.uid
    return None


def uid_on_host(name: str, security: EngineSecurity, uid: int, *, host_users: bool) -> int:
    """The number that a user of a container has on the host, where the engine maps it.

    Args:
        name: of the container.
        security: of its engine.
        uid: the number in the container.
        host_users: whether that one is exempt from it (``userns_mode: host``).

    Raises:
        VerificationFailed: nobody can be that user in a container.
    """
    if host_users or not security.remapped:
        return uid
    found = host_uid(uid, security.uid_maps)
    if found is None:
        raise VerificationFailed(
            f"user {uid} of container {name}",
            expected="a number that the engine maps to one of the host",
            remedy="Use a number below 65536",
        )
    return found


def owned(identity: CertificateSpec, uid: Optional[int], gid: int = GROUP) -> CertificateSpec:
    """An identity with its owner; root's as long as nobody else is known."""
    return replace(identity, uid=uid or 0, gid=gid)


def refuse_sharing(identity: CertificateSpec, name: str, uid: int, sharers: Mapping[str, int]) -> None:
    """A key has one owner, so wormholes that share an identity have to run as the same user.

    Raises:
        Refused: another one runs as somebody else.
    """
    others = {sharer: number for sharer, number in sharers.items() if number != uid}
    if others:
        found = ", ".join(f"{sharer}, which runs as user {others[sharer]}" for sharer in sorted(others))
        raise Refused(
            f"identity {identity.name}",
            expected=f"to belong to user {uid} alone, as whom container {name} runs",
            found=f"that it is mounted by {found}, too",
            remedy="Give each of them an identity of its own, by option identity",
        )


def going_directories(spec: WormholeSpec, state: WormholeState) -> set[str]:
    """Directories of identities that may have to go: those made for containers that are there, and that of one that is to be
    absent, whose container may be gone already; see :func:`_made_here`."""
    if spec.state == ABSENT and not spec.wiring.identity_managed:
        return set()
    found = {made_for(container) for container in (state.container, state.former)}
    if spec.state == ABSENT:
        found.add(spec.wiring.identity_directory)
    elif spec.wiring.transport == TLS:
        found.discard(spec.wiring.identity_directory)
    return found - {""}


def made_for(container: Optional[Mapping[str, Any]]) -> str:
    """The directory of the identity that was made for a container; empty if none was."""
    labels = ((container or {}).get("Config") or {}).get("Labels") or {}
    return str(labels.get(LABEL_IDENTITY_DIRECTORY) or "")


def _plan_certificate(
    spec: WormholeSpec,
    identity: CertificateSpec,
    state: ManagedState,
    container: Plan[Action],
    authority: Authority,
    now: datetime,
) -> _Part:
    found = state.identity.certificate
    future = future_uid(spec, state, container)
    if future is not None:
        refuse_sharing(identity, spec.name, future, state.identity.sharers)
    going = creation(container) is not None and _is_used(spec, identity, state)
    present = _present_owner(identity, state, future, going=going)
    plan = plan_certificates([present], {identity.name: found}, authority, now)
    reasons = [
        Reason(f"identity_{reason.code}", f"identity {identity.name}: {reason.text}", spec.name)
        for reason in plan.reasons
    ]
    if future is not None and present.uid != future:
        text = f"identity {identity.name}: goes from user {present.uid} to user {future}, with the container"
        reasons.append(Reason("identity_owner_differs", text, spec.name))
    if not reasons:
        return _Part()
    before = {"identity": describe_found(present, found, authority)}
    after = {"identity": _describe(spec, identity, future)}
    return _Part(before, after, tuple(reasons), plan.actions)


def _is_used(spec: WormholeSpec, identity: CertificateSpec, state: ManagedState) -> bool:
    """Whether the container that is there has this identity, and no other."""
    present = settle_container(spec, state.wormhole)
    if present is None:
        return False
    mounted = read_wiring_spec(spec.wiring, present).identity_directory
    return identity.directory in (made_for(present), mounted)


def _present_owner(
    identity: CertificateSpec, state: ManagedState, future: Optional[int], *, going: bool
) -> CertificateSpec:
    """Whose the identity is until the container is created: a container that has it, and is going, runs on with it."""
    if going and state.identity.uid is not None:
        return owned(identity, state.identity.uid)
    key = state.identity.certificate.entries.get(KEY_FILE)
    if future is None and key is not None:
        return owned(identity, key.uid, key.gid)
    return owned(identity, future)


def _describe(spec: WormholeSpec, identity: CertificateSpec, uid: Optional[int]) -> dict[str, Any]:
    fields = describe_wanted(owned(identity, uid))
    if uid is None:
        user = str(spec.options.get("user") or "of the image").partition(":")[0]
        for name, entry in wanted_entries(owned(identity, uid)).items():
            fields[name or "directory"] = f"{entry.mode:04o} user {user}:{entry.gid}"
    return fields


def _plan_unneeded(spec: WormholeSpec, state: ManagedState, container: Plan[Action]) -> _Part:
    """What was made for containers that go, and for nobody else."""
    ending = {
        action.container
        for action in container.actions
        if isinstance(action, (RemoveContainer, RemoveFormer))
    }
    created = creation(container)
    if created is not None:
        ending.add(created.former)
    there = (item for item in (state.wormhole.container, state.wormhole.former) if item is not None)
    staying = {made_for(item) for item in there if item["Id"] not in ending}
    going = sorted(
        going_directories(spec, state.wormhole) & _made_here(state) - staying - state.identity.mounted
    )
    plan = plan_removal(going, state.identity.removal) if going else Plan()
    if plan.is_empty:
        return _Part()
    reasons = tuple(Reason(f"identity_{reason.code}", reason.text, spec.name) for reason in plan.reasons)
    before, after = {"identities": dict(plan.before)}, {"identities": dict(plan.after)}
    return _Part(before, after, reasons, plan.actions)


def _made_here(state: ManagedState) -> set[str]:
    """Directories of the identities that were made with a wormhole, as the containers that are there and the host's record tell.

    An identity that somebody else has made may have the name of a wormhole, too.
    """
    labelled = map(made_for, (state.wormhole.container, state.wormhole.former))
    return {*labelled, *state.identity.removal.record.identities}


def removed_directories(plan: Plan[ManagedAction]) -> list[str]:
    """The directories of the identities that a plan removes."""
    return [action.directory for action in plan.actions if isinstance(action, RemoveFiles)]


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
    wanted = wanted_entries(owned(identity, uid))
    entries: dict[str, Entry] = {name: wanted[name] for name in state.entries}
    return replace(state, entries={DIRECTORY: wanted[DIRECTORY], **entries})


_CERTIFICATE_ACTIONS = (
    IssueCertificate,
    InstallTrustBundle,
    SetAttributes,
    RemoveLeftovers,
    RecordCertificate,
)


@dataclass(frozen=True)
class Parts:
    """The actions of a plan, by who carries them out, in this order."""

    certificate: Plan[CertificateAction]
    container: Plan[Action]
    removal: Plan[RemovalAction]


def split_actions(plan: Plan[ManagedAction]) -> Parts:
    """Takes a plan apart; reasons stay with none of the parts in particular."""
    removal = [action for action in plan.actions if isinstance(action, (RemoveFiles, RemoveDirectory))]
    certificate = [action for action in plan.actions if isinstance(action, _CERTIFICATE_ACTIONS)]
    others = (RemoveFiles, RemoveDirectory, *_CERTIFICATE_ACTIONS)
    container = [action for action in plan.actions if not isinstance(action, others)]

    def part(actions: list[Any]) -> Plan[Any]:
        return Plan(reasons=plan.reasons if actions else (), actions=tuple(actions))

    return Parts(part(certificate), part(container), part(removal))
