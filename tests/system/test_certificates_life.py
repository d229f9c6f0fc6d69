# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Issued certificates and keys expire, are lost or half-written, and are renewed."""

from __future__ import annotations

import datetime
import json
import shutil
import time
from dataclasses import dataclass

import pytest

from certificates import DAY, IDENTITIES, SERVER, contents, differing, reasons, reissue
from continuous import LIVE_RESTORE, ContinuousClient
from hosts import (
    BYSTANDER,
    GATEWAY,
    RESTART,
    WORMHOLE,
    configure,
    engine,
    footprint,
    inside,
    last_rejection,
    launch_arguments,
)
from lab.spec import RELEASES

FOREIGN = {"live-restore": True, "labels": ["rack=7"], "max-concurrent-downloads": 2}
AGENT = f"{IDENTITIES}/agent"
LAUNCH = launch_arguments(WORMHOLE, {**WORMHOLE, "name": "other"})
RENEWALS = 4
HOUR = datetime.timedelta(hours=1)
MINUTE = HOUR / 60
ASK = "docker version --format '{{.Server.Os}}'"


@pytest.fixture
def host(release, fresh_host, playbook):
    """Return a host with two wormholes and with unmanaged files and containers."""
    host = fresh_host(release)
    configure(host, json.dumps(FOREIGN))
    host.run(BYSTANDER)
    playbook("provision", host)
    playbook("launch", host, *LAUNCH)
    return host


@dataclass(frozen=True)
class Harm:
    """A damage to a certificate, its symptom, and the run that repairs it.

    Attributes:
        directory: directory of the certificate.
        how: "expire", or a shell command in the directory.
        noticed: message of the Docker CLI in the wormhole, or of the engine that rejects it; empty
            if the engine keeps working with the certificate that it has loaded.
        playbook: name of the playbook that repairs it.
        reason: code, subject, and a part of the text of the run's reason.
    """

    directory: str
    how: str
    noticed: str
    playbook: str
    reason: tuple[str, str, str]


HARMS = [
    Harm(SERVER, "expire", "certificate has expired", "provision", ("expired", "dockerd", "expired at ")),
    Harm(AGENT, "expire", "certificate has expired", "launch", ("expired", "agent", "expired at ")),
    Harm(
        SERVER,
        "truncate -s 100 key.pem",
        "",
        "provision",
        ("unreadable", "dockerd", "cannot be read: key.pem"),
    ),
    # The engine fails to start with this; its containers keep running.
    Harm(
        SERVER,
        "truncate -s 100 key.pem; systemctl stop docker.socket docker.service; ! systemctl start docker.service",
        "Cannot connect to the Docker daemon",
        "provision",
        ("unreadable", SERVER, f"{SERVER}/key.pem: not a private key"),
    ),
    Harm(
        AGENT,
        "truncate -s 100 key.pem",
        "no valid private key",
        "launch",
        ("unreadable", "agent", "cannot be read: key.pem"),
    ),
]


@pytest.mark.parametrize("release", RELEASES)
def test_expired_or_half_written_files_are_repaired_and_others_do_not_change(release, host, playbook, own_ca):
    running = engine(host).containers
    assert {name.split()[1] for name in running} == {"agent", "other", "bystander"}
    started = "docker inspect -f '{{.State.StartedAt}}' agent other bystander"
    since = host.run(started).stdout
    for harm in HARMS:
        if harm.how == "expire":
            reissue(host, harm.directory, own_ca(host), begins=-2 * DAY, ends=-HOUR)
        else:
            host.run(f"cd {harm.directory} && {harm.how}")
        if harm.how == "expire" and harm.directory == SERVER:
            host.run(RESTART)
        asked = inside(host, ASK, check=False)
        assert asked.returncode == (1 if harm.noticed else 0), harm
        # With TLS 1.3, a rejected client may see a reset connection before it reads the reason. Ask
        # the engine.
        assert harm.noticed in asked.stderr + last_rejection(host)
        before = contents(host)

        run = playbook(harm.playbook, host, *(LAUNCH if harm.playbook == "launch" else ()))

        ((code, subject, text),) = reasons(run) + reasons(run, "wormhole.docker.certificate_rotation")
        assert (code, subject) == harm.reason[:2], text
        assert harm.reason[2] in text
        assert differing(before, contents(host)) == [
            f"{harm.directory}/cert.pem",
            f"{harm.directory}/key.pem",
        ]
        for container in ("agent", "other"):
            assert inside(host, ASK, container=container).stdout.strip() == "linux"
    assert engine(host).containers == running
    assert host.run(started).stdout == since
    config = json.loads(host.read("/etc/docker/daemon.json"))
    assert {key: config[key] for key in FOREIGN} == FOREIGN
    assert [playbook("provision", host).changed, playbook("launch", host, *LAUNCH).changed] == [0, 0]


