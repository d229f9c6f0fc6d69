# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts with an existing configuration: install, run again, drift and repair, undo."""

from __future__ import annotations

import json
import shlex

import pytest

from certificates import SERVER
from hosts import BYSTANDER, GATEWAY, RESTART, configure, engine, footprint, listening
from lab.spec import RELEASES
from systemd_reading import read_both

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
"""Ten unmanaged keys, with their own order, spacing and indentation."""

NETWORKS = (
    "docker network create --subnet 10.77.1.0/24 plain;"
    "docker network create --internal --subnet 10.77.2.0/24 inner;"
    "docker network create --ipv6 --subnet fd00:aa::/64 --subnet 10.77.3.0/24 six"
)


def found(host):
    """Return the state that an undo restores, without what any restart of the engine changes."""
    lines = [line for line in footprint(host).splitlines() if not line.startswith("/var/lib/docker/")]
    made = "find /etc /srv /opt /var/lib/wormhole /run/wormhole -type d -printf '%p %m %U %G\\n' 2>/dev/null | sort"
    return [*lines, *host.run(made, check=False).stdout.splitlines(), *command(host)]


def timeless(lines):
    """Remove size and date of a daemon.json that was edited since."""
    return [" ".join(line.split()[:5]) if line.startswith(CONFIG) else line for line in lines]


def command(host):
    """Return the command line of dockerd."""
    return [host.run("tr '\\0' ' ' </proc/$(pidof dockerd)/cmdline").stdout.strip()]


def vendor(host):
    """Return the vendor's units."""
    return host.run("sha256sum /usr/lib/systemd/system/docker.*").stdout


def starts(host):
    """Return the number of the engine's starts."""
    return host.run("journalctl -q -o cat -u docker.service | grep -c '^Started '").stdout.strip()


def names(host):
    return {line.split()[1] for line in engine(host).containers}


def listener(run):
    """Return the result of the listener's task."""
    return next(task.result for task in run.parts if "unreachable_networks" in task.result)


def texts(run):
    return "\n".join(reason["text"] for reason in listener(run)["reasons"])


def variables(**values):
    return ["-e", json.dumps({f"listener_{name}": value for name, value in values.items()})]


def install_drift_repair_undo(
    host, playbook, *arguments, endpoint=f"{GATEWAY}:2376", closely=False, undo=True
):
    """Install, rerun, drift and repair, undo: on an existing host with an unmanaged container."""
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

    if not undo:
        return
    playbook("teardown", host, *arguments)
    left = host.run(f"cat {CONFIG}", check=False).stdout
    assert left == text
    assert timeless(found(host)) == timeless(before)
    assert vendor(host) == packaged
    assert names(host) == {"bystander"}


TCP_UNIT = "[Socket]\nListenStream=0.0.0.0:%i\nService=docker.service\n"
"""A template unit: only systemd knows where it listens, until the unit is stopped."""
SLIPPED_IN = {"0.0.0.0:2373", "0.0.0.0:2374", "0.0.0.0:2399"}
IN_OUR_UNIT = "0.0.0.0:2399"


