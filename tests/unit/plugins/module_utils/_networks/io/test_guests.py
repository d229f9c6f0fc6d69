# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests of a bridge in a network namespace, both made by the test; scenarios use Docker's."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._networks.io import guests


def _may_make_namespaces():
    tried = ["unshare", "--net", "--mount", "sh", "-c", "mount -t sysfs sysfs /sys && ip link"]
    return os.geteuid() == 0 and subprocess.run(tried, check=False, capture_output=True).returncode == 0


# Under ansible-test units this may run as anybody, and without iproute2.
pytestmark = pytest.mark.skipif(not _may_make_namespaces(), reason="making a network namespace takes root")

HOST = """
mount -t sysfs sysfs /sys
ip link set lo up
ip link add docker7 type bridge
ip address add 10.7.0.1/24 dev docker7
ip address add fd07::1/64 dev docker7
ip link set docker7 mtu 1400 up
echo
exec sleep 60
"""
NEIGHBOUR = """
ip link add neighbour type veth peer name eth0 netns {pid}
ip link set neighbour master docker7 up
"""
PROGRAM = f"""
import json, os, signal, socket, subprocess, sys, time
sys.path[:0] = {sys.path!r}
from {guests.__name__} import call_as_guest
from {guests.__name__.replace(".io.", ".")} import Guest, GuestAddress
from {guests.__name__.replace("_networks.io.guests", "_base.errors")} import WormholeError
FOUR = GuestAddress(("10.7.0.254", "10.7.0.253"), 24, "10.7.0.1", "10.7.0.1")
SIX = GuestAddress(("fd07::fe", "fd07::fd"), 64, "fd07::1", "fd07::1")
def shell(command):
    return subprocess.run(command, shell=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
def listen(address):
    return socket.create_server((address, 2376), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
def connect(address, timeout=3):
    with socket.create_connection((address, 2376), timeout=timeout) as connection:
        return connection.getsockname()[0]
"""


class Playground:
    """A host of its own: a network namespace with a bridge, and its programs' JSON output."""

    def __init__(self, pid):
        self.pid = pid

    def start(self, program):
        argv = [
            "nsenter",
            f"--target={self.pid}",
            "--net",
            "--mount",
            sys.executable,
            "-c",
            PROGRAM + program,
        ]
        return subprocess.Popen(argv, stdout=subprocess.PIPE)

    def run(self, program):
        output, _errors = self.start(program).communicate(timeout=60)
        return json.loads(output)

    def shell(self, command):
        argv = ["nsenter", f"--target={self.pid}", "--net", "--mount", "sh", "-c", command]
        return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout

    def interfaces(self):
        return sorted(line.split(": ")[1].split("@")[0] for line in self.shell("ip -o link").splitlines())


