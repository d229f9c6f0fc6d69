# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The paths of a lab: in the clone's `.dev`, except for sockets, whose paths must be short."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabPaths:
    """The files and directories of one clone's lab."""

    root: Path

    @property
    def key(self) -> str:
        """A short name for this clone, so that the names of two clones' labs differ."""
        return hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:8]

    @property
    def link(self) -> str:
        """The name of the machine's interface to the lab."""
        return f"wl{self.key}"

    @property
    def dev(self) -> Path:
        """The directory for all state of `./dev`."""
        return self.root / ".dev"

    @property
    def cache(self) -> Path:
        """Files that are built once: root file systems, images, the outer engine."""
        return self.dev / "cache"

    @property
    def lab(self) -> Path:
        """The directory for the state of the lab."""
        return self.dev / "lab"

    @property
    def run(self) -> Path:
        """The directory for Unix sockets.

        Their paths are limited to 107 characters, and a clone's path may be longer.
        """
        return Path("/run") / f"wormhole-lab-{self.key}"

    @property
    def control_socket(self) -> Path:
        """The supervisor's socket."""
        return self.run / "control"

    @property
    def docker_socket(self) -> Path:
        """The outer engine's socket."""
        return self.run / "docker"

    @property
    def data_root(self) -> Path:
        """The outer engine's data root, kept when a lab ends, so that images are imported once."""
        return self.lab / "docker"

    @property
    def hosts(self) -> Path:
        """One directory for each host, with its /var/lib/docker."""
        return self.lab / "hosts"

    @property
    def ssh(self) -> Path:
        """The lab's key pair, the hosts' keys and known_hosts."""
        return self.lab / "ssh"

    @property
    def private_key(self) -> Path:
        """The private key that logs in to every host."""
        return self.ssh / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The hosts' public keys."""
        return self.ssh / "known_hosts"

    @property
    def inventory(self) -> Path:
        """The Ansible inventory of the hosts."""
        return self.lab / "inventory.yml"

    @property
    def log(self) -> Path:
        """The log of the guardian and the supervisor."""
        return self.lab / "supervisor.log"

    @property
    def engine_log(self) -> Path:
        """The log of the outer dockerd."""
        return self.lab / "dockerd.log"

    @property
    def lock(self) -> Path:
        """The lock file, held while a lab starts and runs."""
        return self.lab / "lock"

    def ssh_master(self, host: str) -> Path:
        """The control socket of the shared SSH connection to a host."""
        return self.run / f"ssh-{host}"
