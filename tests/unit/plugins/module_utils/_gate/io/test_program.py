# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole program, packed and run as on a host, with sockets as systemd passes them to doors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.config import GateConfig, render_config
from ansible_collections.wormhole.docker.plugins.module_utils._gate.control import Request
from ansible_collections.wormhole.docker.plugins.module_utils._gate.identities import render_identity
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.asking import ask
from ansible_collections.wormhole.docker.plugins.module_utils._gate.limits import Limits
from ansible_collections.wormhole.docker.plugins.module_utils._gate.program_file import (
    ENTRY_POINT,
    pack_program,
    program_files,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._endpoint.io.test_probe import (
    Authority,
    write_identity,
)
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
os.execv(sys.executable, [sys.executable, "-I", "-S", "-B", *sys.argv[2:]])
"""

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="policies must belong to root")


DOOR = f"unix-{IDENTITY}"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The path of the program."""
    sources = ROOT / "plugins/module_utils"
    names = program_files(str(path.relative_to(sources)) for path in sources.rglob("*.py"))
    files = {target: (sources / name).read_bytes() for name, target in names.items()}
    path = tmp_path_factory.mktemp("program") / "wormhole-gate.pyz"
    path.write_bytes(pack_program({**files, "__main__.py": (ROOT / "files" / ENTRY_POINT).read_bytes()}))
    return path


class Host:
    """A directory with the configuration of the program, its sockets, and an engine."""

    def __init__(self, directory, program):
        self.directory = directory
        self.command = [sys.executable, "-I", "-S", "-B", str(program)]
        self.engine = StandIn(str(directory / "engine.sock"))
        (directory / "policies").mkdir()
        (directory / "run").mkdir(mode=0o700)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(directory / "notify"))
        self.notified.settimeout(20)
        self.configure()
        (directory / IDENTITY).mkdir()
        self.path = str(directory / IDENTITY / "docker.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.environment = {
            "NOTIFY_SOCKET": str(directory / "notify"),
            "RUNTIME_DIRECTORY": str(directory / "run"),
            "WATCHDOG_USEC": "600000",
            "PATH": os.environ["PATH"],
        }
        self.process = None

    def configure(self, **settings):
        config = GateConfig(
            self.engine.path, str(self.directory / "policies"), limits=Limits(drain_seconds=2), **settings
        )
        (self.directory / "gate.json").write_text(render_config(config))

    def allow(self, **policy):
        new = self.directory / "new"
        new.write_text(render_identity({"identity": IDENTITY, **policy}))
        new.replace(self.directory / "policies" / f"{IDENTITY}.json")

    def start(self, door=True):
        """Starts the program; and its door, as systemd does with the next connection."""
        self.process = subprocess.Popen(
            [*self.command, "serve", str(self.directory / "gate.json")],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.wait_for("READY=1")
        if door:
            assert self.door("add").wait(20) == 0

    def door(self, verb):
        """Starts the door."""
        number = str(self.listener.fileno())
        return subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, number, *self.command[4:], "door", verb, DOOR],
            env={**self.environment, "LISTEN_FDS": "1", "LISTEN_FDNAMES": f"unix.{IDENTITY}"},
            pass_fds=(self.listener.fileno(),),
        )

    def run(self, command):
        """Runs another command of the program; returns its exit status and output."""
        done = subprocess.run(
            [*self.command, command, str(self.directory / "gate.json")],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout.decode()

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
def host(program):
    directory = Path(tempfile.mkdtemp(prefix="gate"))
    found = Host(directory, program)
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


def test_a_door_waits_for_a_gate_that_is_about_to_start(host):
    host.allow(preset="observe")
    client = Client(host.path)
    client.send("GET /_ping")
    door = host.door("add")
    host.start(door=False)
    assert door.wait(20) == 0
    assert client.answer()[0] == 200


def test_a_door_that_stops_takes_its_socket_back(host):
    host.allow(preset="observe")
    host.start()
    kept = Client(host.path)
    assert kept.call("GET /_ping")[0] == 200
    assert host.door("remove").wait(20) == 0
    waiting = Client(host.path)
    waiting.send("GET /_ping")
    waiting.sock.settimeout(0.5)
    with pytest.raises(socket.timeout):
        waiting.answer()
    # Those that are connected do not notice.
    assert kept.call("GET /_ping")[0] == 200
    # The queue is systemd's, who passes it on again with its next client.
    assert host.door("add").wait(20) == 0
    waiting.sock.settimeout(10)
    assert waiting.answer()[0] == 200


def test_without_a_gate_a_door_stops_at_once(host):
    assert host.door("remove").wait(20) == 0


@pytest.mark.parametrize(
    "arguments", [["door"], ["door", "open", DOOR], ["door", "add", DOOR, "x"], ["doors"]]
)
def test_what_is_no_command_is_rejected(host, arguments):
    found = subprocess.run(
        [*host.command, *arguments], env=host.environment, stderr=subprocess.PIPE, check=False, timeout=60
    )
    assert found.returncode == 64


def test_a_door_without_a_socket_says_so(host):
    found = subprocess.run(
        [*host.command, "door", "add", DOOR], stderr=subprocess.PIPE, check=False, timeout=60
    )
    assert found.returncode == 1
    assert b"no sockets" in found.stderr


def issue(directory, host, authority):
    """Writes a server certificate where the configuration has it; returns its serial number."""
    leaf = authority.issue("gate", ["127.0.0.1"])
    host.configure(tls=str(write_identity(directory, authority, leaf)))
    return leaf[0].serial_number


def served_serial(address, directory):
    """The serial number of the certificate that is served at an address."""
    context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    plain = socket.create_connection(address, timeout=10)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
        return int(secure.getpeercert()["serialNumber"], 16)


def test_a_certificate_comes_is_replaced_and_is_removed_while_it_serves(host):
    authority, server = Authority(), host.directory / "server"
    host.configure(tls=str(server))
    code, said = host.run("certificate")
    assert (code, said.count("\n")) == (0, 1)
    assert f"{server}/cert.pem does not exist" in said
    host.allow(preset="observe")
    host.start()
    kept = Client(host.path)
    assert kept.call("GET /_ping")[0] == 200
    listener = socket.create_server(("127.0.0.1", 0))
    assert ask(Request("add", "tls-x", ("tls",)), [listener], str(host.directory / "run")) == ""
    address = listener.getsockname()
    issue(server, host, authority)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        served_serial(address, server)
    for _number in range(2):
        serial = issue(server, host, authority)
        assert host.run("reload") == (0, "")
        assert served_serial(address, server) == serial
    copies = host.directory / "run/tls"
    for name in ("ca.pem", "cert.pem", "key.pem"):
        assert stat.S_IMODE((copies / name).stat().st_mode) == 0o400
    # Half of a replacement is not used.
    other = authority.issue("gate", ["127.0.0.1"])
    write_identity(host.directory / "other", authority, other)
    (host.directory / "other/key.pem").replace(server / "key.pem")
    code, said = host.run("reload")
    assert (code, "do not belong together" in said) == (1, True)
    assert served_serial(address, server) == serial
    # The rest of it waits beside the certificate, as after a run that was killed.
    (host.directory / "other/cert.pem").replace(server / ".cert.pem.staged.new")
    assert host.run("reload") == (0, "")
    assert served_serial(address, server) == other[0].serial_number
    (server / "cert.pem").unlink()
    code, said = host.run("reload")
    assert (code, "cert.pem does not exist" in said) == (1, True)
    assert os.listdir(copies) == []
    with pytest.raises((ssl.SSLError, ConnectionError)):
        served_serial(address, server)
    assert kept.call("GET /_ping")[0] == 200


def test_a_reload_without_a_gate_fails(host):
    code, said = host.run("reload")
    assert (code, "does not answer" in said) == (1, True)


def test_a_malformed_configuration_is_named(host):
    (host.directory / "gate.json").write_text('{"engin": "/run/docker.sock"}')
    code, said = host.run("serve")
    assert (code, "engin" in said) == (2, True)
    # It is serve that reports it.
    assert host.run("certificate")[0] == 0