def drift_and_repair(host, playbook, *arguments, endpoint, closely):
    """Change the unit, add plaintext listeners, remove a key and stop a socket."""
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
    # Without that key, the engine no longer requires TLS: the guard has closed our unit.
    assert set(listening(host)) & {*SLIPPED_IN, endpoint} == SLIPPED_IN - {IN_OUR_UNIT}
    for place in SLIPPED_IN - {IN_OUR_UNIT}:
        assert host.run(f"curl -sS http://{place}/_ping").stdout == "OK"
    host.run(f"systemctl stop {unit}")
    inode = host.run("stat -c %i /run/docker.sock").stdout
    count = int(starts(host))
    predicted = texts(playbook("provision", host, *arguments, "--check")) if closely else ""
    said = texts(playbook("provision", host, *arguments))
    assert predicted in ("", said)
    assert f"unit {unit} differs" in said
    assert f"unit {unit} is changed by {mine}/override.conf" in said
    assert (
        f"docker.socket makes dockerd listen on 0.0.0.0:2374, as {slipped}/override.conf configures" in said
    )
    template = f"{UNITS}/docker-tcp@.socket"
    assert f"docker-tcp@2373.socket makes dockerd listen on 0.0.0.0:2373, as {template} configures" in said
    assert "daemon.json lacks tlsverify" in said
    assert f"{unit} is not active" in said
    assert int(starts(host)) == count + 1
    assert not SLIPPED_IN & set(listening(host))
    assert endpoint in listening(host)
    assert sorted(host.run(f"cat {UNITS}/{unit} {CONFIG}").stdout) == sorted(wanted)
    assert host.run("stat -c %i /run/docker.sock").stdout == inode
    if closely:
        assert playbook("provision", host, *arguments).changed == 0
        # It stays closed, and the drop-in that overrides it stays as long as it would listen
        # without TLS.
        host.run(f"systemctl start docker-tcp@2373.socket; {RESTART}; docker start bystander")
        assert not SLIPPED_IN & set(listening(host))
        refused = playbook("teardown", host, *arguments, check=False)
        assert "docker-tcp@2373.socket (closed by a drop-in), docker.socket (0.0.0.0:2374)" in refused.message
    count = int(starts(host))
    # Without a daemon-reload.
    host.run(f"rm {UNITS}/docker-tcp@.socket {slipped}/override.conf")
    undone = texts(playbook("provision", host, *arguments))
    assert "overrides docker-tcp@2373.socket, which is no longer necessary" in undone
    assert "overrides docker.socket, which is no longer necessary" in undone
    assert host.run(f"ls -d {slipped} {UNITS}/docker-tcp@2373.socket.d", check=False).stdout == ""
    assert int(starts(host)) == count


@pytest.mark.parametrize("release", RELEASES)
def test_a_new_host(release, fresh_host, playbook):
    install_drift_repair_undo(fresh_host(release), playbook, closely=True)


@pytest.mark.parametrize("release", RELEASES)
def test_ten_unmanaged_keys_another_bridge_ipv6_and_three_networks(release, fresh_host, playbook):
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
    install_drift_repair_undo(host, playbook, *everywhere, endpoint="172.29.3.1:2376")
    playbook("provision", host, *everywhere)
    # The gateway of a network without containers has no carrier, but has its IPv6 address.
    assert set(listening(host)) - before == {
        f"{address}:2376"
        for address in ("172.29.3.1", "10.77.1.1", "10.77.3.1", "[fd00:29::1]", "[fd00:aa::1]")
    }


ADOPT = variables(existing_listeners="adopt", addresses=[GATEWAY, "127.0.0.1"], port=2375)
"""Arguments that cover the existing listeners, so that they can be adopted."""


def start_dockerd_with(host, options):
    """Write an administrator's drop-in; return its path."""
    path = f"{UNITS}/docker.service.d/override.conf"
    host.run(f"mkdir -p {UNITS}/docker.service.d")
    line = f"/usr/sbin/dockerd {options} --containerd=/run/containerd/containerd.sock"
    host.write(path, f"[Service]\nExecStart=\nExecStart={line}\n")
    host.run(f"systemctl daemon-reload; {RESTART}")
    return path


def failed_unchanged(host, playbook, *arguments):
    """Run a playbook that fails without a change; return its message."""
    before, process = found(host), engine(host)
    failed = playbook("provision", host, *arguments, check=False)
    assert failed.failures == 1
    assert found(host) == before
    assert engine(host) == process
    return failed.message


