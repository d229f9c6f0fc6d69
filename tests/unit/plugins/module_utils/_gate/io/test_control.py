# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control socket of a running gate, and what it adds and removes while the gate serves."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.control import Request, render_request
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.asking import Unavailable, ask
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.control import Control
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    Client,
    soon,
    staged,
)

STRANGER = """
import os, socket, sys
os.setuid(65534)
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.settimeout(5)
sock.connect(sys.argv[1])

try:
    sock.send(sys.argv[2].encode())
    sys.exit(sock.recv(10) != b"")
except (BrokenPipeError, ConnectionResetError):
    pass
"""


class Obedient:
    """A control socket that notes what it is asked for."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="gate"))
        self.seen = []
        self.answer = ""
        self.control = Control(str(self.directory), self.obey)
        self.control.start()

    def obey(self, request, listeners):
        self.seen.append((request, [found.getsockname() for _name, found in listeners]))
        for _name, found in listeners:
            found.close()
        return self.answer

    def send(self, content, numbers=()):
        """Sends bytes; returns the answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(10)
            sock.connect(str(self.directory / "control.sock"))
            socket.send_fds(sock, [content], numbers)
            return sock.recv(1000)


@pytest.fixture
def obedient():
    found = Obedient()
    yield found
    found.control.close()
    shutil.rmtree(found.directory)


def test_requests_and_sockets_arrive(obedient):
    listener = socket.create_server(("127.0.0.1", 0))
    request = Request("add", "tls-x", ("tls", "tls"))
    assert ask(request, [listener, listener], str(obedient.directory)) == ""
    obedient.answer = "No."
    assert ask(Request("reload"), (), str(obedient.directory)) == "No."
    assert obedient.seen == [(request, [listener.getsockname()] * 2), (Request("reload"), [])]
    listener.close()


def test_only_its_owner_can_reach_it(obedient):
    assert stat.S_IMODE((obedient.directory / "control.sock").stat().st_mode) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_not_answered(obedient):
    obedient.directory.chmod(0o755)
    path = obedient.directory / "control.sock"
    path.chmod(0o666)
    content = render_request(Request("reload")).decode()
    subprocess.run([sys.executable, "-c", STRANGER, str(path), content], check=True, timeout=60)
    assert obedient.seen == []
    assert b"problem" in obedient.send(render_request(Request("reload")))


def test_malformed_requests_are_rejected_and_their_sockets_closed(obedient):
    before = len(os.listdir("/proc/self/fd"))
    reader, writer = os.pipe()
    listener = socket.create_server(("127.0.0.1", 0))
    for content, numbers in (
        (b"{}", [listener.fileno()]),
        (render_request(Request("add", "d", ("tls",))), []),
        (render_request(Request("add", "d", ("tls",))), [listener.fileno()] * 2),
        (render_request(Request("add", "d", ("tls",))), [reader]),
        (render_request(Request("add", "d" * 10000, ("tls",))), [listener.fileno()]),
        (render_request(Request("add", "d", ("tls",) * 20)), [listener.fileno()] * 20),
    ):
        assert b"malformed" in obedient.send(content, numbers), content
    assert obedient.seen == []
    for number in (reader, writer):
        os.close(number)
    listener.close()
    assert soon(lambda: len(os.listdir("/proc/self/fd")) == before)


def test_without_a_gate_nobody_answers(tmp_path):
    with pytest.raises(Unavailable):
        ask(Request("reload"), (), str(tmp_path))


def test_a_gate_that_ends_does_not_answer(obedient):
    obedient.control.close()
    with pytest.raises(Unavailable):
        ask(Request("reload"), (), str(obedient.directory))


@pytest.fixture
def stage():
    with staged(preset="observe") as (engine, gate):
        yield engine, gate


def test_doors_come_and_go_without_a_notice_of_others(engine, gate, client):
    release = threading.Event()

    def slow(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
        release.wait(10)
        connection.sendall(b"}")
        return True

    engine.answers["GET /info"] = slow
    client.send("GET /v1.44/info")
    assert client.head()[0] == 200
    names = [f"door-{number}" for number in range(20)]
    for name in names:
        gate.allow(name, preset="observe")
        assert gate.server.add(f"unix-{name}", [gate.listen(name)])
        assert Client(gate.path.replace(IDENTITY, name)).call("GET /_ping") == (200, b"OK")
    for name in names:
        assert gate.server.remove(f"unix-{name}")
        with pytest.raises(ConnectionRefusedError):
            Client(gate.path.replace(IDENTITY, name))
    release.set()
    assert client.exactly(2) == b"{}"
    assert client.call("GET /_ping") == (200, b"OK")
    assert gate.server.remove("unix-unknown")


def test_a_door_that_comes_again_replaces_its_socket(gate):
    os.unlink(gate.path)
    listener = gate.listen(IDENTITY)
    assert gate.server.add(f"unix-{IDENTITY}", [listener])
    assert Client(gate.path).call("GET /_ping") == (200, b"OK")
    assert len(gate.server._doors[f"unix-{IDENTITY}"]) == 1


@pytest.mark.parametrize("name", ["unix.another", "unknown", "unix."])
def test_a_socket_that_names_no_identity_is_not_served(gate, name):
    _name, listener = gate.listen("third")
    assert gate.server.add("unix-third", [(name, listener)])
    with pytest.raises(ConnectionRefusedError):
        Client(gate.path.replace(IDENTITY, "third"))
    assert any(f"The socket {name} is not served" in record["detail"] for record in gate.records())


def test_what_does_not_listen_is_not_served(gate):
    ours, theirs = socket.socketpair()
    assert gate.server.add("tls-x", [("tls", theirs)])
    assert any("does not listen" in record["detail"] for record in gate.records())
    ours.close()


def test_a_server_that_has_stopped_takes_no_doors(gate, monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.wormhole.docker.plugins.module_utils._gate.io.server._ORDER_SECONDS", 0.2
    )
    gate.close()
    assert not gate.server.remove("unix-ci")
