# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that drop input by default: their containers reach the engine, other clients do not."""

from __future__ import annotations

import re

import pytest

from hosts import GATEWAY, inside, launch_arguments
from lab.spec import RELEASES
from packages import install

IGNORE = ("-e", "listener_firewall=ignore")
PORT = 2376
NFTABLES = """\
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        iifname "lo" accept
        tcp dport { 22, 80 } accept
        meta l4proto { icmp, ipv6-icmp } accept
        ip saddr 10.0.0.0/8 tcp dport 2376 accept
        limit rate 5/minute log prefix "dropped: "
    }
}
"""
TRACES = (
    "nft list ruleset; cat /etc/ufw/user.rules /etc/ufw/user6.rules; ls /usr/local/sbin /var/lib/wormhole; "
    "find /etc/systemd -name '*firewall*'; systemctl list-units --all --plain --no-legend '*firewall*'"
)


def container_reaches(host, network="bridge", address=GATEWAY, attempts=1):
    """Return whether a container can connect to the engine's port."""
    dial = f"for i in $(seq {attempts}); do nc -w 2 {address} {PORT} </dev/null && exit 0; done; exit 1"
    dialled = f"docker run --rm --network {network} wormhole-lab/busybox:1 sh -c '{dial}'"
    return host.run(dialled, check=False).returncode == 0


def route_to_gateway(other, host):
    """Add a route to this host's containers and gateway on another host, without this network."""
    other.run("ip address flush dev docker0")
    other.run(f"ip route replace 172.17.0.0/16 via {host.address}")


def other_reaches(other, port):
    """Return whether the other host can connect to a port of the gateway."""
    dialled = f"import socket; socket.create_connection(('{GATEWAY}', {port}), 2)"
    return other.run(["python3", "-c", dialled], check=False).returncode == 0


def assert_open_to_containers_only(host, other):
    assert inside(host, "docker version --format '{{.Server.Os}}'").stdout.strip() == "linux"
    # The route works: SSH is open.
    assert other_reaches(other, 22)
    assert not other_reaches(other, PORT)


def texts(run):
    return [reason["text"] for task in run.tasks for reason in task.result.get("reasons", [])]


def opened_and_closed_again(host, other, playbook, *disturbances, settle="true"):
    """Open, use and close the port on a host whose packet filter drops by default, and is otherwise
    unchanged.

    Args:
        disturbances: commands that do not affect the opening.
        settle: a command after which no trace may be left.
    """
    route_to_gateway(other, host)
    host.run("docker network create --subnet 172.30.2.0/24 ci")
    playbook("provision", host, *IGNORE)
    assert not container_reaches(host)
    assert not other_reaches(other, PORT)
    # An opening of an earlier run may be in force until then.
    host.run(settle)
    before = host.run(TRACES, check=False).stdout

    opened = playbook("provision", host, "--diff")
    assert any("docker0" in text and str(PORT) in text for text in texts(opened))
    assert container_reaches(host)
    assert container_reaches(host, "ci")
    playbook("launch", host, *launch_arguments())
    assert_open_to_containers_only(host, other)
    assert playbook("provision", host).changed == 0
    for disturbance in disturbances:
        host.run(disturbance)
        assert_open_to_containers_only(host, other)
    host.reboot()
    assert_open_to_containers_only(host, other)
    assert playbook("provision", host).changed == 0

    playbook("provision", host, *IGNORE)
    assert not container_reaches(host)
    assert not container_reaches(host, "ci")
    host.run(settle)
    assert without_numbers(host.run(TRACES, check=False).stdout) == without_numbers(before)


def without_numbers(traces):
    """Normalise a rule set: counters change, and a reboot reorders the engine's rules."""
    lines = re.sub(r"packets \d+ bytes \d+", "packets N bytes N", traces).splitlines()
    return [line for line in lines if re.search(r"wormhole|\b2376\b|firewall", line)]


@pytest.mark.parametrize("release", RELEASES)
def test_with_nftables(release, fresh_hosts, playbook):
    host, other = fresh_hosts(release, release)
    host.write("/etc/nftables.conf", NFTABLES, 0o755)
    # Its `flush ruleset` also removes the engine's rules, which the engine adds again when it
    # starts.
    host.run("systemctl enable --now nftables.service; systemctl restart docker.service")
    opened_and_closed_again(
        host, other, playbook, "systemctl reload nftables.service", "systemctl restart nftables.service"
    )
    assert host.read("/etc/nftables.conf") == NFTABLES

    # Each gateway is open to its own bridge, with IPv6 as well. A teardown closes all of them.
    host.run(
        "docker rm -f agent; docker network create --ipv6 --subnet fd00:aa::/64 --subnet 10.77.3.0/24 six"
    )
    playbook("provision", host, "-e", '{"listener_addresses": ["gateways"]}')
    # The kernel needs time for duplicate address detection on the bridge.
    assert container_reaches(host, "six", "fd00:aa::1", attempts=4)
    assert container_reaches(host, "ci", "172.30.2.1")
    assert not other_reaches(other, PORT)
    playbook("teardown", host)
    assert not [line for line in host.run(TRACES, check=False).stdout.splitlines() if "wormhole" in line]
    assert host.read("/etc/nftables.conf") == NFTABLES