@pytest.mark.parametrize("release", RELEASES)
def test_listeners_in_an_administrators_drop_in_are_rejected_or_adopted(release, fresh_host, playbook):
    host = fresh_host(release)
    path = start_dockerd_with(host, "-H fd:// -H tcp://127.0.0.1:2375 --log-level=warn")
    theirs = host.run(f"sha256sum {path}").stdout
    said = failed_unchanged(host, playbook)
    assert path in said
    assert "set existing_listeners: adopt" in said
    # The message names what would be lost.
    said = failed_unchanged(host, playbook, *variables(existing_listeners="adopt"))
    assert "tcp://127.0.0.1:2375" in said
    playbook("teardown", host)
    install_drift_repair_undo(host, playbook, *ADOPT, endpoint=f"{GATEWAY}:2375", undo=False)
    assert host.run(f"sha256sum {path}").stdout == theirs

    # Without our keys, dockerd would serve it in plaintext. The file is not ours to change.
    provisioned, process = found(host), engine(host)
    for arguments in ([], ["--check"]):
        refused = playbook("teardown", host, *arguments, check=False)
        assert f"{path} starts dockerd with -H tcp://127.0.0.1:2375" in refused.message
        assert "plaintext" in refused.message
        assert (found(host), engine(host)) == (provisioned, process)
    host.run(f"sed -i 's| -H tcp://127.0.0.1:2375||' {path}")
    playbook("teardown", host)
    assert not {line for line in listening(host) if line.endswith(":2375")}
    assert host.run(f"ls {UNITS}/docker.service.d").stdout.split() == ["override.conf"]
    assert host.run(f"ls {CONFIG} /var/lib/wormhole /etc/wormhole", check=False).stdout == ""
    assert names(host) == {"bystander"}


@pytest.mark.parametrize("release", RELEASES)
def test_hosts_in_daemon_json_is_rejected_or_adopted(release, fresh_host, playbook):
    host = fresh_host(release)
    host.write(CONFIG, '{ "debug": false,\n  "hosts": ["fd://", "tcp://127.0.0.1:2375"], "mtu": 1450 }\n')
    start_dockerd_with(host, "")
    said = failed_unchanged(host, playbook)
    assert f"{CONFIG} sets hosts to" in said
    assert "set existing_listeners: adopt" in said
    playbook("teardown", host)
    install_drift_repair_undo(host, playbook, *ADOPT, endpoint=f"{GATEWAY}:2375", undo=False)
    assert "127.0.0.1:2375" in listening(host)
    predicted = playbook("teardown", host, "--check")
    done = playbook("teardown", host)
    left_out = "the original daemon.json listened on tcp://127.0.0.1:2375 without TLS, which is not restored"
    for run in (predicted, done):
        assert left_out in json.dumps([task.result.get("reasons") for task in run.tasks])
    assert json.loads(host.run(f"cat {CONFIG}").stdout) == {"debug": False, "hosts": ["fd://"], "mtu": 1450}
    assert not {line for line in listening(host) if line.endswith(":2375")}
    assert names(host) == {"bystander"}
    assert playbook("teardown", host).changed == 0


@pytest.mark.parametrize("release", RELEASES)
def test_hosts_that_would_keep_the_engine_from_starting_is_repaired(release, fresh_host, playbook):
    host = fresh_host(release)
    host.write(CONFIG, '{"hosts": ["unix:///var/run/docker.sock"], "mtu": 1450}\n')
    assert "dockerd does not start with both" in failed_unchanged(host, playbook)
    playbook("provision", host, *variables(existing_listeners="adopt"))
    assert json.loads(host.run(f"cat {CONFIG}").stdout).keys() == {"mtu", *OURS}
    host.reboot()
    assert f"{GATEWAY}:2376" in listening(host)
    assert playbook("provision", host).changed == 0


HAND_MADE, CLIENT = "/etc/docker/ssl", "/root/client"
PASSPHRASE = "typed-at-the-prompt"
MANUAL = f"""set -e
mkdir /root/manual {HAND_MADE} {CLIENT}; cd /root/manual
openssl genrsa -aes256 -passout pass:{PASSPHRASE} -out ca-key.pem 2048
openssl req -new -x509 -days 365 -key ca-key.pem -passin pass:{PASSPHRASE} -sha256 -out ca.pem -subj /C=IE/O=Org/CN=dockerhost
openssl genrsa -out server-key.pem 2048
openssl req -subj /CN=dockerhost -sha256 -new -key server-key.pem -out server.csr
echo subjectAltName = DNS:dockerhost,IP:127.0.0.1 >extfile.cnf
echo extendedKeyUsage = serverAuth >>extfile.cnf
openssl x509 -req -days 365 -sha256 -in server.csr -CA ca.pem -CAkey ca-key.pem -passin pass:{PASSPHRASE} \\
    -CAcreateserial -out server-cert.pem -extfile extfile.cnf
openssl genrsa -out key.pem 2048
openssl req -subj /CN=client -new -key key.pem -out client.csr
echo extendedKeyUsage = clientAuth >extfile-client.cnf
openssl x509 -req -days 365 -sha256 -in client.csr -CA ca.pem -CAkey ca-key.pem -passin pass:{PASSPHRASE} \\
    -CAcreateserial -out cert.pem -extfile extfile-client.cnf
chmod 0400 *key.pem; chmod 0444 *.pem
cp -p ca.pem cert.pem key.pem {CLIENT}
cp -p ca.pem {HAND_MADE}; cp -p server-cert.pem {HAND_MADE}/cert.pem; cp -p server-key.pem {HAND_MADE}/key.pem
"""
"""The openssl commands of Docker's manual (Protect the Docker daemon socket), without its prompts."""


