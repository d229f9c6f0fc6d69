# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The identity of a wormhole on its host: observed, and handed over to the user that runs in the container.

A user's name has a number in the container only. So the container is created first, then asked for that number, and not started
before the identity is that user's. A run that is killed in between leaves nothing but a container that the next run finds.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import (
    certificate_record,
    certificate_removal,
    certificate_store,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_removal import (
    RemovalState,
    plan_removal,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    FILES,
    KEY_FILE,
    Authority,
    Entry,
    wanted_entries,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_users import (
    ContainerUser,
    Ownership,
    host_uid,
    may,
    plain_uid,
    resolve_user,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort, Json
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_security import (
    EngineSecurity,
    parse_security,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    MissingRequirement,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_TRANSPORT,
    TLS,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import (
    WormholeSpec,
    WormholeState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_identity import (
    IdentityState,
    creation,
    going_directories,
    owned,
    refuse_sharing,
    uid_on_host,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_plan import (
    plan_wormhole,
    settle_container,
)


class NoIdentity:
    """What a wormhole has that needs none. The others do more at the same moments."""

    def require(self) -> None:
        """Before anything is changed for a container that is going to be created.

        Raises:
            MissingRequirement: something has to be there first.
        """

    def prepare(self, container: str) -> None:
        """Once the container is created, and before the one that it replaces is stopped.

        Args:
            container: its name.

        Raises:
            WormholeError: it could not use its identity.
        """

    def hand_over(self) -> None:
        """Once the one that it replaces is stopped, and before it is started.

        Raises:
            ApplyFailed: a file could not be changed.
        """

    def take_back(self) -> None:
        """Before the one that it should have replaced is started again.

        Raises:
            ApplyFailed: a file could not be changed.
        """


class GivenIdentity(NoIdentity):
    """An identity that somebody else looks after, in a directory of the host.

    Args:
        spec: the wormhole.
        engine: the engine that runs it.
    """

    def __init__(self, spec: WormholeSpec, engine: EnginePort) -> None:
        self._spec = spec
        self._engine = engine

    def require(self) -> None:
        directory = self._spec.wiring.identity_directory
        missing = [name for name in FILES if not os.path.isfile(f"{directory}/{name}")]
        if missing:
            raise MissingRequirement(
                f"identity directory {directory}",
                expected=", ".join(FILES),
                found=f"no {missing[0]}",
                remedy="Make them first, by the module wormhole.docker.tls_certificates or the role "
                "wormhole.docker.identities, or leave it to this module (identity_managed: true)",
            )

    def prepare(self, container: str) -> None:
        found = self._engine.find_container(container) or {}
        user = resolve_user(
            found["Config"].get("User") or "",
            found["HostConfig"].get("GroupAdd") or (),
            self._engine.read_container_file(container, "/etc/passwd"),
            self._engine.read_container_file(container, "/etc/group"),
        )
        security = parse_security(self._engine.info())
        gids = user.gids
        if security.remapped and not self._spec.wiring.host_users:
            mapped = (host_uid(gid, security.gid_maps) for gid in user.gids)
            gids = tuple(gid for gid in mapped if gid is not None)
        uid = uid_on_host(self._spec.name, security, user.uid, host_users=self._spec.wiring.host_users)
        user = ContainerUser(uid, gids)
        directory = self._spec.wiring.identity_directory
        for path, permission in ((directory, 1), *((f"{directory}/{name}", 4) for name in FILES)):
            info = os.stat(path)
            if not may(user, Ownership(info.st_uid, info.st_gid, info.st_mode), permission):
                raise VerificationFailed(
                    path,
                    expected=f"to be readable for user {user.uid}, as whom container {self._spec.name} runs",
                    found=f"owner {info.st_uid}, group {info.st_gid}, mode {info.st_mode & 0o7777:04o}",
                    remedy=f"Set owner: {user.uid} for this identity in wormhole.docker.tls_certificates, "
                    "or leave it to this module (identity_managed: true)",
                )


class ManagedIdentity(NoIdentity):
    """An identity that is made with the container, and is its user's.

    Args:
        spec: the wormhole.
        identity: its certificate, without an owner; None if there is none to be made, only one to be removed.
        engine: the engine that runs it.
        authority: who issues.
    """

    def __init__(
        self,
        spec: WormholeSpec,
        identity: Optional[CertificateSpec],
        engine: EnginePort,
        authority: Authority,
    ) -> None:
        self._spec = spec
        self._identity = identity
        self._engine = engine
        self._authority = authority
        self._sharers: Mapping[str, int] = {}
        self._uid: Optional[int] = None
        self._former: Optional[Entry] = None

    def observe(self, wormhole: WormholeState) -> IdentityState:
        """Reads what there is of the identity. On a host where all is in order, the engine is asked for nothing but the name of a
        user, if it has one.

        Args:
            wormhole: what there is of the wormhole.

        Raises:
            WormholeError: something cannot be read, or plan_wormhole's.
        """
        spec, identity = self._spec, self._identity
        state = IdentityState()
        if identity is not None:
            observed = certificate_store.observe_certificates([owned(identity, None)], self._authority)
            state = replace(state, certificate=observed[identity.name])
            present = settle_container(spec, wormhole)
            if present is not None:
                state = replace(state, uid=_find_uid(self._engine, present, wormhole.wiring.security))
            key = state.certificate.entries.get(KEY_FILE)
            if creation(plan_wormhole(spec, wormhole)) or key is None or key.uid != state.uid:
                self._sharers = self._find_sharers(identity.directory, wormhole)
                state = replace(state, sharers=self._sharers)
        if going_directories(spec, wormhole):
            mounted = frozenset(source for other in self._others(wormhole, {}) for source in _sources(other))
            state = replace(state, removal=_observe_removal(), mounted=mounted)
        return state

    def prepare(self, container: str) -> None:
        if self._identity is None:
            return
        found = self._engine.find_container(container) or {}
        uid = _find_uid(self._engine, found, parse_security(self._engine.info()))
        refuse_sharing(self._identity, self._spec.name, uid, self._sharers)
        self._uid = uid

    def hand_over(self) -> None:
        if self._identity is not None and self._uid is not None:
            # Before anything is given: what is given in part has to be taken back, too.
            found = certificate_store.observe_directory(self._identity.directory, self._authority)
            self._former = found.entries.get(KEY_FILE)
            self._give(owned(self._identity, self._uid))

    def take_back(self) -> None:
        if self._identity is not None and self._former is not None:
            self._give(owned(self._identity, self._former.uid, self._former.gid))
            self._former = None

    def discard(self) -> None:
        """Removes an identity that was made for a container which could not be created.

        Raises:
            WormholeError: it could not be removed.
        """
        if self._identity is not None:
            certificate_removal.apply_removal(plan_removal([self._identity.directory], _observe_removal()))

    def _give(self, identity: CertificateSpec) -> None:
        """Lets everything in the directory be a user's."""
        found = certificate_store.observe_directory(identity.directory, self._authority).entries
        for name, entry in wanted_entries(identity).items():
            if found.get(name) not in (None, entry):
                certificate_store.set_attributes(identity, name)

    def _find_sharers(self, directory: str, wormhole: WormholeState) -> dict[str, int]:
        found = {}
        for other in self._others(wormhole, {LABEL_TRANSPORT: TLS}):
            if directory in _sources(other):
                container = self._engine.find_container(str(other["Id"]))
                if container is not None:
                    name = str(container["Name"]).lstrip("/")
                    found[name] = _find_uid(self._engine, container, wormhole.wiring.security)
        return found

    def _others(self, wormhole: WormholeState, labels: Mapping[str, str]) -> list[Json]:
        ours = {item["Id"] for item in (wormhole.container, wormhole.former) if item is not None}
        return [item for item in self._engine.containers(labels=labels) if item["Id"] not in ours]


def _find_uid(engine: EnginePort, container: Mapping[str, Any], security: EngineSecurity) -> int:
    """As whom a container's main process runs, by the host's numbers, whether it has been started or not.

    Raises:
        InvalidInput: the container's image does not know the user's name.
        VerificationFailed: nobody can be that user in a container.
    """
    user = str((container.get("Config") or {}).get("User") or "")
    uid = plain_uid(user)
    if uid is None:
        passwd = engine.read_container_file(str(container["Id"]), "/etc/passwd")
        uid = resolve_user(user.partition(":")[0], (), passwd, None).uid
    # What the task says of it is not what a container was made with that is there.
    host_users = (container.get("HostConfig") or {}).get("UsernsMode") == "host"
    return uid_on_host(str(container["Name"]).lstrip("/"), security, uid, host_users=host_users)


def _observe_removal() -> RemovalState:
    # Nothing is recorded of what another user than root has made.
    return certificate_removal.observe_removal() if certificate_record.is_kept() else RemovalState()


def _sources(summary: Mapping[str, Any]) -> set[str]:
    """The host's paths that a container mounts, of its summary in the engine's list."""
    return {str(mount.get("Source") or "").rstrip("/") for mount in summary.get("Mounts") or ()}
