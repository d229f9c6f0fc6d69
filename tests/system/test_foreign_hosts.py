# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts on which somebody has configured something already: install, run again, drift and repair, undo."""

from __future__ import annotations

import json

import pytest

from hosts import BYSTANDER, GATEWAY, RESTART, configure, engine, footprint, listening

UNITS = "/etc/systemd/system"
CONFIG = "/etc/docker/daemon.json"
OURS = {"tlsverify", "tlscacert", "tlscert", "tlskey"}

FOREIGN = """\
{
\t"labels": ["rack=7",   "row=b"],
\t"debug": false, "mtu": 1450,

\t"log-opts": {
\t\t"max-size": "10m", "max-file": "3" },
\t"default-shm-size": "96M",
\t"bip": "172.29.3.1/24",
\t"ipv6": true,
\t"fixed-cidr-v6": "fd00:29::/64",
\t"max-concurrent-downloads": 2,
\t"shutdown-timeout": 20
}

"""
"""Ten foreign keys, in an order, a spacing and an indentation of somebody's own."""

NETWORKS = (
    "docker network create --subnet 10.77.1.0/24 plain;"
    "docker network create --internal --subnet 10.77.2.0/24 inner;"
    "docker network create --ipv6 --subnet fd00:aa::/64 --subnet 10.77.3.0/24 six"
)


def found(host):
    """What a host is given back with: without what any restart of its engine changes there."""
    lines = [line for line in footprint(host).splitlines() if not line.startswith("/var/lib/docker/")]
    made = "find /etc /srv /opt /var/lib/wormhole /run/wormhole -type d -printf '%p %m %U %G\\n' 2>/dev/null | sort"
    return [*lines, *host.run(made, check=False).stdout.splitlines(), *command(host)]


def timeless(lines):
    """Without size and date of a daemon.json that somebody has edited since: they are those of their edit."""
    return [" ".join(line.split()[:5]) if line.startswith(CONFIG) else line for line in lines]


def command(host):
    """How dockerd runs."""
    return [host.run("tr '\\0' ' ' </proc/$(pidof dockerd)/cmdline").stdout.strip()]


def vendor(host):
    """The vendor's units."""
    return host.run("sha256sum /usr/lib/systemd/system/docker.*").stdout


def starts(host):
    """How often the engine has been started."""
    return host.run("journalctl -q -o cat -u docker.service | grep -c '^Started '").stdout.strip()


def names(host):
    return {line.split()[1] for line in engine(host).containers}


def listener(run):
    """What the listener's task returned."""
    return next(task.result for task in run.tasks if "unreachable_networks" in task.result)


def texts(run):
    return "\n".join(reason["text"] for reason in listener(run)["reasons"])


def variables(**values):
    return ["-e", json.dumps({f"listener_{name}": value for name, value in values.items()})]


def live_through(host, playbook, *arguments, endpoint=f"{GATEWAY}:2376", closely=False):
    """Install, run again, drift and repair, undo: on a host as it stands, with a container of somebody else's."""
    host.run(BYSTANDER)
    before, packaged, count = found(host), vendor(host), int(starts(host))
    text = host.run(f"cat {CONFIG}", check=False).stdout

    done = playbook("provision", host, *arguments)
    assert listener(done)["restarted"]
    assert int(starts(host)) == count + 1
    assert endpoint in listening(host)
    assert vendor(host) == packaged
    assert names(host) == {"bystander"}
    installed, process = found(host), engine(host)
    assert playbook("provision", host, *arguments).changed == 0
    assert (found(host), engine(host)) == (installed, process)

    drift_and_repair(host, playbook, *arguments, endpoint=endpoint, closely=closely)
    assert found(host)[-1] == installed[-1]
    assert vendor(host) == packaged
    assert names(host) == {"bystander"}

    playbook("teardown", host, *arguments)
    left = host.run(f"cat {CONFIG}", check=False).stdout
    # Somebody has edited the file since: a key that was adopted comes back to its end.
    assert json.loads(left) == json.loads(text) if '"hosts"' in text else left == text
    assert timeless(found(host)) == timeless(before)
    assert vendor(host) == packaged
    assert names(host) == {"bystander"}


TCP_UNIT = "[Socket]\nListenStream=0.0.0.0:%i\nService=docker.service\n"
"""A template: nothing but systemd knows where it listens, and systemd forgets it when it has been stopped."""
SLIPPED_IN = {"0.0.0.0:2373", "0.0.0.0:2374", "0.0.0.0:2399"}


