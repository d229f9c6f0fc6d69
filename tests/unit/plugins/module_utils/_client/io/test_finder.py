# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the engine, with real sockets, certificates and servers on loopback."""

from __future__ import annotations

import contextlib
import http.server
import socketserver
import threading

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    EngineUnavailable,
    InvalidInput,
)
from ansible_collections.wormhole.docker.plugins.module_utils._client.io.finder import find_engine
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._endpoint.io.test_probe import (
    LOOPBACK,
    Authority,
    Lab,
    engine,
    write_identity,
)


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(self.server.status)
        self.end_headers()

    def address_string(self):
        return "unix"

    def log_message(self, *arguments):
        """Log nothing."""


@contextlib.contextmanager
def unix_engine(path, status=200):
    """Answer at a unix socket."""
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        server.status = status
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield str(path)
        finally:
            server.shutdown()
            thread.join()


def find(environment, *, sockets=(), addresses=(LOOPBACK,), **options):
    defaults = {"certificate_path": "", "port": 2376, "insecure_plaintext_port": None, "timeout": 3.0}
    options = {**defaults, "sockets": sockets, "addresses": lambda: tuple(addresses), **options}
    return find_engine(environment, **options)


def served(lab, name=LOOPBACK):
    return engine(lab.context(lab.authority.issue("dockerd", [name])))


def test_a_socket_that_answers_is_taken(tmp_path):
    with unix_engine(tmp_path / "a.sock", 500) as broken, unix_engine(tmp_path / "b.sock") as right:
        found = find({}, sockets=(str(tmp_path / "absent"), broken, right))
    assert found.docker_host == f"unix://{right}"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_out_of_range_is_rejected(tmp_path, timeout):
    with unix_engine(tmp_path / "a.sock") as path, pytest.raises(InvalidInput, match="timeout of a step"):
        find({}, sockets=(path,), timeout=timeout)


def test_an_address_is_taken_if_it_verifies(lab):
    with served(lab) as port:
        found = find({"DOCKER_CERT_PATH": str(lab.identity)}, port=port)
    assert (found.docker_host, found.directory) == (f"tcp://{LOOPBACK}:{port}", str(lab.identity))


def test_an_address_is_not_taken_if_it_does_not_verify(lab, tmp_path):
    other = Authority("another CA")
    stranger = write_identity(tmp_path / "stranger", other, other.client())
    with served(lab) as port, pytest.raises(EngineUnavailable, match=f"tcp://{LOOPBACK}:{port} "):
        find({"DOCKER_CERT_PATH": str(stranger)}, port=port)
    with served(lab, "192.0.2.1") as port, pytest.raises(EngineUnavailable, match="192.0.2.1"):
        find({"DOCKER_CERT_PATH": str(lab.identity)}, port=port)


def test_an_engine_of_the_environment_is_the_only_candidate(lab, tmp_path):
    named = {"DOCKER_HOST": f"unix://{tmp_path}/absent", "DOCKER_CERT_PATH": str(lab.identity)}
    with served(lab) as port, unix_engine(tmp_path / "a.sock") as right:
        with pytest.raises(
            EngineUnavailable, match="absent.*No such file.*[.] Correct DOCKER_HOST"
        ) as caught:
            find(named, sockets=(right,), port=port)
        assert str(port) not in str(caught.value)
        named["DOCKER_HOST"] = f"tcp://{LOOPBACK}:{port}"
        assert find({**named, "DOCKER_TLS_VERIFY": "1"}, sockets=(right,)).port == port


def test_plaintext_is_tried_only_if_a_port_is_set(tmp_path):
    with engine() as port:
        with pytest.raises(EngineUnavailable, match="no ca.pem, cert.pem and key.pem in /certs"):
            find({})
        assert find({}, insecure_plaintext_port=port).transport == "tcp"
