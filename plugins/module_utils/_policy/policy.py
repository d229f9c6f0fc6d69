# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an identity may do: a preset with overrides, as parsed by :mod:`_policy.policy_file`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal, Mapping, Optional, Tuple

from .decision import Reach, Sight

Mode = Literal["learn", "warn", "enforce"]
"""What a refusal means: ``learn`` and ``warn`` forward the call nevertheless and record what ``enforce``
would have answered."""
LEARN: Final = "learn"
WARN: Final = "warn"
ENFORCE: Final = "enforce"
MODES: Tuple[Mode, ...] = (LEARN, WARN, ENFORCE)

Build = Literal["none", "classic", "buildkit"]
BUILDS: Tuple[Build, ...] = ("none", "classic", "buildkit")
Level = Literal["baseline", "restricted"]
"""The two levels of the Pod Security Standards for new containers."""
LEVELS: Tuple[Level, ...] = ("baseline", "restricted")
CleanupMode = Literal["none", "stop", "remove"]
CLEANUPS: Tuple[CleanupMode, ...] = ("none", "stop", "remove")

UNRESTRICTED: Final = "unrestricted"
RESTARTS = ("no", "on-failure", "always", "unless-stopped")
DEFAULT_BRIDGE = "bridge"
"""The name of the default bridge in ``networks``."""


@dataclass(frozen=True)
class Bind:
    """A directory of the host that may be mounted.

    Attributes:
        path: absolute path.
        below: whether everything below it may be mounted, too. Who can write there can then mount
            any path of the host.
        read_only: whether it may be mounted read-only only.
    """

    path: str
    below: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Ports:
    """Ports of the host that may be published.

    Attributes:
        addresses: addresses of the host; ``*`` is every address. If a client names none and ``*`` is
            not in the list, the first one is used.
        ranges: first and last port of each range.
        random: whether the engine may choose a port.
    """

    addresses: Tuple[str, ...] = ()
    ranges: Tuple[Tuple[int, int], ...] = ()
    random: bool = False


@dataclass(frozen=True)
class Names:
    """Names of new objects.

    Attributes:
        prefix: how they must begin; empty for any name.
        reserved: beginnings that belong to other identities.
    """

    prefix: str = ""
    reserved: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Labels:
    """Labels of new objects.

    Attributes:
        allow: prefixes that are allowed although other tools act on them; at level ``restricted``, the
            only prefixes that are allowed.
        required: labels that a new container must have.
    """

    allow: Tuple[str, ...] = ()
    required: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """Limits of each container and of the identity; None for no limit.

    Attributes:
        memory, shm, tmpfs, storage: bytes of each container. A missing ``memory`` is filled in.
        cpus: billionths of a CPU of each container, filled in.
        pids: processes of each container, filled in.
        containers, running, networks, volumes: how many the identity may have.
    """

    memory: Optional[int] = None
    cpus: Optional[int] = None
    pids: Optional[int] = None
    shm: Optional[int] = None
    tmpfs: Optional[int] = None
    storage: Optional[int] = None
    containers: Optional[int] = None
    running: Optional[int] = None
    networks: Optional[int] = None
    volumes: Optional[int] = None


@dataclass(frozen=True)
class Targets:
    """Containers of others that a power with the reach ``targets`` includes.

    Attributes:
        names: patterns of names, in which ``*`` is anything.
        labels: ``key`` or ``key=value``.
    """

    names: Tuple[str, ...] = ()
    labels: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Cleanup:
    """What happens to the identity's containers when their owner ends, after so many seconds."""

    mode: CleanupMode = "none"
    after: int = 60


@dataclass(frozen=True)
class Policy:
    """What one identity may do.

    Attributes:
        identity: the identity; the value of the owner label.
        preset: the preset that it starts from.
        mode: what a refusal means.
        version: changes with every change of the policy, for the audit log.
        until: when mode ``learn`` becomes ``warn``, in seconds since the epoch; None for never.
        powers: the reach of each power that it has.
        level: the level that new containers have to meet.
        images: patterns of images that may be pulled, read and run.
        tags: patterns of tags that may be set, pushed and removed.
        pinned: by the normalised name of an image with its tag, the digest that it must have in order
            to be run: ``sha256:…`` of its manifest, or its ID.
        binds: directories of the host.
        networks: networks of the host that containers may join; ``bridge`` is the default bridge.
        subnets: CIDRs in which new networks may have subnets; empty for what the engine chooses.
        internal: whether new networks must be internal.
        volumes: volumes of the host that may be mounted. What another wormhole has created under a
            name of these lists does not count.
        volumes_from_self: whether containers may get the volumes of the identity's own container,
            which include its key.
        volume_servers: servers from which volumes may be mounted by NFS.
        ports, names, labels, limits, targets, cleanup, build: as their classes say.
        devices: drivers of device requests, such as ``nvidia``.
        verbs: the only verbs of ``container.life``; empty for all.
        restart: names of restart policies.
        environment: whether values of environment variables of others are shown.
        recreate: whether a container may only be created as a copy of an existing one.
    """

    identity: str
    preset: str
    mode: Mode = ENFORCE
    version: str = ""
    until: Optional[int] = None
    powers: Mapping[str, Reach] = field(default_factory=dict)
    level: Level = "baseline"
    images: Tuple[str, ...] = ()
    tags: Tuple[str, ...] = ()
    pinned: Mapping[str, str] = field(default_factory=dict)
    binds: Tuple[Bind, ...] = ()
    networks: Tuple[str, ...] = ()
    subnets: Tuple[str, ...] = ()
    internal: bool = False
    volumes: Tuple[str, ...] = ()
    volumes_from_self: bool = False
    volume_servers: Tuple[str, ...] = ()
    ports: Ports = Ports()
    names: Names = Names()
    labels: Labels = Labels()
    limits: Limits = Limits()
    targets: Targets = Targets()
    cleanup: Cleanup = Cleanup()
    build: Build = "none"
    devices: Tuple[str, ...] = ()
    verbs: Tuple[str, ...] = ()
    restart: Tuple[str, ...] = ("no", "on-failure")
    environment: bool = False
    recreate: bool = False

    @property
    def relays(self) -> bool:
        """Whether a call that does not parse or is refused is forwarded as it came.

        The program forwards such a call byte by byte and records the refusal.
        """
        return self.preset == UNRESTRICTED or self.mode != ENFORCE

    def at(self, now: float) -> Policy:
        """Return the policy as it is at a time: mode ``learn`` ends by itself."""
        if self.mode != LEARN or self.until is None or now < self.until:
            return self
        return replace(self, mode=WARN)

    @property
    def restricted(self) -> bool:
        """Whether new containers have to meet the level ``restricted``."""
        return self.level == "restricted"

    def reach(self, power: str) -> Optional[Reach]:
        """Which objects a power reaches; None if the policy does not have it."""
        if self.preset == UNRESTRICTED:
            return "all"
        if power == "build.classic":
            return None if self.build == "none" else "own"
        if power == "build.buildkit":
            return "all" if self.build == "buildkit" else None
        return self.powers.get(power)

    def sight(self, power: str, me: str) -> Sight:
        """What the identity may see by a power that it has."""
        return Sight(
            self.identity,
            me,
            self.reach(power) or "own",
            self.targets.names,
            self.targets.labels,
            (*self.images, *self.tags),
            self.networks,
            self.volumes,
            self.environment or self.preset == UNRESTRICTED,
        )
