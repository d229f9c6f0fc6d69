# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate of a host as it was observed, and the actions that change it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Optional, Union

from .._gate.ending import Ending
from .._gate.units import USER

PROGRAM_MODE, UNIT_MODE, CONFIG_MODE = 0o755, 0o644, 0o640
DIRECTORY_MODE, POLICIES_MODE = 0o755, 0o750
ROOT = "root"
FIRST_ORDINARY_USER = 1000
"""Debian numbers the users of people from here (adduser.conf(5), FIRST_UID)."""


@dataclass(frozen=True)
class File:
    """A regular file, as it is or as it is to be.

    Attributes:
        content: its text; of the program, the SHA-256 in hexadecimal.
        mode: permission bits.
        owner, group: names, or numbers that have no name.
    """

    content: str
    mode: int
    owner: str = ROOT
    group: str = ROOT


@dataclass(frozen=True)
class Directory:
    """A directory, as it is or as it is to be; like :class:`File`."""

    mode: int
    owner: str = ROOT
    group: str = ROOT


@dataclass(frozen=True)
class Unit:
    """What systemd says about a unit.

    Attributes:
        active: whether it is active.
        enabled: whether it starts at boot.
        stale: whether its file has changed since systemd has read it.
    """

    active: bool = False
    enabled: bool = False
    stale: bool = False


@dataclass(frozen=True)
class User:
    """The user of the gate.

    Attributes:
        number: its numeric ID.
        group: name of its primary group.
    """

    number: int
    group: str

    @property
    def is_system_user(self) -> bool:
        return 0 < self.number < FIRST_ORDINARY_USER

    @property
    def is_ours(self) -> bool:
        """Whether this collection could have created it."""
        return self.is_system_user and self.group == USER


@dataclass(frozen=True)
class GateHostState:
    """The gate of a host.

    Attributes:
        user: the gate's user; None if there is none.
        socket_group: name of the group of the engine's socket; empty without a socket.
        files: the existing files of the gate, by path. Those of its doors, and its policies, are
            not among them.
        directories: its existing directories, by path.
        units: what systemd says, by name: of the service and of what else is started at boot.
        running: version with which the running service was started, see :func:`.desired.version_of`;
            empty if it does not run.
        doors: names of the units that belong to single wormholes or gateways.
        policies: identities that have a policy.
        leftovers: temporary files that a killed run has left.
        users: names of running containers that have access through the gate.
        siblings: what a removal does to what wormholes have created.
        unknown: why that is not known; empty if it is.
    """

    user: Optional[User] = None
    socket_group: str = ""
    files: Mapping[str, File] = field(default_factory=dict)
    directories: Mapping[str, Directory] = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)
    running: str = ""
    doors: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    siblings: tuple[Ending, ...] = ()
    unknown: str = ""


@dataclass(frozen=True)
class CreateUser:
    """Create the user and its group."""


@dataclass(frozen=True)
class MakeDirectory:
    """Create a directory, or set its owner and mode."""

    path: str
    directory: Directory


@dataclass(frozen=True)
class InstallProgram:
    """Install the program with this SHA-256."""

    path: str
    file: File


@dataclass(frozen=True)
class WriteFile:
    """Write a file."""

    path: str
    file: File


@dataclass(frozen=True)
class RemoveFiles:
    """Remove files."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class ReloadUnits:
    """Have systemd read the unit files again."""


@dataclass(frozen=True)
class EnableUnits:
    """Start these units at boot."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class StartUnits:
    """Start these units, without a restart of those that run."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class RestartGate:
    """Restart the service with this version, or start it. Running calls end before."""

    version: str


@dataclass(frozen=True)
class EndSiblings:
    """Stop and remove what wormholes have created, as their policies say.

    Attributes:
        siblings: what is expected to happen.
    """

    siblings: tuple[Ending, ...]


@dataclass(frozen=True)
class RemoveUnits:
    """Stop and disable these units, and remove their files."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class RemoveDirectories:
    """Remove directories with all that is in them."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class RemoveUser:
    """Remove the user and its group."""


Action = Union[
    CreateUser,
    MakeDirectory,
    InstallProgram,
    WriteFile,
    RemoveFiles,
    ReloadUnits,
    EnableUnits,
    StartUnits,
    RestartGate,
    EndSiblings,
    RemoveUnits,
    RemoveDirectories,
    RemoveUser,
]
