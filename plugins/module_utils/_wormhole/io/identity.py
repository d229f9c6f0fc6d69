# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observes a wormhole's identity on its host, and gives it to the user that runs in the container.

In the container a user may have a name only. So the container is created first, its number is
looked up there, and the container is started once the identity belongs to that user. A run that is
killed in between leaves a container that the next run finds.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import replace
from typing import Any, Mapping, Optional, Protocol

from ..._access.io.replay import with_replay
from ..._access.io.siblings import with_siblings
from ..._access.io.state import observe_access
from ..._base.errors import MissingRequirement, VerificationFailed
from ..._base.labels import LABEL_GATE, LABEL_TRANSPORT
from ..._certificates.facts import FILES, KEY_FILE
from ..._certificates.io import installing
from ..._certificates.io import record as certificate_record
from ..._certificates.io import removal as certificate_removal
from ..._certificates.io import store as certificate_store
from ..._certificates.io.accepted import read_accepted
from ..._certificates.model import Entry, expected_entries
from ..._certificates.removal import RemovalState, plan_removal
from ..._certificates.spec import CertificateSpec
from ..._certificates.trust import ISSUING, Authority
from ..._container.inspection import config_of, host_config_of, mounts_of, name_of
from ..._container.users import ContainerUser, Ownership, host_uid, may, plain_uid, resolve_user
from ..._engine.port import EnginePort, Json
from ..._engine.security import EngineSecurity, parse_security
from ..._gate import units as gate_units
from ..._wiring.spec import TLS
from .. import identity as planning
from ..access import WormholeAccess, former_identities, listed_identities, wanted_access
from ..found import wormhole_name
from ..identity import IdentityState, identity_user, made_for, owned, reject_sharing, uid_on_host
from ..identity_spec import made_identity
from ..model import WormholeState
from ..plan import plan_wormhole
from ..resolve import current_container
from ..spec import ABSENT, WormholeSpec


class Identity(Protocol):
    """The identity of a wormhole while its container is created or restored.

    Every method raises WormholeError, such as if a file does not exist or could not be changed.
    """

    def require(self) -> None:
        """Check, before anything is changed, what a new container requires."""

    def prepare(self, container: str) -> None:
        """Check that the user of a new container, given by name, can use the identity."""

    def hand_over(self) -> None:
        """Give the identity to the user of the new container, before that container is started."""

    def take_back(self) -> None:
        """Undo :meth:`hand_over`, before the previous container is started again."""

    def give_back(self, container: Mapping[str, Any]) -> None:
        """Give the identity that was made for a previous container back to its user."""


class NoIdentity:
    """For a container without an identity, or one that this run does not create."""

    def __init__(self, engine: EnginePort) -> None:
        self._engine = engine

    def require(self) -> None:
        pass

    def prepare(self, container: str) -> None:
        pass

    def hand_over(self) -> None:
        pass

    def take_back(self) -> None:
        pass

    def give_back(self, container: Mapping[str, Any]) -> None:
        _give_back(container, self._engine)


class UnmanagedIdentity:
    """A user-managed identity in a directory of the host (``identity_managed: false``)."""

    def __init__(self, spec: WormholeSpec, engine: EnginePort) -> None:
        self._spec = spec
        self._engine = engine
        self._directory = spec.wiring.identity_directory

    def require(self) -> None:
        missing = [name for name in FILES if not os.path.isfile(f"{self._directory}/{name}")]
        if missing:
            subject = f"identity directory {self._directory}"
            remedy = (
                "Create the identity first, with the module wormhole.docker.tls_certificates or the role "
                "wormhole.docker.identities, or let this module manage it (identity_managed: true)"
            )
            raise MissingRequirement(subject, problem=f"The {subject} has no {missing[0]}", remedy=remedy)

    def prepare(self, container: str) -> None:
        user = self._find_user(container)
        for path, permission in ((self._directory, 1), *((f"{self._directory}/{name}", 4) for name in FILES)):
            info = os.stat(path)
            if not may(user, Ownership(info.st_uid, info.st_gid, info.st_mode), permission):
                problem = f"{path} is not readable for user {user.uid} of the container "
                problem += f"{self._spec.name}: it has owner {info.st_uid}, group {info.st_gid} "
                problem += f"and mode {info.st_mode & 0o7777:04o}"
                remedy = f"Set owner: {user.uid} for this identity in wormhole.docker.tls_certificates, "
                remedy += "or let this module manage it (identity_managed: true)"
                raise VerificationFailed(path, problem=problem, remedy=remedy)

    def hand_over(self) -> None:
        pass

    def take_back(self) -> None:
        pass

    def give_back(self, container: Mapping[str, Any]) -> None:
        # If an identity made for the container is now unmanaged, the user chose its owner.
        if made_for(container) != self._directory:
            _give_back(container, self._engine)

    def _find_user(self, container: str) -> ContainerUser:
        """Return the user and the groups of a container, as numbers on the host."""
        found = self._engine.find_container(container)
        user = resolve_user(
            config_of(found).get("User") or "",
            host_config_of(found).get("GroupAdd") or (),
            self._engine.read_container_file(container, "/etc/passwd"),
            self._engine.read_container_file(container, "/etc/group"),
        )
        security, host_users = parse_security(self._engine.info()), self._spec.wiring.host_users
        gids = user.gids
        if security.remapped and not host_users:
            mapped = (host_uid(gid, security.gid_maps) for gid in gids)
            gids = tuple(gid for gid in mapped if gid is not None)
        return ContainerUser(uid_on_host(self._spec.name, security, user.uid, host_users=host_users), gids)


