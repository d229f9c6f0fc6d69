# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts: create, connect, reboot and destroy them, for the supervisor."""

from __future__ import annotations

import contextlib
import io
import shutil
import signal
import socket
import tarfile
import threading
import time
import uuid

from lab import access, cache, images, network
from lab.connection import SharedConnection
from lab.engine import Engine
from lab.errors import LabError
from lab.paths import LabPaths
from lab.process import ip_batch, run
from lab.spec import RELEASES, HostSpec, HostState, next_name

_BOOT_SECONDS = 60
_SHUTDOWN_SECONDS = 30


class Hosts:
    """All hosts of a lab. Its methods are thread-safe."""

    def __init__(self, paths: LabPaths, engine: Engine, subnet: network.Subnet) -> None:
        self._paths = paths
        self._engine = engine
        self._subnet = subnet
        self._lock = threading.Lock()
        self._building: dict[int, threading.Lock] = {release: threading.Lock() for release in RELEASES}
        self._hosts: dict[str, HostState] = {}
        # A name is used once, so that a client of a removed host never reaches another host.
        self._names: set[str] = set()
        self._connections: dict[str, SharedConnection] = {}
        # Set while a host is booted and reachable. A watcher clears it when the host stops.
        self._up: dict[str, threading.Event] = {}
        self._errors: dict[str, str] = {}

    def all(self) -> list[HostState]:
        """Return the hosts in the order of their addresses."""
        with self._lock:
            return sorted(self._hosts.values(), key=lambda host: host.octet)

    def is_up(self, name: str) -> bool:
        """Return whether a host is booted and reachable."""
        return self._up[name].is_set()

    def get(self, name: str) -> HostState:
        """Return a host by its name."""
        with self._lock:
            host = self._hosts.get(name)
            known = ", ".join(self._hosts)
        if host is None:
            raise LabError(f"the lab has no host {name}", expected=f"one of {known or '(none)'}")
        return host

    def build(self, spec: HostSpec, progress: cache.Progress) -> str:
        """Build what a host is made of, if it is missing; return its image."""
        # Prevents two hosts from building the same image at the same time.
        with self._building[spec.release]:
            image = images.ensure_image(self._engine, self._paths, spec, progress)
            if spec.variant == "standard":
                images.engine_template(self._engine, self._paths, spec.release, progress)
        return image

    def add(self, spec: HostSpec, progress: cache.Progress) -> HostState:
        """Boot a new host and wait until it is reachable."""
        image = self.build(spec, progress)
        with self._lock:
            octet = network.free_octet(host.octet for host in self._hosts.values())
            name = next_name(spec.release, self._names)
            self._names.add(name)
            host = HostState(name, self._subnet.host(octet), octet, spec.release, spec.variant)
            self._hosts[name] = host
            self._up[name] = threading.Event()
        progress(f"booting {name} ({host.address}, Debian {host.release}, {host.variant}) …")
        began = time.monotonic()
        store = self._paths.hosts / name / "var-lib-docker"
        cache.remove(store.parent)
        store.parent.mkdir(parents=True)
        if spec.variant == "standard":
            template = images.template_path(self._paths, spec.release)
            run(["cp", "--archive", "--reflink=auto", str(template), str(store)])
        else:
            store.mkdir(mode=0o710)
        options = images.run_options(self._paths, store)
        self._engine.docker(
            "create", f"--name={name}", f"--hostname={name}", f"--add-host={name}:{host.address}",
            f"--dns={self._subnet.gateway}", *options, image,
        )  # fmt: skip
        self._engine.docker("cp", "-", f"{name}:/", input=self._identity(host))
        self._write_access_files()
        self._start(host)
        threading.Thread(target=self._watch, args=(host,), daemon=True).start()
        progress(f"{name} is up after {time.monotonic() - began:.1f} s")
        return host

    def reboot(self, name: str, power_cut: bool) -> None:
        """Restart a host, with or without a shutdown, and wait until it is reachable."""
        host = self.get(name)
        up = self._up[host.name]
        began = self._engine.docker("inspect", "--format={{.State.StartedAt}}", name)
        # SIGRTMIN+5 makes systemd shut down, like `systemctl reboot`.
        number = signal.SIGKILL if power_cut else signal.SIGRTMIN + 5
        self._engine.docker("kill", f"--signal={int(number)}", name)
        deadline = time.monotonic() + _SHUTDOWN_SECONDS + _BOOT_SECONDS
        while time.monotonic() < deadline:
            # Check the start time first: before the restart, `up` may still be set.
            started = self._engine.docker("inspect", "--format={{.State.StartedAt}}", name)
            if started != began and up.wait(0.05):
                return
            if name in self._errors:
                raise LabError(f"{name} did not reboot", found=self._errors[name])
            time.sleep(0.05)
        raise LabError(f"{name} did not reboot", found="its shutdown or its boot timed out")

    def destroy(self, name: str) -> None:
        """Remove a host and its data."""
        host = self.get(name)
        with self._lock:
            del self._hosts[name]
        self._disconnect(name)
        self._engine.docker("rm", "--force", "--volumes", name)
        shutil.rmtree(self._paths.hosts / host.name, ignore_errors=True)
        self._write_access_files()

    def authorize(self, name: str, public_key: str) -> None:
        """Authorize another public key for root."""
        append = "umask 077; cat >> /root/.ssh/authorized_keys"
        run(access.ssh_argv(self._paths, self.get(name), append), input=public_key.strip() + "\n")

    def _start(self, host: HostState) -> None:
        self._engine.docker("start", host.name)
        pid = self._engine.docker("inspect", "--format={{.State.Pid}}", host.name)
        self._wire(host, pid)
        images.wait_for_boot(self._engine, host.name, _BOOT_SECONDS)
        self._wait_for_ssh(host)
        connection = SharedConnection(self._paths, host)
        with self._lock:
            gone = self._hosts.get(host.name) is not host
            if not gone:
                self._connections[host.name] = connection
        if gone:  # destroyed during the reboot
            connection.close()
        self._up[host.name].set()

    def _wire(self, host: HostState, pid: str) -> None:
        """Add the network interface of a booting host.

        Docker's networks would add rules for name servers to it.
        """
        port = f"h{host.octet}"
        # The kernel removes a network namespace some time after its last process has ended. Until
        # then, the port of an earlier host with this address, or of this host before its reboot,
        # still exists.
        with contextlib.suppress(LabError):
            ip_batch([f"link delete {port}"])
        ip_batch(
            [
                f"link add {port} type veth peer name eth0 address {self._subnet.mac(host.octet)} netns {pid}",
                f"link set {port} master {network.BRIDGE} up",
            ]
        )
        ip_batch(
            [
                f"address add {host.address}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {self._subnet.gateway}",
            ],
            namespace=f"/proc/{pid}/ns/net",
        )

    def _wait_for_ssh(self, host: HostState) -> None:
        deadline = time.monotonic() + _BOOT_SECONDS
        while time.monotonic() < deadline:
            try:
                with socket.create_connection((host.address, 22), timeout=1) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.05)
        raise LabError(f"{host.name} cannot be reached by SSH", expected=f"a greeting at {host.address}:22")

    def _watch(self, host: HostState) -> None:
        """Boot a host again whenever it has stopped, as hardware does after `reboot`."""
        while True:
            self._engine.try_docker("wait", host.name)
            self._up[host.name].clear()
            self._disconnect(host.name)
            with self._lock:
                if self._hosts.get(host.name) is not host:
                    return
            try:
                self._start(host)
            except LabError as error:
                self._errors[host.name] = str(error)
                print(error, flush=True)
                return

    def _disconnect(self, name: str) -> None:
        connection = self._connections.pop(name, None)
        if connection is not None:
            connection.close()

    def _identity(self, host: HostState) -> bytes:
        """Return a tar archive of the host's own files: keys, machine ID, authorized keys."""
        key = access.host_key(self._paths, host)
        public = access.ensure_key(key)
        files = {
            "etc/machine-id": (uuid.uuid4().hex + "\n", 0o444),
            "etc/ssh/ssh_host_ed25519_key": (key.read_text(), 0o600),
            "etc/ssh/ssh_host_ed25519_key.pub": (public + "\n", 0o644),
            "root/.ssh/authorized_keys": (access.ensure_key(self._paths.private_key) + "\n", 0o600),
        }
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            folder = tarfile.TarInfo("root/.ssh")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(folder)
            for name, (text, mode) in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text.encode()), mode
                archive.addfile(entry, io.BytesIO(text.encode()))
        return stream.getvalue()

    def _write_access_files(self) -> None:
        with self._lock:
            hosts = sorted(self._hosts.values(), key=lambda host: host.octet)
            # Leave out a host that is still being added and has no key yet.
            ready = [
                host for host in hosts if access.host_key(self._paths, host).with_suffix(".pub").exists()
            ]
            access.write_known_hosts(self._paths, ready)
            access.write_inventory(self._paths, ready)
