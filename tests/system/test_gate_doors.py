# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate's sockets on a real host: added, removed and kept open by systemd while clients call."""

from __future__ import annotations

import pytest

from gates import SERVER, SERVICE, TLS, Gate, said
from hosts import BYSTANDER, engine, inside
from lab.spec import RELEASES

pytestmark = pytest.mark.parametrize("release", RELEASES)

PINGS = r"""
while [ ! -e /tmp/pings.stop ]; do
    echo $(curl -sS -o /dev/null -w '%{http_code}' --max-time 50 "$@" 2>&1) >>/tmp/pings
done
touch /tmp/pings.ended
"""
"""Calls on a new connection each time."""
SECURE = "--cacert /certs/ca.pem --cert /certs/cert.pem --key /certs/key.pem"


class Pings:
    """A client in a wormhole that opens one connection after the other."""

    def __init__(self, host, container, options):
        self.host, self.container = host, container
        host.run(
            f"docker exec -i {container} sh -c 'rm -f /tmp/pings*; touch /tmp/pings; cat >/tmp/ping'",
            input=PINGS,
        )
        host.run(f"docker exec -d {container} sh /tmp/ping {options}")
        self.wait()

    def wait(self, number=10):
        """Wait until this number of further calls have ended."""
        script = f"n=$(($(wc -l </tmp/pings) + {number})); until [ $(wc -l </tmp/pings) -ge $n ]; do sleep 0.1; done"
        inside(self.host, f"timeout 90 sh -c '{script}'", container=self.container)

    def stop(self):
        """End it; return how many calls were answered, and what became of the others."""
        script = "touch /tmp/pings.stop; timeout 60 sh -c 'until [ -e /tmp/pings.ended ]; do sleep 0.1; done'"
        inside(self.host, script, container=self.container)
        lines = inside(self.host, "cat /tmp/pings", container=self.container).stdout.splitlines()
        return lines.count("200"), [line for line in lines if line != "200"]