class ManagedIdentity:
    """An identity that is made with the container, and belongs to the container's user.

    Attributes:
        sharers: see :class:`IdentityState`; set after that is observed.
    """

    def __init__(
        self, spec: WormholeSpec, identity: CertificateSpec, engine: EnginePort, authority: Authority
    ) -> None:
        self._engine = engine
        self._name = spec.name
        self._identity = identity
        self._authority = authority
        self._uid: Optional[int] = None
        self._previous: Optional[Entry] = None
        self.sharers: Mapping[str, int] = {}

    def require(self) -> None:
        pass

    def prepare(self, container: str) -> None:
        found = self._engine.find_container(container) or {}
        uid = find_uid(self._engine, found, parse_security(self._engine.info()))
        reject_sharing(self._identity.name, self._name, uid, self.sharers)
        self._uid = uid

    def hand_over(self) -> None:
        if self._uid is not None:
            # Remembered first, because a change that fails in the middle has to be undone, too.
            found = certificate_store.observe_directory(self._identity.directory, self._authority)
            self._previous = found.entries.get(KEY_FILE)
            give(owned(self._identity, self._uid))

    def take_back(self) -> None:
        if self._previous is not None:
            give(owned(self._identity, self._previous.uid, self._previous.gid))
            self._previous = None

    def give_back(self, container: Mapping[str, Any]) -> None:
        _give_back(container, self._engine)


def observe_identity(
    spec: WormholeSpec,
    identity: Optional[CertificateSpec],
    engine: EnginePort,
    authority: Authority,
    wormhole: WormholeState,
) -> IdentityState:
    """Read the state of a wormhole's identity, and of those that the run may remove.

    Without differences, this asks the engine only for the container's user, if that is a name.

    Args:
        identity: the certificate, without an owner; None if it is not managed.

    Raises:
        WormholeError: something cannot be read; or see :func:`_wormhole.plan.plan_wormhole`.
    """
    state, access = IdentityState(), wanted_access(spec, wormhole)
    others = _Others(engine, wormhole)
    if identity is not None:
        observed = certificate_store.observe_certificates([owned(identity, None)], authority)
        state = replace(state, certificate=observed[identity.name])
        # What another host's engine accepts is not known here.
        if state.certificate.issued_by != ISSUING and not spec.wiring.engine:
            state = replace(state, accepted=read_accepted(spec.wiring.socket_path))
    door = access is not None and access.door
    present = current_container(spec, wormhole)
    if present is not None and (door or identity is not None):
        state = replace(state, uid=find_uid(engine, present, wormhole.wiring.security))
    if identity is not None:
        key = state.certificate.entries.get(KEY_FILE)
        if planning.creation(plan_wormhole(spec, wormhole)) or key is None or key.uid != state.uid:
            state = replace(state, sharers=others.sharers(identity.directory, {LABEL_TRANSPORT: TLS}))
    if access is not None:
        own = with_replay(access, observe_access(access.identity, access.certificates))
        state = replace(state, access=WormholeAccess(own))
        if access.door and (planning.creation(plan_wormhole(spec, wormhole)) or own.owner != state.uid):
            directory = os.path.dirname(gate_units.socket_path(access.identity))
            state = replace(state, sharers=others.sharers(directory, {LABEL_GATE: "true"}))
    state = replace(state, access=_observe_former(spec, wormhole, state.access, others))
    if planning.removable_directories(spec, wormhole):
        state = replace(state, removal=_observe_removal(), mounted=others.mounted())
    return state