def ask(host, *, directory=CLIENT, check=True):
    """Ask the engine as a client that this collection does not manage."""
    command = f"docker --tlsverify -H tcp://127.0.0.1:2376 version -f {shlex.quote('{{.Server.Os}}')}"
    return host.run(f"DOCKER_CERT_PATH={directory} {command}", check=check)


# Long because it is the story of one host: each step starts from the state that the last one left.
@pytest.mark.parametrize("release", RELEASES)
def test_tls_by_dockers_manual_is_rejected_unchanged_or_adopted_while_its_clients_can_connect(
    release, fresh_host, playbook, controller_ca, own_ca
):
    host = fresh_host(release)
    host.run(MANUAL)
    assert (
        "Key Usage" not in host.run("openssl x509 -noout -ext keyUsage -in /root/manual/ca.pem 2>&1").stdout
    )
    tls = {
        name: f"{HAND_MADE}/{file}.pem"
        for name, file in (("tlscacert", "ca"), ("tlscert", "cert"), ("tlskey", "key"))
    }
    hosts = ["fd://", "tcp://127.0.0.1:2376"]
    host.write(CONFIG, json.dumps({"hosts": hosts, "tlsverify": True, **tls}, indent=2))
    start_dockerd_with(host, "")
    original = host.read(CONFIG)

    def works(*, directory=CLIENT):
        return ask(host, directory=directory).stdout.strip() == "linux"

    assert works()
    said = failed_unchanged(host, playbook)
    assert "set existing_listeners: adopt, addresses: [172.17.0.1, 127.0.0.1]" in said
    adopt = variables(existing_listeners="adopt", addresses=[GATEWAY, "127.0.0.1"])
    elsewhere = variables(existing_listeners="adopt", addresses=[GATEWAY, "127.0.0.1"], directory=HAND_MADE)
    said = failed_unchanged(host, playbook, *elsewhere)
    assert f"{HAND_MADE} holds ca.pem, cert.pem, key.pem, which this collection did not create" in said
    assert not controller_ca.exists()

    # With the authority of the manual: first it must not issue, then a rotation replaces it.
    authority = own_ca(host)
    authority.mkdir(parents=True, mode=0o700)
    for name, source in (("ca.key", "ca-key.pem"), ("ca.pem", "ca.pem")):
        (authority / name).write_text(host.read(f"/root/manual/{source}"))
    adopt = [*adopt, "-e", f"certificate_authority_passphrase={PASSPHRASE}"]
    everywhere = ["-e", json.dumps({"rotation_directories": ["/etc/wormhole", CLIENT]})]
    said = failed_unchanged(host, playbook, *adopt)
    assert "CN=dockerhost,O=Org,C=IE has no key usage, so strict clients reject certificates" in said
    assert "wormhole.docker.rotate" in said
    playbook("rotate", host, "--tags", "trust", *adopt, *everywhere)
    assert host.read(f"{CLIENT}/ca.pem").count("BEGIN") == 2
    assert works()
    playbook("rotate", host, "--tags", "reissue", *adopt)
    assert works()
    theirs = host.run(f"sha256sum {HAND_MADE}/* {CLIENT}/cert.pem {CLIENT}/key.pem").stdout
    playbook("provision", host, *adopt)
    assert json.loads(host.read(CONFIG))["tlscacert"] == f"{SERVER}/ca.pem"
    assert works()
    playbook("teardown", host, *adopt)
    assert json.loads(host.read(CONFIG)) == json.loads(original)
    assert works()
    playbook("provision", host, *adopt)
    assert host.run(f"sha256sum {HAND_MADE}/* {CLIENT}/cert.pem {CLIENT}/key.pem").stdout == theirs

    host.run(f"cp -a {CLIENT} {CLIENT}-before")
    playbook("rotate", host, "--tags", "reissue", *adopt, *everywhere)
    assert works()
    assert works(directory=f"{CLIENT}-before")
    playbook("rotate", host, "--tags", "drop", *adopt, *everywhere)
    assert works()
    assert ask(host, directory=f"{CLIENT}-before", check=False).returncode != 0
    host.run(f"openssl verify -x509_strict -purpose sslclient -CAfile {CLIENT}/ca.pem {CLIENT}/cert.pem")
    assert playbook("provision", host, *adopt).changed == 0


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
"""The unit of Docker Inc.'s packages."""