@pytest.mark.parametrize("release", RELEASES)
def test_without_the_authoritys_key_everything_works_that_needs_no_signature(release, host, playbook, own_ca):
    authority = own_ca(host)
    lost = authority.parent / "ca.key"
    shutil.move(authority / "ca.key", lost)
    host.run(f"chmod 0644 {SERVER}/cert.pem {AGENT}/cert.pem && chmod 0440 {AGENT}/key.pem")
    untouched = contents(host)
    mended = [playbook("provision", host), playbook("launch", host, *LAUNCH)]
    assert [{reason[:2] for reason in reasons(run)} for run in mended] == [
        {("mode_drift", "dockerd")},
        {("mode_drift", "agent")},
    ]
    assert differing(untouched, contents(host)) == [
        f"{AGENT}/cert.pem",
        f"{AGENT}/key.pem",
        f"{SERVER}/cert.pem",
    ]

    host.run(f"rm {AGENT}/cert.pem; chmod 0644 {IDENTITIES}/other/cert.pem")
    before, running = contents(host), engine(host)
    refused = playbook("launch", host, *LAUNCH, check=False)
    assert refused.failures == 1
    assert "'agent'" in refused.message
    assert f"{authority}: the authority has a certificate, but no key" in refused.message
    assert "ca.pem without ca.key" in refused.message
    assert "Restore" in refused.message
    assert "from a backup" in refused.message
    # The failure of one wormhole does not affect another: its identity is still managed.
    assert differing(before, contents(host)) == [f"{IDENTITIES}/other/cert.pem"]
    assert engine(host) == running
    assert {path.name for path in authority.iterdir()} >= {"ca.pem"}
    assert not (authority / "ca.key").exists()

    # Both remedies of the message: the backup, and a new authority for every host.
    shutil.move(lost, authority / "ca.key")
    assert playbook("launch", host, *LAUNCH).changed == 1
    assert inside(host, ASK).stdout.strip() == "linux"
    shutil.move(authority, authority.parent / "former")
    for name, arguments in (("provision", ()), ("launch", LAUNCH)):
        # The previous authority still works, so a run must say that it is replaced.
        refused = playbook(name, host, *arguments, check=False)
        assert "certificate_authority_replace: true" in refused.message
        playbook(name, host, *arguments, "-e", "certificate_authority_replace=true")
    assert inside(host, ASK).stdout.strip() == "linux"