def _observe_former(
    spec: WormholeSpec, wormhole: WormholeState, access: WormholeAccess, others: _Others
) -> WormholeAccess:
    """Read the accesses that the wormhole may not need any more, and who else needs them."""
    # Only root can have installed any, and read them.
    names = former_identities(spec, wormhole) if certificate_record.is_kept() else set()
    observed = {name: observe_access(name) for name in names}
    former = {name: found for name, found in observed.items() if found.has_door or found.policy is not None}
    if not former:
        return access
    mounted, used = others.mounted(), set(others.identities())
    used |= {name for name in former if os.path.dirname(gate_units.socket_path(name)) in mounted}
    if spec.state == ABSENT:
        ending = former.keys() - used
        former = {
            name: with_siblings(name, found) if name in ending else found for name, found in former.items()
        }
    return replace(access, former=former, used=frozenset(used))


def discard(identity: CertificateSpec) -> None:
    """Remove an identity that was made for a container which could not be created.

    Raises:
        WormholeError: it could not be removed.
    """
    certificate_removal.apply_removal(plan_removal([identity.directory], _observe_removal()))


def give(identity: CertificateSpec) -> None:
    """Give an identity's directory and its files to the owner that its specification names."""
    for name, wanted in expected_entries(replace(identity, parent_mode=None)).items():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = os.stat(os.path.join(identity.directory, name))
            if Entry(stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) != wanted:
                installing.set_attributes(identity, name)


def _give_back(container: Mapping[str, Any], engine: EnginePort) -> None:
    # The interrupted run may have given the identity to the user of the new container. The label
    # alone is no reason to change a directory that this collection has not created.
    directory = made_for(container)
    if certificate_record.is_kept() and directory in certificate_record.read().identities:
        give(owned(made_identity(directory), find_uid(engine, container, parse_security(engine.info()))))


class _Others:
    """The containers of an engine other than the wormhole's own."""

    def __init__(self, engine: EnginePort, wormhole: WormholeState) -> None:
        self._engine = engine
        self._security = wormhole.wiring.security
        self._own = {container["Id"] for container in wormhole.existing}

    def mounted(self) -> frozenset[str]:
        """Return the paths of the host that they mount."""
        return frozenset(source for other in self._list({}) for source in _sources(other))

    def identities(self) -> frozenset[str]:
        """Return the identities of wormholes."""
        return listed_identities(self._list({LABEL_TRANSPORT: None}))

    def sharers(self, directory: str, labels: Mapping[str, Optional[str]]) -> dict[str, int]:
        """Return the users of wormholes with these labels that mount a directory, by the container's name."""
        found = {}
        for other in self._list(labels):
            if directory in _sources(other):
                container = self._engine.find_container(str(other["Id"]))
                if container is not None:
                    found[name_of(container)] = find_uid(self._engine, container, self._security)
        return found

    def _list(self, labels: Mapping[str, Optional[str]]) -> list[Json]:
        return [item for item in self._engine.containers(labels=labels) if item["Id"] not in self._own]


def find_uid(engine: EnginePort, container: Mapping[str, Any], security: EngineSecurity) -> int:
    """Return the owner of a container's identity as a number on the host. It need not run.

    Raises:
        InvalidInput: the container's image does not know the user's name.
        VerificationFailed: the engine maps the number to none of the host.
    """
    user = identity_user(container)
    uid = plain_uid(user)
    if uid is None:
        passwd = engine.read_container_file(str(container["Id"]), "/etc/passwd")
        uid = resolve_user(user.partition(":")[0], (), passwd, None).uid
    # Of the container itself: it may have another userns_mode than the task specifies now.
    host_users = host_config_of(container).get("UsernsMode") == "host"
    return uid_on_host(wormhole_name(name_of(container)), security, uid, host_users=host_users)


def _observe_removal() -> RemovalState:
    # Only root has a record.
    return certificate_removal.observe_removal() if certificate_record.is_kept() else RemovalState()


def _sources(summary: Mapping[str, Any]) -> set[str]:
    """Return the host paths that a container mounts, from its summary in the engine's list."""
    return {str(mount.get("Source") or "").rstrip("/") for mount in mounts_of(summary)}