@pytest.mark.parametrize("release", RELEASES)
def test_the_layout_of_docker_incs_packages(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run("ln -s /usr/sbin/dockerd /usr/bin/dockerd; rm -f /etc/default/docker")
    host.write("/usr/lib/systemd/system/docker.service", CE_SERVICE)
    host.run(f"systemctl daemon-reload; {RESTART}")
    install_drift_repair_undo(host, playbook)


ENGINE_CONFIG = "/etc/docker/engine.json"
NAMED_BY_VARIABLE = """\
[Service]
Environment=LEVEL=warn
EnvironmentFile=-/etc/default/%p
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// \\
  # -H tcp://0.0.0.0:2374 \\
  ; -H tcp://0.0.0.0:2374 \\
  --log-level=${LEVEL} --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
"""
"""The old listener is commented out inside the command, and a variable names the configuration."""


def configure_by_variable(host, options, drop_in=NAMED_BY_VARIABLE):
    host.run(f"mkdir -p {UNITS}/docker.service.d")
    host.write(f"{UNITS}/docker.service.d/admin.conf", drop_in)
    host.write("/etc/default/docker", f'DOCKER_OPTS="{options}"\n')
    host.run(f"systemctl daemon-reload; {RESTART}")


WATCH = "while :; do timeout 1 curl -sfo /dev/null http://172.17.0.1:2376/_ping && date >>/run/plain; sleep 0.1; done"
"""Records when the API answers in plaintext."""


@pytest.mark.parametrize("release", RELEASES)
def test_the_configuration_file_that_dockerd_reads_is_used(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run("rm -f /etc/docker/daemon.json")
    host.write(ENGINE_CONFIG, '{ "mtu": 1450 }\n')
    configure_by_variable(host, f"--config-file={ENGINE_CONFIG}")
    before = found(host)
    host.run(f"systemd-run --unit=watch --quiet sh -c '{WATCH}'")
    text = host.run(f"cat {ENGINE_CONFIG}").stdout
    assert "engine.json lacks tlsverify" in texts(playbook("provision", host, "--check"))
    playbook("provision", host)
    assert json.loads(host.run(f"cat {ENGINE_CONFIG}").stdout).keys() == {"mtu", *OURS}
    assert host.run(f"ls {CONFIG}", check=False).stdout == ""
    assert f"{GATEWAY}:2376" in listening(host)
    assert playbook("provision", host).changed == 0
    assert host.run("cat /run/plain", check=False).stdout == ""
    host.run("systemctl stop watch")
    # An engine that reads another file again has none of our keys; both files are repaired.
    configure_by_variable(host, "")
    repaired = texts(playbook("provision", host))
    assert "daemon.json lacks tlsverify" in repaired
    assert f"dockerd no longer reads {ENGINE_CONFIG}" in repaired
    assert host.run(f"cat {ENGINE_CONFIG}").stdout == text
    configure_by_variable(host, f"--config-file={ENGINE_CONFIG}")
    playbook("teardown", host)
    changed = {line.split()[0] for line in {*before} ^ {*found(host)}}
    # The administrator has written these again.
    assert changed <= {"/etc/default/docker", f"{UNITS}/docker.service.d/admin.conf"}
    assert host.run(f"cat {ENGINE_CONFIG}; ls {CONFIG}", check=False).stdout == text


@pytest.mark.parametrize("release", RELEASES)
def test_every_obstacle_is_named_at_once_and_the_remedy_works(release, fresh_host, playbook, collections):
    host = fresh_host(release)
    for name, systemd, ours in read_both(host, collections):
        assert ours == systemd, name
    options = "-H tcp://0.0.0.0:2376 --tls=false"
    path = start_dockerd_with(host, f"-H fd:// {options}")
    for value in ("refuse", "adopt"):
        said = failed_unchanged(host, playbook, *variables(existing_listeners=value), "--check")
        assert "tcp://0.0.0.0:2376" in said
        assert f"{path} starts dockerd with TLS options" in said
        assert "TLS options, but /etc/docker/daemon.json has to set them: --tls=false" in said
    host.run(f"sed -i 's/{' --tls=false'}//' {path}; systemctl daemon-reload; {RESTART}")
    address = host.run("hostname -I").stdout.split()[0]
    adopt = variables(existing_listeners="adopt", host_addresses=[address])
    playbook("provision", host, *adopt)
    assert {f"{address}:2376", f"{GATEWAY}:2376"} <= set(listening(host))
    # A teardown does not open plaintext again.
    host.run(f"sed -i 's, -H tcp://0.0.0.0:2376,,' {path}; systemctl daemon-reload")
    playbook("teardown", host, *adopt)
    # Each of these keeps the configuration from being known, or dockerd from starting again.
    for text, message in (
        (
            "ExecStart=\nExecStart=/bin/sh -c 'exec dockerd -H fd://'\n",
            "instead of dockerd, so the options of dockerd are unknown",
        ),
        ("EnvironmentFile=/etc/nothing\n", "environment files that do not exist: /etc/nothing"),
        (
            "ExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --config-file=/x.json\n",
            "configuration file that does not exist: /x.json",
        ),
        ("ExecStart=/usr/sbin/dockerd -H fd://\n", "no valid ExecStart=, or more than one"),
    ):
        host.write(path, f"[Service]\n{text}")
        assert message in failed_unchanged(host, playbook, "--check"), message


OWN_SERVICE = """\
[Unit]
After=network-online.target containerd.service
Wants=containerd.service

[Service]
ExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock
ExecReload=/bin/kill -s HUP $MAINPID
Restart=always
KillMode=process
Delegate=yes

[Install]
WantedBy=multi-user.target
"""
"""A complete unit of an administrator: systemd does not wait for dockerd, and passes no sockets."""


@pytest.mark.parametrize("release", RELEASES)
def test_an_engine_without_docker_socket_is_adopted(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(
        "systemctl disable --now docker.socket; systemctl stop docker; rm /usr/lib/systemd/system/docker.socket"
    )
    host.write(f"{UNITS}/docker.service", OWN_SERVICE)
    host.write(CONFIG, '{"hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375"]}\n')
    host.run(f"systemctl daemon-reload; {RESTART}; until docker ps; do sleep 0.2; done")
    said = failed_unchanged(host, playbook)
    # What the message says works as it is.
    assert "set existing_listeners: adopt, port: 2375, addresses: [172.17.0.1, 127.0.0.1]" in said
    arguments = variables(
        existing_listeners="adopt", port=2375, addresses=[GATEWAY, "127.0.0.1"], transports=["tls", "unix"]
    )
    playbook("provision", host, *arguments)
    # Not for everybody, although systemd shows a missing docker.socket with mode 0666.
    for path in ("/run/docker.sock", "/run/wormhole/docker.sock"):
        assert host.run(f"stat -Lc '%a %U %G' {path}").stdout == "660 root docker\n"
    assert playbook("provision", host, *arguments).changed == 0
    host.reboot()
    host.run("timeout 30 sh -c 'until docker ps; do sleep 0.2; done'")
    assert {"127.0.0.1:2375", f"{GATEWAY}:2375"} <= set(listening(host))
    assert playbook("provision", host, *arguments).changed == 0
    playbook("teardown", host, *arguments)
    host.run("timeout 30 sh -c 'until docker ps; do sleep 0.2; done'")
    # A teardown does not open plaintext again.
    assert json.loads(host.run(f"cat {CONFIG}").stdout) == {"hosts": ["unix:///var/run/docker.sock"]}
    assert host.run(f"ls {UNITS}/docker.service.d", check=False).stdout == ""
