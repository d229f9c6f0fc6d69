# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of a running lab: hosts work, nothing is left when a lab ends, and no packet leaves.

Each lab here has its own root directory, so that these tests can run while this clone has a running
lab. They share its cache.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Host, HostSpec, Lab
from lab.client import CLONE
from lab.netns import enter_argv
from lab.network import PRIVATE_RANGES
from lab.paths import LabPaths
from lab.process import run
from lab.spec import STABLE
from lab.traces import packet_filter, traces

BARE = HostSpec(13, "bare")
LIVE = {"interface", "route", "process", "cgroup", "socket folder", "host data"}

_OWNER = """
import signal, sys, time
# A shell without job control, as in CI, makes background processes ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from lab import HostSpec, Lab
try:
    with Lab.owned([HostSpec(13, "bare")], root=Path(sys.argv[1])) as lab:
        print(lab.pid, flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    sys.exit(130)
"""


def lab_root(name: str) -> Path:
    """Return a root for a lab of these tests, kept in .dev, so that images are imported once."""
    root = CLONE / ".dev" / "lab-tests" / name
    (root / ".dev").mkdir(parents=True, exist_ok=True)
    cache = root / ".dev" / "cache"
    if not cache.is_symlink():
        (CLONE / ".dev" / "cache").mkdir(exist_ok=True)
        cache.symlink_to(CLONE / ".dev" / "cache")
    return root


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with two hosts that can run containers and one bare host."""
    specs = [HostSpec(13), HostSpec(12), BARE]
    with Lab.owned(specs, root=lab_root("main")) as running:
        yield running


def standard(lab: Lab, release: int) -> Host:
    """Return the lab's host with Docker. Hosts boot at the same time, so their names are random."""
    return next(host for host in lab.hosts if (host.release, host.variant) == (release, "standard"))


@pytest.fixture
def host(lab: Lab) -> Host:
    """A Debian 13 host with Docker."""
    return standard(lab, 13)


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    """Start a process that owns a lab of one host, and prints the supervisor's process ID."""
    root = lab_root("owned")
    before = packet_filter()
    assert traces(LabPaths(root)) == {}
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(root)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CLONE / "tests")},
    )
    yield process
    process.kill()
    process.wait()
    Lab.down(root=root)
    assert traces(LabPaths(root)) == {}
    assert packet_filter() == before


def supervisor_of(owner: subprocess.Popen[str]) -> int:
    """Wait for the owner's lab, and check that `traces` finds it.

    Otherwise, empty traces would mean nothing.
    """
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert set(traces(owned_paths())) == LIVE
    return pid


def owned_paths() -> LabPaths:
    """Return the paths of the owner's lab."""
    return LabPaths(lab_root("owned"))


def wait_for_traces(expected: set[str], seconds: float = 5.0) -> None:
    """Wait until the owner's lab has traces of these kinds only."""
    deadline = time.monotonic() + seconds
    while set(traces(owned_paths())) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    found = traces(owned_paths())
    assert set(found) == expected, found


def test_ctrl_c_leaves_nothing(owner: subprocess.Popen[str]) -> None:
    supervisor_of(owner)
    owner.send_signal(signal.SIGINT)
    assert owner.wait(timeout=10) == 130
    assert traces(owned_paths()) == {}


def test_killed_owner_leaves_nothing(owner: subprocess.Popen[str]) -> None:
    supervisor_of(owner)
    owner.kill()
    wait_for_traces(set())


def test_killed_supervisor_leaves_nothing(owner: subprocess.Popen[str]) -> None:
    os.kill(supervisor_of(owner), signal.SIGKILL)
    wait_for_traces(set())


def test_killed_guardian_leaves_what_down_removes(owner: subprocess.Popen[str]) -> None:
    supervisor_of(owner)
    guardian = int((owned_paths().lab / "guardian.pid").read_text())
    os.kill(guardian, signal.SIGKILL)
    # The kernel ends the lab. The next command removes an empty cgroup and some files.
    wait_for_traces({"cgroup", "socket folder", "host data"})
    assert Lab.down(root=owned_paths().root) == []
    assert traces(owned_paths()) == {}


