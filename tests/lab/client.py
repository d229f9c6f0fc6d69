# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's interface for tests: `Lab` and `Host`."""

from __future__ import annotations

import ipaddress
import os
import shlex
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lab import access, control, lifecycle, network
from lab.cache import Progress
from lab.errors import LabError
from lab.paths import LabPaths
from lab.spec import HostSpec, HostState, Release, Variant

CLONE = Path(__file__).resolve().parent.parent.parent


def quiet(_text: str) -> None:
    """Report no progress."""


class Host:
    """A host of the lab, reached by SSH as root."""

    def __init__(self, paths: LabPaths, state: HostState) -> None:
        self._paths = paths
        self._state = state

    @property
    def name(self) -> str:
        """The host's name in the lab, in the inventory and on the host itself, such as d13-1."""
        return self._state.name

    @property
    def address(self) -> str:
        """The host's IPv4 address, which does not change in a reboot."""
        return self._state.address

    @property
    def release(self) -> Release:
        """The Debian release."""
        return self._state.release

    @property
    def variant(self) -> Variant:
        """`standard`, or `bare` (without Docker and its Python libraries)."""
        return self._state.variant

    @property
    def spec(self) -> HostSpec:
        """The specification that the host was created with."""
        return HostSpec(self.release, self.variant)

    def __repr__(self) -> str:
        return f"Host({self.name}, {self.address}, {self.variant})"

    def run(
        self,
        command: str | Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run words, or a line for the host's shell. With `check`, a failure raises `LabError`."""
        line = command if isinstance(command, str) else shlex.join(command)
        done = subprocess.run(
            access.ssh_argv(self._paths, self._state, line),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise LabError(
                f"command failed on {self.name}: {line}",
                found=f"exit {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}",
            )
        return done

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file with its final mode; create its directory if needed."""
        target, folder = shlex.quote(path), shlex.quote(str(Path(path).parent))
        self.run(f"mkdir -p {folder} && install -m {mode:04o} /dev/stdin {target}", input=text)

    def read(self, path: str) -> str:
        """Return a file's text."""
        return self.run(["cat", path]).stdout

    def reboot(self, power_cut: bool = False) -> None:
        """Reboot, with a shutdown or as after a power failure, and wait for SSH."""
        control.request(self._paths, quiet, "reboot", name=self.name, power_cut=power_cut)

    def destroy(self) -> None:
        """Remove the host."""
        control.request(self._paths, quiet, "destroy", name=self.name)

    def authorize(self, public_key: str) -> None:
        """Authorize another public key, the text of a `.pub` file, for root."""
        control.request(self._paths, quiet, "authorize", name=self.name, public_key=public_key)

    def ssh_argv(self, *command: str) -> list[str]:
        """Return the `ssh` command line that runs a command on the host."""
        return access.ssh_argv(self._paths, self._state, *command)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Make the host unreachable by SSH from the lab's network, inside a `with` block.

        A program that runs with `lab.netns.enter_argv` gets "Connection refused" at once. This
        object still reaches the host, because it connects from the machine's own network. A reboot
        restores the connection.
        """
        # A TCP reset, because the kernel sends at most one ICMP error a second.
        subnet = network.Subnet(ipaddress.IPv4Network(f"{self.address}/24", strict=False))
        rule = f"INPUT -s {subnet.gateway} -p tcp --dport 22 --syn -j REJECT --reject-with tcp-reset"
        self.run(f"iptables -I {rule}")
        # Close the lab's shared connection. It cannot be opened again inside the `with` block.
        ssh, *rest = self.ssh_argv()
        subprocess.run([ssh, "-Oexit", *rest], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        try:
            yield
        finally:
            self.run(f"iptables -D {rule}", check=False)

    @contextmanager
    def forward_docker_socket(self, local_path: Path) -> Iterator[Path]:
        """Forward the host's Docker socket to a local path, inside a `with` block."""
        local_path.unlink(missing_ok=True)
        # The lab's shared connection forwards the socket, so that forwarding ends with the lab.
        deadline = time.monotonic() + 10
        while (failure := self._forward("forward", local_path)) and time.monotonic() < deadline:
            time.sleep(0.1)  # after a reboot, the connection opens slightly later than the host boots
        if failure:
            raise LabError(f"the Docker socket of {self.name} could not be forwarded", found=failure)
        try:
            yield local_path
        finally:
            self._forward("cancel", local_path)
            local_path.unlink(missing_ok=True)

    def _forward(self, verb: str, local_path: Path) -> str:
        """Start or stop forwarding on the shared connection; return the error, if any."""
        ssh, *rest = self.ssh_argv()
        argv = [ssh, f"-O{verb}", f"-L{local_path}:/run/docker.sock", *rest]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return done.stderr.strip() or f"exit {done.returncode}" if done.returncode else ""


class Lab:
    """A running lab.

    `Lab.owned([HostSpec(), …])` is a context manager: the lab ends with the `with` block, and with
    this process, even if it is killed. `Lab.up()` starts a lab that keeps running. `Lab.attach()`
    finds a running lab.
    """

    def __init__(self, paths: LabPaths, progress: Progress = quiet) -> None:
        self._paths = paths
        self._progress = progress

    @classmethod
    @contextmanager
    def owned(
        cls, hosts: Iterable[HostSpec] = (), *, root: Path = CLONE, progress: Progress = quiet
    ) -> Iterator[Lab]:
        """Start a lab with these hosts, which ends with the `with` block."""
        paths, specs = LabPaths(root.resolve()), list(hosts)
        lifecycle.prepare(paths, (spec.release for spec in specs), progress)
        process, lifeline = lifecycle.start(paths, progress, owned=True)
        assert lifeline is not None
        try:
            lab = cls(paths, progress)
            lab.add_hosts(specs)
            yield lab
        finally:
            os.close(lifeline)
            process.wait()

    @classmethod
    def up(cls, hosts: Iterable[HostSpec] = (), *, root: Path = CLONE, progress: Progress = quiet) -> Lab:
        """Find this clone's running lab, or start one that runs until `down`; add missing hosts."""
        paths, missing = LabPaths(root.resolve()), list(hosts)
        if control.supervisor_pid(paths) is None:
            lifecycle.prepare(paths, (spec.release for spec in missing), progress)
            lifecycle.start(paths, progress, owned=False)
        lab = cls(paths, progress)
        for host in lab.hosts:
            if host.spec in missing:
                missing.remove(host.spec)
        lab.add_hosts(missing)
        return lab

    @classmethod
    def attach(cls, *, root: Path = CLONE, progress: Progress = quiet) -> Lab | None:
        """Find the running lab of this clone; None if no lab is running."""
        paths = LabPaths(root.resolve())
        return cls(paths, progress) if control.supervisor_pid(paths) is not None else None

    @staticmethod
    def down(*, root: Path = CLONE) -> list[str]:
        """Stop this clone's lab, if it runs, and clean up; return what could not be removed."""
        return lifecycle.stop(LabPaths(root.resolve()))

    @property
    def paths(self) -> LabPaths:
        """The lab's paths."""
        return self._paths

    @property
    def pid(self) -> int:
        """The supervisor's process ID."""
        pid = control.supervisor_pid(self._paths)
        if pid is None:
            raise LabError("no lab is running in this clone", remedy="start one with ./dev lab up")
        return pid

    @property
    def inventory_path(self) -> Path:
        """Path of an Ansible inventory of all hosts, updated when hosts are added or removed."""
        return self._paths.inventory

    @property
    def hosts(self) -> list[Host]:
        """All hosts, ordered by address."""
        keys = ("name", "address", "octet", "release", "variant")
        found = control.request(self._paths, self._progress, "list")
        return [Host(self._paths, HostState(**{key: entry[key] for key in keys})) for entry in found]

    def host(self, name: str) -> Host:
        """Return a host by its name."""
        hosts = self.hosts
        for host in hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in hosts) or "(none)"
        raise LabError(f"no host {name} in the lab", expected=f"one of {known}")

    def build(self, spec: HostSpec) -> None:
        """Build what hosts of a kind are made of, if it is missing, without booting one."""
        lifecycle.prepare(self._paths, [spec.release], self._progress)
        control.request(self._paths, self._progress, "build", release=spec.release, variant=spec.variant)

    def fresh_host(self, spec: HostSpec | None = None) -> Host:
        """Boot a new host. `Host.destroy` removes it."""
        spec = spec or HostSpec()
        lifecycle.prepare(self._paths, [spec.release], self._progress)
        made = control.request(self._paths, self._progress, "add", release=spec.release, variant=spec.variant)
        return Host(self._paths, HostState(**made))

    def add_hosts(self, specs: Sequence[HostSpec]) -> list[Host]:
        """Boot several hosts at once."""
        lifecycle.prepare(self._paths, {spec.release for spec in specs}, self._progress)
        with ThreadPoolExecutor(max_workers=max(1, len(specs))) as pool:
            return list(pool.map(self.fresh_host, specs))
