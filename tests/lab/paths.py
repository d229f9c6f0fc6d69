# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a lab keeps its things: everything in the clone's `.dev`, but for sockets, whose paths must be short."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabPaths:
    """The files and folders of the lab that belongs to one clone."""

    root: Path

    @property
    def key(self) -> str:
        """A short name for this clone, so that labs of two clones never meet."""
        return hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:8]

    @property
    def link(self) -> str:
        """The machine's interface to the lab."""
        return f"wl{self.key}"

    @property
    def dev(self) -> Path:
        """All state of `./dev`."""
        return self.root / ".dev"

    @property
    def cache(self) -> Path:
        """What is built once: root file systems, images, the outer engine."""
        return self.dev / "cache"

    @property
    def lab(self) -> Path:
        """The state of the lab."""
        return self.dev / "lab"

    @property
    def run(self) -> Path:
        """Unix sockets only: their paths may have 107 characters at most, a clone's path may be longer."""
        return Path("/run") / f"wormhole-lab-{self.key}"

    @property
    def control_socket(self) -> Path:
        """Where the supervisor answers."""
        return self.run / "control"

    @property
    def docker_socket(self) -> Path:
        """The outer engine's socket."""
        return self.run / "docker"

    @property
    def data_root(self) -> Path:
        """The outer engine's data root; it outlives a lab, so that images are imported once."""
        return self.lab / "docker"

    @property
    def hosts(self) -> Path:
        """One folder a host, with its /var/lib/docker."""
        return self.lab / "hosts"

    @property
    def ssh(self) -> Path:
        """The lab's key pair, the hosts' keys and known_hosts."""
        return self.lab / "ssh"

    @property
    def private_key(self) -> Path:
        """The key that opens every host."""
        return self.ssh / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The hosts' public keys."""
        return self.ssh / "known_hosts"

    @property
    def inventory(self) -> Path:
        """An ordinary Ansible inventory of the hosts."""
        return self.lab / "inventory.yml"

    @property
    def log(self) -> Path:
        """What the guardian and the supervisor say."""
        return self.lab / "supervisor.log"

    @property
    def engine_log(self) -> Path:
        """What the outer dockerd says."""
        return self.lab / "dockerd.log"

    @property
    def lock(self) -> Path:
        """Held by whoever starts a lab, and by that lab as long as it lives."""
        return self.lab / "lock"

    def ssh_master(self, host: str) -> Path:
        """Where the supervisor keeps an open SSH connection to a host."""
        return self.run / f"ssh-{host}"
