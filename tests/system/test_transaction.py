# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of the listener is complete or has no effect, whatever interrupts it."""

from __future__ import annotations

import contextlib

import pytest

from continuous import LIVE_RESTORE, ContinuousClient
from hosts import BYSTANDER, GATEWAY, configure, engine, launch_arguments, listening
from lab.spec import RELEASES
from transactions import (
    STATE,
    UNITS,
    everything,
    leftovers,
    lose_connection,
    signal_module,
    wait_for_module,
)

SERVER = "/etc/wormhole/server"
PORT = 12376
OTHER_PORT = ["-e", f"listener_port={PORT}"]
FULL = "No space left on device"
BACK = "The previous configuration is restored and the engine answers"


def reasons(run):
    """Return the module's reason codes, with those of a prior repair if the engine did not run."""
    return [
        reason["code"]
        for task in run.parts
        if task.action == "wormhole.docker.dockerd_listener" and not task.delegated
        for reason in task.result.get("reasons", ())
    ]


@contextlib.contextmanager
def full(host, path, pages=0):
    """Mount a small disk with a directory's copy over it, and leave this number of pages free."""
    host.run(
        f"set -e; mkdir -p {path} /tmp/kept; cp -a {path}/. /tmp/kept/; mount -t tmpfs -o size=256k,mode=755 full {path}; "
        f"cp -a /tmp/kept/. {path}/; rm -r /tmp/kept; dd if=/dev/zero of={path}/filler bs=4096 2>/dev/null || true; "
        f"truncate -s -{pages * 4096} {path}/filler; df --output=avail -B 4096 {path} | grep -qx ' *{pages}'"
    )
    try:
        yield
    finally:
        host.run(f"umount {path}")


@contextlib.contextmanager
def read_only(host, path):
    """Make a directory read-only."""
    host.run(f"mount --rbind {path} {path} && mount -o remount,bind,ro {path}")
    try:
        yield
    finally:
        host.run(f"umount -R {path}")


@pytest.mark.parametrize("release", RELEASES)
def test_a_full_or_read_only_disk_is_reported_and_changes_nothing(release, fresh_host, playbook):
    host = fresh_host(release)
    configure(host, '{\n    "labels": ["rack=7"]\n}\n')
    host.run(BYSTANDER)
    # Issue the certificates first, by a run that then cannot write the units.
    with full(host, UNITS):
        playbook("provision", host, check=False)
    before = engine(host)

    with full(host, STATE):
        was = everything(host)
        failed = playbook("provision", host, check=False)
        assert failed.failures == 1
        assert f"{STATE}/listener" in failed.message
        assert FULL in failed.message
        assert everything(host) == was
        assert engine(host) == before

    # The configuration can be written, and then the disk is full: there is no space for the unit or
    # a copy of the previous configuration.
    with full(host, "/etc/docker", pages=1), full(host, UNITS):
        was = everything(host)
        failed = playbook("provision", host, check=False)
        assert failed.failures == 1
        assert f"{UNITS}/docker.service.d" in failed.message
        assert FULL in failed.message
        assert BACK in failed.message
        assert everything(host) == was
        assert engine(host) == before

    with read_only(host, "/etc"):
        was = everything(host)
        failed = playbook("provision", host, check=False)
        assert failed.failures == 1
        assert "/etc" in failed.message
        assert "read-only" in failed.message.lower()
        assert everything(host) == was
        assert engine(host) == before

    # Only the directory of the new units: nothing is written, so that nothing has to be restored.
    with read_only(host, UNITS):
        was = everything(host)
        failed = playbook("provision", host, check=False)
        assert failed.failures == 1
        # Or of the directory of drop-ins in it, where that exists.
        assert f"The file system of {UNITS}" in failed.message
        assert "is mounted read-only" in failed.message
        assert BACK not in failed.message
        assert everything(host) == was
        assert engine(host) == before

    assert leftovers(host) == []
    host.run("systemctl daemon-reload")
    assert playbook("provision", host).changed > 0
    assert f"{GATEWAY}:2376" in listening(host)
    assert playbook("provision", host).changed == 0
    assert leftovers(host) == []


SLOW = """\
[Service]
ExecStartPre=/bin/sh -c 'if rm /run/slow 2>/dev/null; then touch /run/reached; sleep 4; fi'
"""


def start_and_reach(host, start_playbook, *arguments):
    """Start a run and wait until it has written its change and is restarting the engine."""
    host.run("rm -f /run/reached; touch /run/slow")
    run = start_playbook("provision", host, *arguments)
    host.run("timeout 110 sh -c 'until [ -e /run/reached ]; do sleep 0.05; done'")
    return run