def drift_and_repair(host, playbook, *arguments, endpoint, closely):
    """Somebody changes the unit, slips in plaintext listeners, takes a key and stops a socket."""
    unit = f"wormhole-docker-{endpoint}.socket"
    mine, slipped = f"{UNITS}/{unit}.d", f"{UNITS}/docker.socket.d"
    wanted = host.run(f"cat {UNITS}/{unit} {CONFIG}").stdout
    host.run(f"mkdir {mine} {slipped}")
    host.write(f"{slipped}/override.conf", "[Socket]\nListenStream=0.0.0.0:2374\n")
    host.write(f"{UNITS}/docker-tcp@.socket", TCP_UNIT)
    host.write(f"{mine}/override.conf", "[Socket]\nListenStream=0.0.0.0:2399\n")
    host.run(f"echo 'Backlog=7' >>{UNITS}/{unit}; sed -i '/tlsverify/d' {CONFIG}")
    host.run(
        f"systemctl stop {unit} docker.socket docker.service; systemctl daemon-reload; "
        "systemctl start docker-tcp@2373.socket docker.socket; "
        f"{RESTART}; docker start bystander"
    )
    assert set(listening(host)) >= SLIPPED_IN
    # With that key, the engine has lost the demand for TLS.
    for place in SLIPPED_IN:
        assert host.run(f"curl -sS http://{place}/_ping").stdout == "OK"
    host.run(f"systemctl stop {unit}")
    inode = host.run("stat -c %i /run/docker.sock").stdout
    count = int(starts(host))
    predicted = texts(playbook("provision", host, *arguments, "--check")) if closely else ""
    said = texts(playbook("provision", host, *arguments))
    assert predicted in ("", said)
    assert f"unit {unit} differs" in said
    assert f"unit {unit} is changed by {mine}/override.conf" in said
    assert f"docker.socket has dockerd listen on 0.0.0.0:2374, by {slipped}/override.conf" in said
    assert f"docker-tcp@2373.socket has dockerd listen on 0.0.0.0:2373, by {UNITS}/docker-tcp@.socket" in said
    assert "daemon.json lacks tlsverify" in said
    assert f"{unit} is not active" in said
    assert int(starts(host)) == count + 1
    assert not SLIPPED_IN & set(listening(host))
    assert endpoint in listening(host)
    assert sorted(host.run(f"cat {UNITS}/{unit} {CONFIG}").stdout) == sorted(wanted)
    assert host.run("stat -c %i /run/docker.sock").stdout == inode
    if closely:
        assert playbook("provision", host, *arguments).changed == 0
        # It stays closed, and what hides it is not taken away as long as it would be plaintext then.
        host.run(f"systemctl start docker-tcp@2373.socket; {RESTART}; docker start bystander")
        assert not SLIPPED_IN & set(listening(host))
        refused = playbook("teardown", host, *arguments, check=False)
        assert "docker-tcp@2373.socket (closed by us), docker.socket (0.0.0.0:2374)" in refused.message
    count = int(starts(host))
    # They forget to tell systemd.
    host.run(f"rm {UNITS}/docker-tcp@.socket {slipped}/override.conf")
    undone = texts(playbook("provision", host, *arguments))
    assert "overrules docker-tcp@2373.socket for no reason any more" in undone
    assert "overrules docker.socket for no reason any more" in undone
    assert host.run(f"ls -d {slipped} {UNITS}/docker-tcp@2373.socket.d", check=False).stdout == ""
    assert int(starts(host)) == count


@pytest.mark.parametrize("release", [12, 13])
def test_a_virgin_host(release, fresh_host, playbook):
    live_through(fresh_host(release), playbook, closely=True)


@pytest.mark.parametrize("release", [12, 13])
def test_ten_foreign_keys_a_bridge_of_their_own_ipv6_and_three_networks(release, fresh_host, playbook):
    host = fresh_host(release)
    configure(host, FOREIGN)
    host.run(NETWORKS)
    everywhere = variables(addresses=["gateways"])
    before = set(listening(host))
    predicted = playbook("provision", host, *everywhere, "--check")
    without = {entry["network"]: entry for entry in listener(predicted)["unreachable_networks"]}
    assert "internal" in without["inner"]["reason"]
    assert "unix" in without["inner"]["instead"]
    assert without.keys() == {"host", "none", "inner"}
    live_through(host, playbook, *everywhere, endpoint="172.29.3.1:2376")
    playbook("provision", host, *everywhere)
    # The gateway of a network without containers has no carrier, and its IPv6 address is there all the same.
    assert set(listening(host)) - before == {
        f"{address}:2376"
        for address in ("172.29.3.1", "10.77.1.1", "10.77.3.1", "[fd00:29::1]", "[fd00:aa::1]")
    }


