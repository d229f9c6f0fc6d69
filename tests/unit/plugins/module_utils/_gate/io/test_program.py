# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole program, installed as on a host, with sockets as systemd passes them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.config import GateConfig, render_config
from ansible_collections.wormhole.docker.plugins.module_utils._gate.identities import render_identity
from ansible_collections.wormhole.docker.plugins.module_utils._gate.limits import Limits
from ansible_collections.wormhole.docker.plugins.module_utils._gate.units import PROGRAM, program_files
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    Client,
    StandIn,
    answer,
    soon,
)

ROOT = Path(__file__).resolve().parents[6]
LAUNCHER = """
import os, sys
for target, number in enumerate(map(int, sys.argv[1].split(",")), 3):
    os.dup2(number, target)
    os.set_inheritable(target, True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-I", "-B", *sys.argv[2:]])
"""

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="policies must belong to root")


class Host:
    """A directory with the program, its configuration and its sockets."""

    def __init__(self, directory):
        self.directory = directory
        self.engine = StandIn(str(directory / "engine.sock"))
        (directory / "policies").mkdir()
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(directory / "notify"))
        self.notified.settimeout(20)
        config = GateConfig(self.engine.path, str(directory / "policies"), limits=Limits(drain_seconds=2))
        (directory / "gate.json").write_text(render_config(config))
        self._install()
        (directory / IDENTITY).mkdir()
        self.path = str(directory / IDENTITY / "docker.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.process = None

    def _install(self):
        sources = ROOT / "plugins/module_utils"
        names = [str(path.relative_to(sources)) for path in sources.rglob("*.py")]
        base = self.directory / "program"
        for name, target in program_files(names).items():
            path = base / os.path.relpath(target, PROGRAM)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sources / name, path)
        shutil.copy(ROOT / "files/wormhole-gate/__main__.py", base / "__main__.py")

    def allow(self, **policy):
        new = self.directory / "new"
        new.write_text(render_identity({"identity": IDENTITY, **policy}))
        new.replace(self.directory / "policies" / f"{IDENTITY}.json")

    def start(self):
        arguments = [
            str(self.listener.fileno()),
            str(self.directory / "program"),
            str(self.directory / "gate.json"),
        ]
        environment = {
            "LISTEN_FDS": "1",
            "LISTEN_FDNAMES": f"unix.{IDENTITY}",
            "NOTIFY_SOCKET": str(self.directory / "notify"),
            "WATCHDOG_USEC": "600000",
            "PATH": os.environ["PATH"],
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, *arguments],
            env=environment,
            pass_fds=(self.listener.fileno(),),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.wait_for("READY=1")

    def wait_for(self, text):
        while True:
            if text in self.notified.recv(4096).decode().splitlines():
                return

    def stop(self):
        """Ends the program by SIGTERM; returns its output."""
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=20)[0].decode()
        assert self.process.returncode == 0, output
        self.process = None
        return output

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.engine.close()
        self.listener.close()
        self.notified.close()


@pytest.fixture
def host():
    directory = Path(tempfile.mkdtemp(prefix="gate"))
    found = Host(directory)
    yield found
    found.close()
    shutil.rmtree(directory)


def test_it_serves_obeys_signals_and_ends(host):
    host.allow(preset="observe")
    host.start()
    client = Client(host.path)
    assert client.call("GET /_ping") == (200, b"OK")
    host.wait_for("WATCHDOG=1")
    host.allow(preset="nonsense")
    host.process.send_signal(signal.SIGHUP)
    host.wait_for("RELOADING=1")
    host.wait_for("READY=1")
    assert client.is_closed()
    status, content = Client(host.path).call("GET /_ping")
    assert (status, "policy of ci cannot be read" in json.loads(content)["message"]) == (403, True)
    host.allow(preset="observe")
    assert Client(host.path).call("GET /_ping")[0] == 200
    records = [json.loads(line) for line in host.stop().splitlines()]
    calls = [
        (record["decision"], record["status"]) for record in records if record["route"] or record["status"]
    ]
    assert calls == [("allow", 200), ("deny", 403), ("allow", 200)]
    notes = [record["detail"] for record in records if record["decision"] == "note"]
    assert any("ci has no access" in note for note in notes)


def test_clients_wait_while_it_is_replaced(host):
    host.allow(preset="observe")
    host.start()
    kept = Client(host.path)
    assert kept.call("GET /_ping")[0] == 200
    host.stop()
    assert kept.is_closed()
    waiting = Client(host.path)
    waiting.send("GET /_ping")
    host.start()
    assert waiting.answer()[0] == 200


def test_a_running_call_is_finished_before_it_ends(host):
    host.allow(preset="observe")
    go_on = []

    def slow(connection):
        assert soon(lambda: go_on)
        connection.sendall(answer({}))
        return True

    host.engine.answers["GET /info"] = slow
    host.start()
    client = Client(host.path)
    client.send("GET /v1.44/info")
    assert soon(lambda: any("/info" in line for line in host.engine.lines()))
    host.process.send_signal(signal.SIGTERM)
    host.wait_for("STOPPING=1")
    go_on.append(True)
    assert client.answer()[0] == 200
    host.process.communicate(timeout=20)
    host.process = None


def test_without_sockets_it_does_not_start(host):
    environment = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-I", "-B", str(host.directory / "program"), str(host.directory / "gate.json")]
    found = subprocess.run(command, env=environment, stderr=subprocess.PIPE, check=False, timeout=60)
    assert found.returncode == 3
    assert b"no sockets" in found.stderr


def test_a_malformed_configuration_is_named(host):
    (host.directory / "gate.json").write_text('{"engin": "/run/docker.sock"}')
    command = [sys.executable, "-I", "-B", str(host.directory / "program"), str(host.directory / "gate.json")]
    found = subprocess.run(command, stderr=subprocess.PIPE, check=False, timeout=60)
    assert found.returncode == 2
    assert b"engin" in found.stderr