@pytest.mark.parametrize("release", RELEASES)
def test_a_renewal_does_not_interrupt_clients(release, fresh_host, playbook, own_ca):
    host = fresh_host(release)
    configure(host, LIVE_RESTORE)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    reissue(host, SERVER, own_ca(host), begins=-HOUR, ends=60 * DAY)
    host.run(RESTART)
    before = engine(host)

    key = host.run(f"sha256sum {SERVER}/key.pem").stdout

    client = ContinuousClient(host)
    run = playbook("provision", host)
    # A client reads its files one after the other, so repeated renewals would hit it in between.
    renewed = []
    for _round in range(RENEWALS):
        reissue(host, AGENT, own_ca(host), begins=-HOUR, ends=60 * DAY)
        renewed += reasons(playbook("launch", host, *launch_arguments()))
    client.stop().check(cuts=1)

    assert [(code, subject) for code, subject, _text in renewed] == [("expires_soon", "agent")] * RENEWALS
    ((code, subject, text),) = reasons(run)
    assert (code, subject) == ("expires_soon", "dockerd")
    assert "within the renewal window of 122 days" in text
    assert engine(host).pid != before.pid
    # Only the certificate has changed, so that a power cut cannot separate it from its key.
    assert host.run(f"sha256sum {SERVER}/key.pem").stdout == key


@pytest.mark.parametrize("release", RELEASES)
def test_identities_of_earlier_versions_get_their_owners_without_interruption(release, fresh_host, playbook):
    host = fresh_host(release)
    wormhole = {**WORMHOLE, "user": "4242", "tmpfs": ["/tmp:mode=1777"]}
    playbook("provision", host)
    playbook("launch", host, *launch_arguments(wormhole))
    before = engine(host)
    # Earlier, everything belonged to the container's user, and everybody could enter.
    host.run(f"chown -R 4242 {AGENT} && chmod 0755 {IDENTITIES}")
    read = f"setpriv --reuid 4242 --regid 4242 --clear-groups cat {AGENT}/key.pem"
    assert "PRIVATE KEY" in host.run(read).stdout

    client = ContinuousClient(host)
    run = playbook("launch", host, *launch_arguments(wormhole))
    client.stop().check(cuts=0)

    assert {reason[:2] for reason in reasons(run)} == {("mode_drift", "agent"), ("owner_drift", "agent")}
    assert engine(host) == before
    owners = host.run(f"cd {AGENT} && stat -c '%u %a' .. . ca.pem cert.pem key.pem").stdout.splitlines()
    assert owners == ["0 700", "0 755", "0 444", "0 444", "4242 400"]
    assert "Permission denied" in host.run(read, check=False).stderr
    assert playbook("launch", host, *launch_arguments(wormhole)).changed == 0


@pytest.mark.parametrize("release", RELEASES)
def test_identities_of_users_of_the_host_stay_within_their_reach(release, fresh_host, playbook, tmp_path):
    host = fresh_host(release)
    clients = [{"name": "ci", "profile": "client", "directory": f"{IDENTITIES}/ci", "owner": "4242"}]
    playbook("provision", host)
    path = tmp_path / "clients.yml"
    roles = [{"role": "wormhole.docker.identities", "identities_clients": clients}]
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "become": True, "roles": roles}]))
    playbook(str(path), host)
    read = f"setpriv --reuid 4242 --regid 4242 --clear-groups cat {IDENTITIES}/ci/key.pem"
    for _turn in range(2):
        assert "PRIVATE KEY" in host.run(read).stdout
        playbook("launch", host, *launch_arguments())
    assert host.run(f"stat -c '%u %a' {IDENTITIES} {IDENTITIES}/ci").stdout.splitlines() == ["0 755", "0 755"]


@pytest.mark.parametrize("release", RELEASES)
def test_a_hundred_identities_take_one_task_and_one_round_trip(release, fresh_host, playbook, tmp_path):
    host = fresh_host(release)
    names = [f"agent-{number}" for number in range(100)]
    certificates = [
        {"name": name, "profile": "client", "directory": f"{IDENTITIES}/{name}"} for name in names
    ]
    authority = {"name": "wormhole.docker.certificate_authority"}
    tasks = [
        {"ansible.builtin.import_role": authority},
        {
            "wormhole.docker.tls_certificates": {
                "ca_directory": "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname) }}",
                "certificates": certificates,
            }
        },
    ]
    path = tmp_path / "identities.json"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "become": True, "tasks": tasks}]))
    began = time.monotonic()
    first = playbook(str(path), host)
    between = time.monotonic()
    again = playbook(str(path), host)
    ended = time.monotonic()
    print(f"100 identities: issued in {between - began:.1f} s, found unchanged in {ended - between:.1f} s")
    assert sorted(subject for _code, subject, _text in reasons(first)) == sorted(names)
    assert (first.round_trips, again.round_trips) == (2, 1)
    assert again.changed == 0
    serials = {fact["serial"] for fact in again.tasks[-1].result["certificates"].values()}
    assert len(serials) == 100