def test_no_connection_is_refused_while_the_gate_restarts(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    gate.install({"local": 0}, tls=True)
    gate.permit("local", "test")
    gate.permit("remote", "test", gate.certificate("remote"))
    gate.open_wormhole("local")
    gate.open_tls_wormhole("remote", "remote")
    before = engine(host)
    clients = {
        "local": Pings(host, "local", "--unix-socket /run/wormhole/docker.sock http://d/_ping"),
        "remote": Pings(host, "remote", f"{SECURE} https://{TLS}/_ping"),
    }
    for command in (
        f"systemctl restart {SERVICE}",
        f"systemctl restart {SERVICE}",
        f"systemctl stop {SERVICE}; sleep 1; systemctl start {SERVICE}",
        f"systemctl reload {SERVICE}",
    ):
        host.run(command)
        for client in clients.values():
            client.wait()
    for name, client in clients.items():
        right, wrong = client.stop()
        print(release, name, right, wrong)
        assert wrong == []
        assert right >= 40
    assert engine(host) == before
    assert host.run("systemctl list-units --failed --no-legend 'wormhole*'").stdout.strip() == ""


def test_wormholes_come_and_go_without_a_notice_of_others(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    gate.install({"first": 0})
    gate.permit("first", "test")
    gate.open_wormhole("first")
    process = gate.pid()
    speak = "i=0; while :; do i=$((i + 1)); echo $i; sleep 0.05; done"
    inside(host, f"docker run -d --name speaker wormhole-lab/busybox:1 sh -c '{speak}'", container="first")
    for number, command in enumerate(
        ("docker logs -f --since 0s speaker", "docker attach --no-stdin speaker")
    ):
        inside(host, f"({command} >/tmp/said.{number} 2>&1; touch /tmp/ended.{number}) &", container="first")
    names = [f"other-{number}" for number in range(20)]
    for name in names:
        gate.permit(name, "observe")
    # Half of them at once, half one after the other.
    gate.add(dict.fromkeys(names[:10], 0))
    for name in names[10:]:
        gate.add({name: 0})
    ping = "curl -sS --max-time 20 --unix-socket /run/wormhole/gate/{}/docker.sock http://d/_ping"
    for name in names:
        assert host.run(ping.format(name)).stdout == "OK", name
    doors = host.run("systemctl list-units --no-legend --plain 'wormhole-gate-door@*'").stdout
    assert len(doors.splitlines()) == 21, doors
    gate.remove(names[:10])
    for name in names[10:]:
        gate.remove([name])
    for name in names:
        assert host.run(ping.format(name), check=False).returncode != 0, name
    doors = host.run("systemctl list-units --no-legend --plain 'wormhole-gate-door@*'").stdout
    assert len(doors.splitlines()) == 1, doors
    sockets = host.run(f"ls -l /proc/{process}/fd | grep -c socket").stdout
    print(release, "descriptors of sockets after 20 were removed:", sockets)
    assert gate.pid() == process
    host.run("sleep 0.5")
    for number in range(2):
        assert said(host, "first", f"ls /tmp/ended.{number}")[0] != 0
        lines = inside(host, f"cat /tmp/said.{number}", container="first").stdout.split()
        numbers = list(map(int, lines))
        # Nothing is missing, nothing was sent twice, and it goes on.
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len(numbers) > 40
        first = len(numbers)
        host.run("sleep 0.5")
        assert len(inside(host, f"cat /tmp/said.{number}", container="first").stdout.split()) > first


# Long because each step continues on the connections of the one before.
def test_a_certificate_is_replaced_while_clients_call(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    gate.install({"local": 0}, tls=True, certificate=False)
    gate.permit("local", "test")
    gate.permit("remote", "test", gate.certificate("remote"))
    gate.open_wormhole("local")
    gate.open_tls_wormhole("remote", "remote")

    # Without a certificate, only TLS is closed, and one line says why.
    assert said(host, "local", "docker ps -q")[0] == 0
    assert said(host, "remote", "docker ps -q")[0] != 0
    lines = [line for line in gate.journal().splitlines() if "does not serve TLS" in line]
    assert len(lines) == 1, lines
    assert f"{SERVER}/cert.pem does not exist" in lines[0]

    serial = f"openssl s_client -connect {TLS} </dev/null 2>/dev/null | openssl x509 -noout -serial"
    first = gate.renew()
    wait = f'timeout 30 sh -c \'until [ "$({serial})" = "serial=%X" ]; do sleep 0.2; done\''
    host.run(wait % first)
    assert said(host, "remote", "docker ps -q") == (0, "")
    process = gate.pid()
    inside(host, "(docker events >/tmp/events 2>&1; touch /tmp/events.ended) &", container="remote")
    client = Pings(host, "remote", f"{SECURE} https://{TLS}/_ping")
    second = gate.renew()
    host.run(wait % second)
    client.wait()
    right, wrong = client.stop()
    print(release, "calls while the certificate was replaced:", right, wrong)
    assert wrong == []
    assert said(host, "remote", "ls /tmp/events.ended")[0] != 0
    # What is only half replaced is not used.
    host.run(f"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {SERVER}/key.pem")
    done = host.run(f"systemctl reload {SERVICE}", check=False)
    assert done.returncode != 0
    assert "do not belong together" in gate.journal()
    assert host.run(serial).stdout.strip() == f"serial={second:X}"
    third = gate.renew()
    host.run(f"systemctl reload {SERVICE}")
    assert host.run(serial).stdout.strip() == f"serial={third:X}"
    owners = host.run("stat -c '%U %a %n' /run/wormhole-gate /run/wormhole-gate/*").stdout
    assert "wormhole-gate 700 /run/wormhole-gate\n" in owners
    assert "wormhole-gate 600 /run/wormhole-gate/control.sock" in owners
    assert "root 755 /run/wormhole-gate/tls" in owners
    copies = host.run("stat -c '%U %a' /run/wormhole-gate/tls/*").stdout
    assert copies.splitlines() == ["wormhole-gate 400"] * 3
    assert gate.pid() == process
    assert said(host, "local", "docker ps -q") == (0, "")


def test_a_stopped_gate_is_started_by_its_sockets(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    gate.install({"local": 0})
    gate.permit("local", "test")
    host.run(BYSTANDER)
    gate.open_wormhole("local")
    assert said(host, "local", "docker ps -q") == (0, "")
    # As when the host starts, and a client comes before the gate.
    host.run(f"systemctl stop 'wormhole-gate-door@*' {SERVICE}")
    assert said(host, "local", "timeout 30 docker ps -q") == (0, "")
    assert gate.pid() != "0"
    # With a configuration that cannot be used, it does not try for ever.
    host.run("cp /etc/wormhole/gate.json /tmp/gate.json; echo '{' >/etc/wormhole/gate.json")
    host.run(f"systemctl restart {SERVICE}", check=False)
    assert said(host, "local", "timeout 3 docker ps -q")[0] != 0
    host.run("sleep 3")
    assert gate.journal().count("gate.json: ") < 10
    host.run(f"cp /tmp/gate.json /etc/wormhole/gate.json; systemctl start {SERVICE}")
    assert said(host, "local", "timeout 30 docker ps -q") == (0, "")
