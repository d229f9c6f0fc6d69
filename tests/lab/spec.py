# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Debian releases, and the specification and state of a host."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from lab.errors import LabError

Release = int
Variant = Literal["standard", "bare"]


@dataclass(frozen=True)
class Debian:
    """What differs between Debian releases, for the lab and for all tests.

    Attributes:
        suite: the release's code name.
        python: ``major.minor`` of its Python, which runs the modules.
        sdk: the environment in tests/requirements with the Docker SDK to test its engine with.
        moving: whether its packages change from day to day. A test pins no version of them, and a
            run goes on without the release if its images cannot be built.
        pockets: the endings of its suites in the archive.
        client: the packages of the Docker client, where docker.io does not include it.
        outer: the packages of the lab's own engine on a machine that runs this release; none if
            the lab is not tested there.
    """

    suite: str
    python: str
    sdk: str
    moving: bool = False
    pockets: tuple[str, ...] = ("", "-updates", "-security")
    client: tuple[str, ...] = ("docker-cli", "docker-buildx")
    outer: tuple[str, ...] = ()

    @property
    def engine_packages(self) -> tuple[str, ...]:
        """The packages that a standard host has in addition to a bare one."""
        # Ansible's module apt needs python3-apt, and installs it if it is missing.
        return ("docker.io", *self.client, "python3-docker", "python3-cryptography", "python3-apt")


DEBIAN: dict[Release, Debian] = {
    12: Debian("bookworm", "3.11", "contract-oldest", client=(), outer=("docker.io", "containerd", "runc")),
    13: Debian("trixie", "3.13", "contract-newest", outer=("docker.io", "docker-cli", "containerd", "runc")),
    14: Debian("forky", "3.14", "contract-newest", moving=True, pockets=("",)),
}
"""The releases, from the oldest to the newest. All tests take them from here."""

RELEASES: tuple[Release, ...] = tuple(DEBIAN)
STABLE: tuple[Release, ...] = tuple(number for number in DEBIAN if not DEBIAN[number].moving)
DEFAULT: Release = STABLE[-1]
"""The release of hosts, demos and scenarios that name none."""


def other_release(release: Release) -> Release:
    """Return the newest stable release other than this one, for tests with two kinds of hosts."""
    return [number for number in STABLE if number != release][-1]


@dataclass(frozen=True)
class HostSpec:
    """A host's Debian release, and whether it has Docker and its Python libraries (`standard`)."""

    release: Release = DEFAULT
    variant: Variant = "standard"

    def __post_init__(self) -> None:
        if self.release not in DEBIAN or self.variant not in get_args(Variant):
            raise LabError(
                f"unknown kind of host: Debian {self.release}, {self.variant}",
                expected=f"release {' or '.join(map(str, DEBIAN))}, variant {' or '.join(get_args(Variant))}",
            )


@dataclass(frozen=True)
class HostState:
    """State of a running host."""

    name: str
    address: str
    octet: int
    release: Release
    variant: Variant

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON for the control socket."""
        return asdict(self)


def next_name(release: int, taken: set[str]) -> str:
    """Return the first free name for a release: d13-1, d13-2, …"""
    number = 1
    while f"d{release}-{number}" in taken:
        number += 1
    return f"d{release}-{number}"