@pytest.mark.parametrize("release", RELEASES)
def test_controllers_that_create_one_authority_at_the_same_time_agree(
    release, fresh_hosts, new_controller, tmp_path
):
    """A key that takes a second to generate, so that the other controller runs meanwhile."""
    authority = tmp_path / "shared" / "ca"
    options = {
        "certificate_authority_scope": "fleet",
        "certificate_authority_directory": str(authority),
        "certificate_authority_key_type": "rsa-4096",
    }
    hosts = fresh_hosts(release, release)
    controllers = [new_controller("one"), new_controller("two")]

    def provision_at_once(*chosen):
        started = [
            controller.start("provision", host, "-e", json.dumps(options))
            for controller, host in zip(controllers, chosen, strict=True)
        ]
        return [run.finish() for run in started]

    made = provision_at_once(*hosts)
    told = [
        task.result["fingerprint_sha256"]
        for run in made
        for task in run.parts
        if task.action == "wormhole.docker.certificate_authority" and task.status == "ok"
    ]
    assert len(told) == 2
    assert len(set(told)) == 1
    certificate = (authority / "ca.pem").read_text()
    for host in hosts:
        host.write("/root/ca.pem", certificate)
        verified = host.run(
            "openssl verify -x509_strict -purpose sslserver "
            f"-verify_ip {GATEWAY} -CAfile /root/ca.pem {SERVER}/cert.pem",
            check=False,
        )
        assert verified.stdout.strip() == f"{SERVER}/cert.pem: OK", verified.stderr
        assert host.read(f"{SERVER}/ca.pem") == certificate
    assert [run.changed for run in provision_at_once(*reversed(hosts))] == [0, 0]


@pytest.mark.parametrize("release", RELEASES)
def test_a_wrong_clock_is_reported_and_nothing_is_issued(release, fresh_host, playbook, tmp_path):
    host = fresh_host(release)
    playbook("provision", host)
    inventory = give_another_clock(host, tmp_path)
    running = engine(host)
    for shift in (-800 * DAY, 800 * DAY):
        set_clock(host, shift)
        before = footprint(host)
        refused = playbook("provision", host, "-i", inventory, check=False)
        assert refused.failures == 1
        shown = f"{datetime.datetime.now(datetime.UTC) + shift:%Y-%m-}"
        assert f"the clock of the host says {shown}" in refused.message
        assert "differ by more than 30 minutes" in refused.message
        assert "timedatectl set-ntp true" in refused.message
        assert (footprint(host), engine(host)) == (before, running)
    set_clock(host, 10 * MINUTE)
    assert playbook("provision", host, "-i", inventory).changed == 0


def give_another_clock(host, folder):
    """Run modules on the host with a Python that reports another time; return the inventory for it.

    Hosts share the machine's clock, which cannot be changed.
    """
    host.write("/opt/clock/python", '#!/bin/sh\nPYTHONPATH=/opt/clock exec /usr/bin/python3 -B "$@"\n', 0o755)
    path = folder / "clock.json"
    path.write_text(
        json.dumps({"all": {"hosts": {host.name: {"ansible_python_interpreter": "/opt/clock/python"}}}})
    )
    return str(path)


def set_clock(host, shift):
    """Return the difference."""
    host.write(
        "/opt/clock/sitecustomize.py",
        f"""
import datetime

class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds={shift.total_seconds()})

datetime.datetime = Shifted
""",
    )