IPTABLES = """\
*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -p icmp -j ACCEPT
COMMIT
"""
THEIR_UNIT = """\
[Unit]
DefaultDependencies=no
Before=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables-restore --noflush /etc/their.rules
[Install]
WantedBy=multi-user.target
"""


@pytest.mark.parametrize("release", RELEASES)
def test_with_iptables(release, fresh_hosts, playbook):
    host, other = fresh_hosts(release, release)
    host.write("/etc/their.rules", IPTABLES, 0o644)
    host.write("/etc/systemd/system/theirs.service", THEIR_UNIT, 0o644)
    host.run("systemctl daemon-reload; systemctl enable --now theirs.service")
    opened_and_closed_again(host, other, playbook, "systemctl restart docker.service")
    assert host.read("/etc/their.rules") == IPTABLES


@pytest.mark.parametrize("release", RELEASES)
def test_with_ufw(release, lab, fresh_hosts, playbook):
    host, other = fresh_hosts(release, release)
    install(lab, host, "ufw")
    host.run("ufw allow 22/tcp; ufw --force enable")
    rules = "cat /etc/ufw/user.rules /etc/ufw/user6.rules"
    before = host.run(rules).stdout
    opened_and_closed_again(host, other, playbook, "ufw reload")
    assert host.run(rules).stdout == before


FIREWALLD = {
    12: ("libglib2.0-0", "libgirepository-1.0-1", "gir1.2-glib-2.0"),
    13: (
        *("libatomic1", "libglib2.0-0t64", "libgirepository-2.0-0", "libgirepository-1.0-1"),
        *("gir1.2-girepository-2.0", "gir1.2-glib-2.0"),
    ),
    14: (
        "libatomic1",
        "libglib2.0-0t64",
        "libgirepository-2.0-0",
        "gir1.2-girepository-2.0",
        "gir1.2-glib-2.0",
    ),
}
"""The packages that firewalld needs. Its further dependencies are for desktops."""


@pytest.mark.parametrize("release", sorted(FIREWALLD))
def test_with_firewalld(release, lab, fresh_hosts, playbook):
    host, other = fresh_hosts(release, release)
    host.run("echo force-depends >/etc/dpkg/dpkg.cfg.d/force")
    for package in FIREWALLD[release]:
        install(lab, host, package)
    for package in ("python3-gi", "python3-dbus", "python3-nftables", "python3-firewall", "firewalld"):
        install(lab, host, package)
    host.run("systemctl enable --now firewalld.service; systemctl restart docker.service")
    # The engine adds its bridges to a zone that accepts everything: nothing has to be opened, unless
    # it can start before firewalld answers.
    ordered = host.run("systemctl show -P Type firewalld.service").stdout.strip() == "dbus"
    opened = any("docker0" in text for text in texts(playbook("provision", host)))
    assert opened == (not ordered)
    assert container_reaches(host)
    route_to_gateway(other, host)
    assert not other_reaches(other, PORT)
    host.reboot()
    assert container_reaches(host)
    assert not other_reaches(other, PORT)
    assert playbook("provision", host).changed == 0

    # Outside its zone, until a restart of the engine: the same run restarts it.
    host.run("firewall-cmd --zone=docker --remove-interface=docker0", check=False)
    assert playbook("provision", host, "-e", "listener_port=2377").changed
    playbook("provision", host)
    assert container_reaches(host)
    assert playbook("provision", host).changed == 0

    host.run(
        "firewall-cmd --permanent --zone=docker --set-target=default; firewall-cmd --reload; "
        "systemctl reset-failed docker.service; systemctl restart docker.service"
    )
    # The engine adds its bridges to its zone again shortly after a reload. With Docker 20.10, a
    # restart of firewalld at the same moment leaves them without a zone.
    back = "sleep 5; timeout 30 sh -c 'until docker exec agent docker version; do sleep 0.1; done' >/dev/null 2>&1"
    # firewalld's next reload removes the runtime policy. The collection does not reload, which
    # would remove other runtime settings.
    opened_and_closed_again(
        host,
        other,
        playbook,
        f"firewall-cmd --reload; {back}",
        f"systemctl restart firewalld.service; {back}",
        settle="firewall-cmd --reload; sleep 5",
    )