def test_up_and_down() -> None:
    root = lab_root("owned")
    before = packet_filter()
    lab = Lab.up([BARE], root=root)
    again = Lab.up([BARE], root=root)
    assert again.pid == lab.pid
    assert [host.name for host in again.hosts] == ["d13-1"]
    more = Lab.up([BARE, BARE], root=root)
    assert [host.name for host in more.hosts] == ["d13-1", "d13-2"]
    assert set(traces(LabPaths(root))) == LIVE
    assert packet_filter() == before
    assert Lab.down(root=root) == []
    assert traces(LabPaths(root)) == {}
    assert packet_filter() == before
    assert Lab.attach(root=root) is None


def test_two_labs_at_once(lab: Lab) -> None:
    with Lab.owned([BARE], root=lab_root("owned")) as other:
        assert other.hosts[0].address.rsplit(".", 1)[0] != lab.hosts[0].address.rsplit(".", 1)[0]
        assert other.hosts[0].run(["hostname"]).stdout == "d13-1\n"


def test_hosts_reach_each_other(lab: Lab) -> None:
    for here in lab.hosts:
        for there in lab.hosts:
            assert here.run(f"exec 3<>/dev/tcp/{there.address}/22; head -c 4 <&3").stdout == "SSH-"


def test_standard_host(lab: Lab) -> None:
    for host, version in ((standard(lab, 13), "26.1."), (standard(lab, 12), "20.10.")):
        assert host.run("docker version --format '{{.Server.Version}}'").stdout.startswith(version)
        assert host.run(["systemctl", "is-system-running"]).stdout == "running\n"
        assert host.run("iptables-save | grep -c 127.0.0.11", check=False).stdout == "0\n"
        images = set(host.run("docker image ls --format '{{.Repository}}:{{.Tag}}'").stdout.split())
        assert images == {f"wormhole-lab/{name}:1" for name in ("cli", "busybox", "nonroot")}
        assert host.run("docker run --rm wormhole-lab/nonroot:1 id -un").stdout == "ci\n"
        assert host.run("docker run --rm wormhole-lab/busybox:1 echo x").stdout == "x\n"


def test_files_of_a_removed_host_never_lead_to_another_host(lab: Lab) -> None:
    gone = lab.fresh_host(HostSpec(13))
    gone.destroy()
    new = lab.fresh_host(HostSpec(13))
    try:
        assert new.address == gone.address
        assert new.name != gone.name
        assert new.run(["hostname"]).stdout == f"{new.name}\n"
    finally:
        new.destroy()


def test_hosts_have_their_own_keys_and_ids(lab: Lab) -> None:
    for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        assert len({host.read(path) for host in lab.hosts}) == len(lab.hosts)
    standard = [host for host in lab.hosts if host.variant == "standard"]
    assert len({host.run("docker info --format '{{.ID}}'").stdout for host in standard}) == len(standard)


@pytest.mark.parametrize("release", STABLE)
def test_bare_host_installs_docker_offline(lab: Lab, release: int) -> None:
    host = lab.fresh_host(HostSpec(release, "bare"))
    assert host.run("command -v dockerd docker", check=False).returncode != 0
    assert host.run(["python3", "-c", "import docker"], check=False).returncode != 0
    update = host.run(["apt-get", "update"])
    assert "W:" not in update.stderr
    host.run(
        "DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io python3-docker python3-cryptography"
    )
    assert host.run(["systemctl", "is-active", "docker"]).stdout == "active\n"
    host.run(["python3", "-c", "import docker, cryptography; docker.from_env().ping()"])
    host.destroy()


