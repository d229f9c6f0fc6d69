# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host is to be, and what one is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from lab.errors import LabError

Release = Literal[12, 13]
Variant = Literal["standard", "bare"]

SUITES: dict[Release, str] = {12: "bookworm", 13: "trixie"}


@dataclass(frozen=True)
class HostSpec:
    """A host to be: its Debian release, and whether Docker and its Python libraries are on it (`standard`)."""

    release: Release = 13
    variant: Variant = "standard"

    def __post_init__(self) -> None:
        if self.release not in SUITES or self.variant not in get_args(Variant):
            raise LabError(
                f"no such host: Debian {self.release}, {self.variant}",
                expected=f"release {' or '.join(map(str, SUITES))}, variant {' or '.join(get_args(Variant))}",
            )


@dataclass(frozen=True)
class HostState:
    """A host that is."""

    name: str
    address: str
    octet: int
    release: Release
    variant: Variant

    def to_json(self) -> dict[str, Any]:
        """Return the host for the way over the control socket."""
        return asdict(self)


def next_name(release: int, taken: set[str]) -> str:
    """Return the first free name of a release: d13-1, d13-2, …"""
    number = 1
    while f"d{release}-{number}" in taken:
        number += 1
    return f"d{release}-{number}"


def engine_packages(release: int) -> tuple[str, ...]:
    """Return what makes a bare host a standard one."""
    # Debian 12's docker.io brings the command-line client; from 13 on it has a package of its own.
    client = () if release == 12 else ("docker-cli", "docker-buildx")
    # The last one is what Ansible's own module apt needs, and installs for itself where it is missing.
    return ("docker.io", *client, "python3-docker", "python3-cryptography", "python3-apt")