@pytest.mark.parametrize("release", RELEASES)
def test_a_run_rolls_back_on_sigterm_or_a_lost_connection(
    release, fresh_host, playbook, start_playbook, controller
):
    host = fresh_host(release)
    host.run(f"mkdir -p {UNITS}/docker.service.d")
    host.write(f"{UNITS}/docker.service.d/slow.conf", SLOW)
    playbook("provision", host)
    host.run(BYSTANDER)
    before, was = engine(host), everything(host)

    run = start_and_reach(host, start_playbook, *OTHER_PORT)
    signal_module(host, "TERM")
    told = run.finish(check=False)
    assert told.failures == 1
    assert "SIGTERM" in told.message
    assert BACK in told.message
    assert engine(host).containers == before.containers
    assert everything(host) == was

    run = start_and_reach(host, start_playbook, *OTHER_PORT)
    lose_connection(controller)
    assert run.finish(check=False).failures == 1
    wait_for_module(host)
    assert engine(host).containers == before.containers
    assert everything(host) == was

    assert leftovers(host) == []
    playbook("provision", host, *OTHER_PORT)
    assert f"{GATEWAY}:{PORT}" in listening(host)
    assert f"{GATEWAY}:2376" not in listening(host)
    assert engine(host).containers == before.containers
    assert playbook("provision", host, *OTHER_PORT).changed == 0


@pytest.mark.parametrize("release", RELEASES)
def test_a_rollback_does_not_interrupt_clients(release, fresh_host, playbook, start_playbook):
    host = fresh_host(release)
    configure(host, LIVE_RESTORE)
    host.run(f"mkdir -p {UNITS}/docker.service.d")
    host.write(f"{UNITS}/docker.service.d/slow.conf", SLOW)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    client = ContinuousClient(host)
    # Another certificate with the same units: the engine is restarted, and again by the rollback.
    host.run(f"rm {SERVER}/cert.pem")
    run = start_and_reach(host, start_playbook)
    signal_module(host, "TERM")
    assert BACK in run.finish(check=False).message
    client.stop().check(cuts=2)
    # The restart of the rollback has loaded the certificate, as it should.
    assert playbook("provision", host).changed == 0


REFUSING = f"""\
[Service]
ExecStartPre=/bin/sh -c 'if ls {UNITS}/*:{PORT}.socket; then touch /run/reached; sleep 2; exit 1; fi'
"""
"""Make the engine fail to start with the change, for a reason that no validation can detect."""


@pytest.mark.parametrize("release", RELEASES)
def test_the_next_run_completes_an_interrupted_one(release, fresh_host, playbook, start_playbook):
    host = fresh_host(release)
    host.run(f"mkdir -p {UNITS}/docker.service.d")
    host.write(f"{UNITS}/docker.service.d/slow.conf", SLOW)
    playbook("provision", host)
    host.run(BYSTANDER)
    before = engine(host)
    run = start_and_reach(host, start_playbook, *OTHER_PORT)
    signal_module(host, "KILL")
    assert run.finish(check=False).failures == 1
    assert leftovers(host)
    done = playbook("provision", host, *OTHER_PORT)
    assert "run_interrupted" in reasons(done)
    assert f"{GATEWAY}:{PORT}" in listening(host)
    assert engine(host).containers == before.containers
    assert leftovers(host) == []
    assert playbook("provision", host, *OTHER_PORT).changed == 0


@pytest.mark.parametrize("release", RELEASES)
def test_the_next_run_undoes_a_change_that_keeps_the_engine_from_starting(
    release, fresh_host, playbook, start_playbook
):
    host = fresh_host(release)
    host.run(f"mkdir -p {UNITS}/docker.service.d")
    host.write(f"{UNITS}/docker.service.d/refuse.conf", REFUSING)
    playbook("provision", host)
    host.run(BYSTANDER)
    before, was = engine(host), everything(host)
    run = start_and_reach(host, start_playbook, *OTHER_PORT)
    signal_module(host, "KILL")
    assert run.finish(check=False).failures == 1
    host.run("timeout 60 sh -c 'until systemctl is-failed docker.service; do sleep 0.2; done'")
    failed = playbook("provision", host, *OTHER_PORT, check=False)
    assert failed.failures == 1
    assert BACK in failed.message
    assert engine(host).containers == before.containers
    assert everything(host) == was
    assert leftovers(host) == []
    assert playbook("provision", host).changed == 0