@pytest.mark.parametrize("power_cut", [False, True])
def test_reboot(host: Host, power_cut: bool) -> None:
    name = f"boot-{power_cut}"
    host.run(f"docker run -d --restart always --name {name} wormhole-lab/cli:1")
    host.write("/etc/kept", "text\n", mode=0o640)
    boot = "cat /proc/sys/kernel/random/boot_id; systemctl show --value -p UserspaceTimestampMonotonic"
    before, mtime = host.run(boot).stdout, host.run(["stat", "-c", "%a %Y", "/etc/kept"]).stdout
    host.run("touch /run/volatile")
    host.reboot(power_cut=power_cut)
    assert host.run(boot).stdout != before
    assert host.run("ls /run/volatile", check=False).returncode != 0
    assert host.run(["stat", "-c", "%a %Y", "/etc/kept"]).stdout == mtime
    assert host.address in host.run(["ip", "-4", "address", "show", "dev", "eth0"]).stdout
    assert host.run(["docker", "inspect", "--format={{.State.Running}}", name]).stdout == "true\n"
    host.run(["docker", "rm", "--force", name])


def test_reboot_from_inside(host: Host) -> None:
    began = host.run(["systemctl", "show", "--value", "-p", "UserspaceTimestampMonotonic"]).stdout
    host.run(["systemctl", "reboot"], check=False)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.5)
        done = host.run(["systemctl", "show", "--value", "-p", "UserspaceTimestampMonotonic"], check=False)
        if done.returncode == 0 and done.stdout != began:
            return
    pytest.fail("the host did not come back")


def test_forward_docker_socket(host: Host, tmp_path: Path) -> None:
    with host.forward_docker_socket(tmp_path / "docker.sock") as path:
        answer = run(["curl", "--silent", "--unix-socket", str(path), "http://engine/version"])
        assert '"Version":"26.1' in answer
    assert not (tmp_path / "docker.sock").exists()


def test_authorized_key_and_files(host: Host) -> None:
    host.authorize("ssh-ed25519 AAAA somebody")
    assert "ssh-ed25519 AAAA somebody\n" in host.read("/root/.ssh/authorized_keys")
    host.write("/srv/new/a file", "x", mode=0o400)
    assert host.run("stat -c %a '/srv/new/a file'").stdout == "400\n"


def test_shared_connection_is_reopened(lab: Lab, host: Host) -> None:
    argv = host.ssh_argv()
    run([argv[0], "-Ostop", *argv[1:]])
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if subprocess.run([argv[0], "-Ocheck", *argv[1:]], capture_output=True, check=False).returncode == 0:
            return
    pytest.fail("nobody opened the connection again")


def test_cut_off(lab: Lab, host: Host) -> None:
    login = [*enter_argv(lab), *host.ssh_argv("hostname")]
    with host.cut_off():
        began = time.monotonic()
        refused = subprocess.run(login, capture_output=True, text=True, check=False)
        assert "Connection refused" in refused.stderr
        assert time.monotonic() - began < 2
        assert host.run("hostname").stdout.strip() == host.name
    assert run(login).strip() == host.name


def test_private_ranges_end_in_the_lab(lab: Lab, host: Host) -> None:
    probe = "import socket; socket.create_connection(('{}', 9), timeout=5)"
    for destination in PRIVATE_RANGES:
        address = destination.split("/", maxsplit=1)[0].rsplit(".", 1)[0] + ".77"
        # First check the routing table, without sending a packet.
        route = subprocess.run(
            [*enter_argv(lab), "ip", "route", "get", address], capture_output=True, text=True, check=False
        )
        assert (
            "No route to host" in route.stderr
        )  # "Network is unreachable" would only mean that there is no route
        if destination == "172.16.0.0/12":
            address = "172.31.255.77"  # not an address of the host's bridges
        done = host.run(["python3", "-c", probe.format(address)], check=False)
        assert "No route to host" in done.stderr


def test_no_route_leaves_the_lab(lab: Lab) -> None:
    routes = run([*enter_argv(lab), "ip", "route"])
    assert "default" not in routes
    assert run([*enter_argv(lab), "ip", "-6", "route"]) == ""