ADOPT = variables(existing_listeners="adopt", addresses=[GATEWAY, "127.0.0.1"], port=2375)
"""Covers what is listened on already, so that it can be adopted."""


def start_dockerd_with(host, options):
    """Somebody's own drop-in; returns its path."""
    path = f"{UNITS}/docker.service.d/override.conf"
    host.run(f"mkdir {UNITS}/docker.service.d")
    line = f"/usr/sbin/dockerd {options} --containerd=/run/containerd/containerd.sock"
    host.write(path, f"[Service]\nExecStart=\nExecStart={line}\n")
    host.run(f"systemctl daemon-reload; {RESTART}")
    return path


def refused_untouched(host, playbook, *arguments):
    """A run that is refused; returns what it said."""

    def but_certificates():
        # The server's certificate is issued before the listener is looked at.
        return [
            line for line in found(host) if "/etc/wormhole" not in line and "/var/lib/wormhole" not in line
        ]

    before, process = but_certificates(), engine(host)
    failed = playbook("provision", host, *arguments, check=False)
    assert failed.failures == 1
    assert but_certificates() == before
    assert engine(host) == process
    return failed.message


@pytest.mark.parametrize("release", [12, 13])
def test_listeners_of_an_administrators_drop_in_are_refused_or_adopted(release, fresh_host, playbook):
    host = fresh_host(release)
    path = start_dockerd_with(host, "-H fd:// -H tcp://127.0.0.1:2375 --log-level=warn")
    theirs = host.run(f"sha256sum {path}").stdout
    said = refused_untouched(host, playbook)
    assert path in said
    assert "set existing_listeners to adopt" in said
    # What would be lost is named.
    said = refused_untouched(host, playbook, *variables(existing_listeners="adopt"))
    assert "tcp://127.0.0.1:2375" in said
    playbook("teardown", host)
    live_through(host, playbook, *ADOPT, endpoint=f"{GATEWAY}:2375")
    assert host.run(f"sha256sum {path}").stdout == theirs
    assert "127.0.0.1:2375" in listening(host)


@pytest.mark.parametrize("release", [12, 13])
def test_hosts_in_daemon_json_are_refused_or_adopted(release, fresh_host, playbook):
    host = fresh_host(release)
    host.write(CONFIG, '{ "debug": false,\n  "hosts": ["fd://", "tcp://127.0.0.1:2375"], "mtu": 1450 }\n')
    start_dockerd_with(host, "")
    said = refused_untouched(host, playbook)
    assert f"{CONFIG}: hosts" in said
    assert "set existing_listeners to adopt" in said
    playbook("teardown", host)
    live_through(host, playbook, *ADOPT, endpoint=f"{GATEWAY}:2375")


@pytest.mark.parametrize("release", [12, 13])
def test_hosts_with_which_the_engine_would_not_start_again_are_mended(release, fresh_host, playbook):
    host = fresh_host(release)
    host.write(CONFIG, '{"hosts": ["unix:///var/run/docker.sock"], "mtu": 1450}\n')
    assert "dockerd will not start again" in refused_untouched(host, playbook)
    playbook("provision", host, *variables(existing_listeners="adopt"))
    assert json.loads(host.run(f"cat {CONFIG}").stdout).keys() == {"mtu", *OURS}
    host.reboot()
    assert f"{GATEWAY}:2376" in listening(host)
    assert playbook("provision", host).changed == 0


CE_SERVICE = """\
[Unit]
Description=Docker Application Container Engine
Documentation=https://docs.docker.com
After=network-online.target nss-lookup.target docker.socket firewalld.service containerd.service time-set.target
Wants=network-online.target containerd.service
Requires=docker.socket

[Service]
Type=notify
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock
ExecReload=/bin/kill -s HUP $MAINPID
TimeoutStartSec=0
RestartSec=2
Restart=always
StartLimitBurst=3
StartLimitInterval=60s
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
Delegate=yes
KillMode=process
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""
"""The unit of Docker's own packages."""


@pytest.mark.parametrize("release", [12, 13])
def test_the_layout_of_dockers_own_packages(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run("ln -s /usr/sbin/dockerd /usr/bin/dockerd; rm -f /etc/default/docker")
    host.write("/usr/lib/systemd/system/docker.service", CE_SERVICE)
    host.run(f"systemctl daemon-reload; {RESTART}")
    live_through(host, playbook)
