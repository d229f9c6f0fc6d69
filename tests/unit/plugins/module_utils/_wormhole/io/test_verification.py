# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a wormhole counts as verified.

tests/integration connects from a container; here, a process with its own root directory does.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    EngineUnavailable,
    InvalidInput,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.io.reachability import (
    read_container_hosts,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.spec import WiringSpec
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.wire import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io.verification import (
    WormholeVerifier,
    check_refusal,
    connect_from_inside,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._endpoint.io.test_probe import (
    LOOPBACK,
    Authority,
    Lab,
    write_identity,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._endpoint.io.test_probe import (
    engine as serving,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import (
    IMAGE,
    FakeEngine,
)

REFUSED = VerificationFailed("tcp://172.17.0.1:2376 (port)", found="connection refused", remedy="Mend it")


class Connections:
    """Fails the first times, and remembers the processes."""

    def __init__(self, failures=0):
        self.failures = failures
        self.pids = []

    def __call__(self, pid, spec, wiring):
        self.pids.append(pid)
        if len(self.pids) <= self.failures:
            raise REFUSED


@pytest.fixture
def engine():
    return FakeEngine()


def verify(engine, connect, *, just_started, command=("sleep",), patience=0.5, settling=0.01, **host_config):
    identifier = engine.create_container(
        "agent", {"Image": IMAGE, "Cmd": list(command), "HostConfig": host_config}
    )
    engine.start_container(identifier)
    verifier = WormholeVerifier(engine, connect, patience=patience, settling=settling, pause=0.001)
    verifier.verify(identifier, WiringSpec(), Wiring("tcp://172.17.0.1:2376"), just_started)


def test_a_running_container_is_verified_once(engine):
    connections = Connections()
    verify(engine, connections, just_started=False)
    assert connections.pids == [4242]


@pytest.mark.parametrize("timeout", [0, 300])
def test_a_paused_container_is_not_awaited(engine, timeout):
    identifier = engine.create_container("agent", {"Image": IMAGE})
    engine.start_container(identifier)
    engine.pause_container(identifier)
    verifier = WormholeVerifier(engine, Connections())
    with pytest.raises(VerificationFailed, match="agent is paused, and its healthcheck does not run"):
        verifier.await_health(identifier, timeout)


@pytest.mark.parametrize("kind", [EngineUnavailable, InvalidInput, WormholeError])
def test_an_error_that_is_no_verdict_stays_what_it_is(engine, kind):
    def fail(pid, spec, wiring):
        raise kind("the engine", found="connection refused", remedy="Start it")

    with pytest.raises(
        WormholeError, match="^container agent: the engine: found connection refused. Start"
    ) as error:
        verify(engine, fail, just_started=False)
    assert error.type is kind


def test_a_container_that_was_just_started_gets_a_moment(engine):
    connections = Connections(failures=3)
    verify(engine, connections, just_started=True)
    assert len(connections.pids) == 4


def test_the_moment_ends(engine):
    with pytest.raises(
        VerificationFailed, match="container agent: tcp://.*found connection refused. Mend it"
    ):
        verify(engine, Connections(failures=10**9), just_started=True, patience=0.05)


def test_a_container_that_ran_before_gets_none(engine):
    connections = Connections(failures=1)
    with pytest.raises(VerificationFailed, match="connection refused"):
        verify(engine, connections, just_started=False)
    assert len(connections.pids) == 1


@pytest.mark.parametrize("host_config", [{}, {"RestartPolicy": {"Name": "always"}}])
def test_the_error_for_a_container_that_exits_quotes_its_log(engine, host_config):
    engine.log = "one\ntwo\n"
    with pytest.raises(VerificationFailed, match="keep running: it exited with exit code 1; .*one\ntwo"):
        verify(engine, Connections(), just_started=True, command=["false"], **host_config)


def test_a_container_that_exits_after_connecting_is_not_verified(engine):
    def end(pid, spec, wiring):
        engine.stop_container("agent")

    with pytest.raises(VerificationFailed, match="exited with exit code 137; its log is empty"):
        verify(engine, end, just_started=True, settling=60)


def test_a_container_that_was_restarted_meanwhile_is_not_verified(engine):
    def restart(pid, spec, wiring):
        engine._search("agent")["RestartCount"] = 1

    with pytest.raises(VerificationFailed, match="keep running"):
        verify(engine, restart, just_started=True, settling=60)


# --- from inside ----------------------------------------------------------------------------------

SLEEPER = "import os, sys, time; os.chroot(sys.argv[1]); print(flush=True); time.sleep(60)"


@pytest.fixture
def contained(tmp_path):
    """The root directory of a process of its own, and its process id."""
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(root)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        process.stdout.readline()
        yield root, process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="entering the namespaces of a process takes root")
@pytest.mark.parametrize(
    "owner, problem",
    [
        ("", ""),
        ("ci", ""),
        ("1234:5", ""),
        ("77", "/certs/key.pem in the container is not readable for user 77: Permission denied"),
        ("dev", "user dev"),
    ],
)
def test_the_identity_is_read_as_its_owner(contained, tmp_path, owner, problem):
    root, pid = contained
    (root / "etc").mkdir()
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\nci:x:1234:1234::/:/bin/sh\n")
    lab = Lab(tmp_path)
    write_identity(root / "certs", lab.authority, lab.authority.client())
    (root / "certs").chmod(0o755)
    for path in (root / "certs").iterdir():
        path.chmod(0o400 if path.name == "key.pem" else 0o444)
        os.chown(path, 1234, 0)
    spec = WiringSpec(certificate_path="/certs", identity_owner=owner)
    with serving(lab.context()) as port:
        wiring = Wiring(f"tcp://{LOOPBACK}:{port}", LOOPBACK, port)
        if not problem:
            connect_from_inside(pid, spec, wiring)
            return
        with pytest.raises(WormholeError, match=problem):
            connect_from_inside(pid, spec, wiring)


@pytest.mark.skipif(os.geteuid() != 0, reason="entering the namespaces of a process takes root")
@pytest.mark.parametrize("inside_is_valid", [True, False])
@pytest.mark.parametrize("path", ["/run/certs", "/var/run/certs"])
def test_the_certificate_in_the_container_is_used(contained, tmp_path, inside_is_valid, path):
    """The host's directory of that name may differ from the container's; so may a link's target."""
    root, pid = contained
    (root / "var").mkdir()
    (root / "var" / "run").symlink_to("/run")
    lab, stranger = Lab(tmp_path), Authority("stranger")
    good, bad = (lab.authority, lab.authority.client()), (stranger, stranger.client())
    inside, outside = (good, bad) if inside_is_valid else (bad, good)
    write_identity(root / "run" / "certs", *inside)
    host = write_identity(tmp_path / "host", *outside)
    spec = WiringSpec(identity_directory=host, certificate_path=path)
    with serving(lab.context()) as port:
        wiring = Wiring(f"tcp://{LOOPBACK}:{port}", LOOPBACK, port)
        if inside_is_valid:
            connect_from_inside(pid, spec, wiring)
            return
        with pytest.raises(VerificationFailed, match=rf"not in {path}/ca.pem.* recreate the container"):
            connect_from_inside(pid, spec, wiring)


def plant(path, kind, target):
    """Put something else in place of a file, as a container could."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(target)
    elif kind == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("this machine does not allow device files")
    else:
        path.write_bytes(b"")
        os.truncate(path, 1 << 40)


@pytest.mark.skipif(os.geteuid() != 0, reason="entering the namespaces of a process takes root")
@pytest.mark.parametrize("kind", ["pipe", "link", "device", "endless"])
@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
def test_a_container_cannot_have_another_file_used_as_its_identity(contained, tmp_path, kind, name):
    root, pid = contained
    lab = Lab(tmp_path)
    write_identity(root / "certs", lab.authority, lab.authority.client())
    # A file of the host that would do.
    host = write_identity(tmp_path / "host", lab.authority, lab.authority.client())
    plant(root / "certs" / name, kind, f"{host}/{name}")
    spec = WiringSpec(certificate_path="/certs")
    with serving(lab.context()) as port:
        wiring = Wiring(f"tcp://{LOOPBACK}:{port}", LOOPBACK, port)
        began = time.monotonic()
        with pytest.raises(WormholeError, match=name.replace(".", r"\.")):
            connect_from_inside(pid, spec, wiring)
    assert time.monotonic() - began < 20


@pytest.mark.skipif(os.geteuid() != 0, reason="entering the namespaces of a process takes root")
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("file", "inside"),
        ("directory linked inside", "inside"),
        ("directory linked outside", ""),
        ("link", ""),
        ("pipe", ""),
        ("device", ""),
        ("endless", ""),
        ("none", ""),
    ],
)
def test_a_containers_hosts_are_read_inside_its_root_directory(contained, tmp_path, table, expected):
    root, pid = contained
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "hosts").write_text("outside")
    real = root / ("real" if "inside" in table else "etc")
    if table == "directory linked outside":
        (root / "etc").symlink_to(outside)
    else:
        real.mkdir()
        (real / "hosts").write_text("inside")
    if table == "directory linked inside":
        (root / "etc").symlink_to("/real")
    elif table == "none":
        (real / "hosts").unlink()
    elif table in ("link", "pipe", "device", "endless"):
        plant(real / "hosts", table, outside / "hosts")
    began = time.monotonic()
    assert read_container_hosts(pid) == expected
    assert time.monotonic() - began < 4


@pytest.mark.skipif(os.geteuid() != 0, reason="entering the namespaces of a process takes root")
def test_a_containers_hosts_are_read_with_its_rights(tmp_path):
    """Not those of this process, which could read a file that the container cannot."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "hosts").write_text("secret")
    (root / "etc" / "hosts").chmod(0o400)
    program = SLEEPER.replace("print", "os.setgid(77); os.setuid(77); print")
    with subprocess.Popen([sys.executable, "-c", program, str(root)], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            assert read_container_hosts(process.pid) == ""
            (root / "etc" / "hosts").chmod(0o444)
            for directory in (root, *list(root.parents)[:4]):
                directory.chmod(directory.stat().st_mode | 0o011)
            assert read_container_hosts(process.pid) == "secret"
        finally:
            process.kill()


@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_wormhole_that_can_do_more_than_its_policy_is_reported(status):
    with pytest.raises(VerificationFailed) as caught:
        check_refusal(status, "unix:///run/wormhole/gate/agent/docker.sock")
    assert "wider than the policy" in str(caught.value)
    assert f"has status {status} instead of 403" in str(caught.value)


@pytest.mark.parametrize("status", [0, 403])
def test_a_refusal_proves_a_policy_and_no_answer_is_reported_elsewhere(status):
    check_refusal(status, "unix:///run/wormhole/gate/agent/docker.sock")