@contextlib.contextmanager
def namespace(script):
    process = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-ec", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.stdout.readline()
        yield Playground(process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def host():
    with namespace(HOST) as playground:
        yield playground


@pytest.fixture
def neighbour(host):
    """Somebody on the bridge that no engine knows."""
    with namespace("echo; exec sleep 60") as other:
        host.shell(NEIGHBOUR.format(pid=other.pid))
        other.shell(
            "ip address add 10.7.0.254/24 dev eth0; ip address add fd07::fe/64 dev eth0 nodad; ip link set eth0 up"
        )
        yield other


@pytest.fixture(autouse=True)
def nothing_is_left_behind(host):
    yield
    assert [name for name in host.interfaces() if name.startswith("worm")] == []


def test_a_guest_is_on_the_bridge_as_a_container_is(host):
    looked = "ip -o -4 address; ip route | sed 's/ linkdown//'; cat /sys/class/net/docker7/mtu"
    before = host.shell(looked)
    seen = host.run(
        """
with listen("10.7.0.1"), listen("::"):
    print(json.dumps(call_as_guest(Guest("ci", "docker7", (FOUR, SIX)), lambda: {
        "four": connect("10.7.0.1"), "six": connect("fd07::1"),
        "routes": shell("ip route show default; ip -6 route show default"),
        "link": shell("ip -o link show eth0"),
        "names": os.listdir("/run/netns") if os.path.exists("/run/netns") else [],
    }, timeout=10)))
"""
    )
    assert (seen["four"], seen["six"]) == ("10.7.0.254", "fd07::fe")
    assert seen["routes"].splitlines()[0].split()[:5] == ["default", "via", "10.7.0.1", "dev", "eth0"]
    assert seen["routes"].splitlines()[1].split()[:5] == ["default", "via", "fd07::1", "dev", "eth0"]
    assert " mtu 1400 " in seen["link"]
    assert host.shell(looked) == before


def test_a_gateway_that_cannot_be_used_yet_is_waited_for(host):
    # An address that a bridge gets while it has no guests, as an engine's does, is checked when one
    # comes; here that takes longer than the check of the guest's own.
    host.shell(
        "ip link add first type veth peer name second; ip link set first master docker7 up; ip link set second up; "
        "sleep 0.2; ip link delete first; echo 4 >/proc/sys/net/ipv6/conf/docker7/dad_transmits; "
        "ip address delete fd07::1/64 dev docker7; ip address add fd07::1/64 dev docker7"
    )
    seen = host.run(
        """
with listen("::"):
    print(json.dumps(call_as_guest(Guest("ci", "docker7", (SIX,)), lambda: connect("fd07::1", 0.5), timeout=10)))
"""
    )
    assert seen == "fd07::fe"


def test_only_ipv4_has_no_ipv6(host):
    seen = host.run(
        'print(json.dumps(call_as_guest(Guest("ci", "docker7", (FOUR,)), lambda: shell("ip -6 address"), timeout=10)))'
    )
    assert seen == "" or "scope link" not in seen


def test_an_address_that_somebody_has_is_not_taken(host, neighbour):
    seen = host.run(
        """
with listen("10.7.0.1"), listen("::"):
    print(json.dumps(call_as_guest(Guest("ci", "docker7", (FOUR, SIX)),
        lambda: [connect("10.7.0.1"), connect("fd07::1"), shell("cat /sys/class/net/docker7/address")], timeout=10)))
"""
    )
    assert seen[:2] == ["10.7.0.253", "fd07::fd"]
    # A bridge takes the lowest MAC address on it; a guest's never is.
    assert seen[2] == host.shell("cat /sys/class/net/neighbour/address")


@pytest.mark.parametrize(("family", "address"), [(4, "10.7.0.253/24"), (6, "fd07::fd/64")])
def test_a_network_without_a_free_address_is_told(host, neighbour, family, address):
    neighbour.shell(f"ip address add {address} dev eth0" + (" nodad" if family == 6 else ""))
    told = host.run(
        f"""
try:
    call_as_guest(Guest("ci", "docker7", ({"SIX" if family == 6 else "FOUR"},)), lambda: None, timeout=10)
except WormholeError as error:
    print(json.dumps(str(error)))
"""
    )
    assert "are all in use, but not by containers of the engine" in told


def test_two_at_once_take_two_addresses(host):
    program = """
print(json.dumps(call_as_guest(Guest("ci", "docker7", (FOUR,)),
    lambda: [shell("ip -o -4 address show eth0").split()[3], time.sleep(2)][0], timeout=10)))
"""
    runs = [host.start(program), host.start(program)]
    taken = {json.loads(run.communicate(timeout=60)[0]) for run in runs}
    assert taken == {"10.7.0.254/24", "10.7.0.253/24"}


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL", "timeout", "failure", "death"])
def test_nothing_is_left_behind_however_it_ends(host, end):
    function = {"failure": "lambda: 1 // 0", "death": "lambda: os.kill(os.getpid(), signal.SIGKILL)"}.get(
        end, 'lambda: [print("there", flush=True), time.sleep(60)]'
    )
    timeout = 0.1 if end == "timeout" else 60
    with host.start(
        f"""
import {guests.__name__} as adapter
adapter._ADDRESS_TIMEOUT = {0.5 if end == "timeout" else 10}
try:
    call_as_guest(Guest("ci", "docker7", (FOUR,)), {function}, timeout={timeout})
except WormholeError as error:
    print(error, shell("ip -o link"))
"""
    ) as run:
        if end.startswith("SIG"):
            assert run.stdout.readline() == b"there\n"
            assert any(name.startswith("worm") for name in host.interfaces())
            run.send_signal(getattr(signal, end))
            run.wait()
            # Nobody is left to remove it: the kernel does, as soon as the child has followed.
            deadline = time.monotonic() + 10
            while any(name.startswith("worm") for name in host.interfaces()) and time.monotonic() < deadline:
                time.sleep(0.05)
        else:
            output, _errors = run.communicate(timeout=60)
            words = {"timeout": "an answer within", "failure": "ZeroDivisionError", "death": "died"}
            assert words[end] in output.decode()
            # At once, and not when the kernel comes to it.
            assert "docker7" in output.decode()
            assert "wormhole" not in output.decode()


def test_what_is_missing_is_told(host):
    told = host.run(
        """
seen = []
for bridge, path in (("docker8", os.environ["PATH"]), ("docker7", "/nowhere")):
    os.environ["PATH"] = path
    try:
        call_as_guest(Guest("ci", bridge, (FOUR,)), lambda: None, timeout=10)
    except WormholeError as error:
        seen.append([type(error).__name__, str(error)])
print(json.dumps(seen))
"""
    )
    assert [kind for kind, _text in told] == ["WormholeError", "MissingRequirement"]
    assert "interface docker8, does not exist on this host" in told[0][1]
    assert "iproute2" in told[1][1]
