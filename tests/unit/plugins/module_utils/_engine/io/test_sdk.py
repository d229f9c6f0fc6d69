# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The adapter's own part: what it asks, and how it tells failures apart. What engines answer is the
contract's."""

from __future__ import annotations

import io
import json
import socketserver
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    EngineUnavailable,
    InvalidInput,
    MissingRequirement,
)
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io import sdk
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io.sdk import Engine, parse_socket_path

FULL_ID = "ab" * 32


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null") if length else None
        self.server.requests.append((self.command, url.path, parse_qs(url.query), body))
        key = url.path.partition("/v1.")[2].partition("/")[2] or url.path.strip("/")
        status, answer = self.server.answers.get(key, (404, {"message": "page not found"}))
        if isinstance(answer, bytes):
            content = answer
        else:
            content = json.dumps(answer).encode() if answer is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *arguments):
        pass

    def address_string(self):
        return "unix"


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def server(tmp_path):
    server = Server(str(tmp_path / "docker.sock"), Handler)
    server.requests = []
    server.answers = {"version": (200, {"ApiVersion": "1.41"})}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def engine(server):
    engine = Engine(f"unix://{server.server_address}", timeout=5)
    yield engine
    engine.close()


def test_the_engines_own_api_version_is_spoken(server, engine):
    server.answers["info"] = (200, {"Name": "x"})
    assert engine.info() == {"Name": "x"}
    assert server.requests[-1][:2] == ("GET", "/v1.41/info")


def test_an_engine_that_is_too_old_is_refused(server):
    server.answers["version"] = (200, {"ApiVersion": "1.40"})
    with pytest.raises(
        EngineUnavailable, match=r"expected API 1.41 or later \(Docker 20.10\), found API 1.40"
    ):
        Engine(f"unix://{server.server_address}")


def test_a_container_that_only_starts_with_the_name_is_none(server, engine):
    server.answers["containers/abab/json"] = (200, {"Id": FULL_ID, "Name": "/other"})
    server.answers["containers/other/json"] = (200, {"Id": FULL_ID, "Name": "/other"})
    server.answers[f"containers/{FULL_ID}/json"] = (200, {"Id": FULL_ID, "Name": "/other"})
    assert engine.find_container("abab") is None
    assert engine.find_container("other")["Id"] == FULL_ID
    assert engine.find_container(FULL_ID)["Id"] == FULL_ID


def test_a_body_is_sent_as_it_is(server, engine):
    server.answers["containers/create"] = (201, {"Id": FULL_ID, "Warnings": []})
    body = {"Image": "a", "HostConfig": {"Init": None}}
    assert engine.create_container("name", body, platform="linux/arm64") == FULL_ID
    query = {"name": ["name"], "platform": ["linux/arm64"]}
    assert server.requests[-1] == ("POST", "/v1.41/containers/create", query, body)


def test_removing_spares_volumes_unless_asked(server, engine):
    server.answers["containers/a"] = (204, None)
    engine.remove_container("a")
    engine.remove_container("a", force=True, volumes=True)
    assert [request[2] for request in server.requests[-2:]] == [
        {"force": ["0"], "v": ["0"]},
        {"force": ["1"], "v": ["1"]},
    ]


def test_the_words_of_the_engine_are_told_with_what_was_tried(server, engine):
    server.answers["containers/a/start"] = (500, {"message": "driver failed"})
    with pytest.raises(EngineUnavailable, match="^starting the container a: driver failed$"):
        engine.start_container("a")


def test_an_answer_that_is_no_json_is_told(server, engine):
    server.answers["containers/a/start"] = (502, None)
    with pytest.raises(EngineUnavailable, match="^starting the container a: status 502"):
        engine.start_container("a")


def test_stopping_waits_as_long_as_the_container_may_take(server, engine, monkeypatch):
    seen = []
    monkeypatch.setattr(engine._client, "request", lambda *a, **k: seen.append(k["timeout"]) or _Answer({}))
    engine.stop_container("a", timeout=300)
    monkeypatch.setattr(engine, "find_container", lambda container: {"Config": {"StopTimeout": 40}})
    engine.stop_container("a")
    assert seen == [305, 45]


@pytest.mark.parametrize("created_with, timeout", [(None, -1), (40, -1), (-1, None)])
def test_a_container_that_stops_as_late_as_it_likes_is_waited_for(
    server, engine, monkeypatch, created_with, timeout
):
    """An hour is longer than any patience with an engine that has an answer."""
    seen = []
    monkeypatch.setattr(engine._client, "request", lambda *a, **k: seen.append(k["timeout"]) or _Answer({}))
    monkeypatch.setattr(engine, "find_container", lambda container: {"Config": {"StopTimeout": created_with}})
    engine.stop_container("a", timeout=timeout)
    assert seen[0] > 3600


def test_no_socket_means_no_docker(tmp_path):
    with pytest.raises(
        EngineUnavailable, match="docker.sock does not exist: Docker is not installed, or does not run"
    ):
        Engine(f"unix://{tmp_path}/docker.sock")


def test_a_socket_that_nobody_listens_on_is_told(tmp_path):
    path = tmp_path / "docker.sock"
    Server(str(path), Handler).server_close()
    with pytest.raises(EngineUnavailable, match="Connection refused. See the state of dockerd"):
        Engine(f"unix://{path}")


def test_a_socket_that_may_not_be_opened_asks_for_become(server, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(EngineUnavailable, match="permission denied. Run the task with become: true"):
        Engine(f"unix://{server.server_address}")


def test_without_the_sdk_the_package_and_the_interpreter_are_named(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "docker.api.client", None)
    with pytest.raises(MissingRequirement, match="python3-docker") as caught:
        Engine(f"unix://{server.server_address}")
    assert sys.executable in str(caught.value)


def test_an_sdk_that_does_not_fit_its_libraries_is_told_from_an_engine_that_fails(server, monkeypatch):
    from docker.api import client

    def misfit(*arguments, **options):
        raise client.DockerException(
            "Error while fetching server API version: Not supported URL scheme http+docker"
        )

    monkeypatch.setattr(client, "APIClient", misfit)
    with pytest.raises(MissingRequirement, match="Install docker 7.1 or later"):
        Engine(f"unix://{server.server_address}")


@pytest.mark.parametrize(
    "docker_host", ["", "tcp://172.17.0.1:2376", "unix://relative", "/var/run/docker.sock", "unix:"]
)
def test_only_a_socket_of_this_host_is_accepted(docker_host):
    with pytest.raises(InvalidInput, match="^docker_host"):
        parse_socket_path(docker_host)


class _Answer:
    status_code = 204

    def __init__(self, content):
        self._content = content

    def json(self):
        return self._content


# --- what is large --------------------------------------------------------------------------------


def framed(*parts):
    return b"".join(b"\1\0\0\0" + len(part).to_bytes(4, "big") + part for part in parts)


def serve_log(server, content, *, tty=False):
    server.answers[f"containers/{FULL_ID}/json"] = (
        200,
        {"Id": FULL_ID, "Name": "/x", "Config": {"Tty": tty}},
    )
    server.answers[f"containers/{FULL_ID}/logs"] = (200, content)


def test_the_log_is_read_without_the_headers_of_its_parts(server, engine):
    serve_log(server, framed(b"one\n", b"", b"two\n"))
    assert engine.container_logs(FULL_ID, tail=2) == "one\ntwo\n"
    assert server.requests[-1][2] == {"stdout": ["1"], "stderr": ["1"], "tail": ["2"]}
    serve_log(server, b"one\r\n", tty=True)
    assert engine.container_logs(FULL_ID, tail=None) == "one\r\n"


def test_headers_are_found_wherever_the_parts_of_the_answer_end():
    content = framed(b"one", b"", b"two", b"x" * 300)
    for size in range(1, len(content)):
        chunks = [content[at : at + size] for at in range(0, len(content), size)]
        assert b"".join(sdk.without_headers(chunks)) == b"onetwo" + b"x" * 300


def test_a_driver_that_keeps_no_log_has_an_empty_one(server, engine):
    serve_log(server, b"")
    server.answers[f"containers/{FULL_ID}/logs"] = (501, {"message": "does not support reading"})
    assert engine.container_logs(FULL_ID, tail=None) == ""


@pytest.mark.parametrize("tty", [False, True])
def test_only_the_end_of_a_large_log_is_kept(server, engine, monkeypatch, tty):
    monkeypatch.setattr(sdk, "_LARGEST_LOG", 1000)
    parts = [b"%06d " % number for number in range(100_000)]
    serve_log(server, b"".join(parts) if tty else framed(*parts), tty=tty)
    assert engine.container_logs(FULL_ID, tail=None) == b"".join(parts)[-1000:].decode()


def archive_of(size, kind=tarfile.REGTYPE):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("passwd")
        member.type, member.size = kind, size
        archive.addfile(member, io.BytesIO(b"x" * size))
    return packed.getvalue()


def test_a_file_is_read_from_its_archive(server, engine):
    server.answers[f"containers/{FULL_ID}/archive"] = (200, archive_of(3))
    assert engine.read_container_file(FULL_ID, "/etc/passwd") == b"xxx"
    server.answers[f"containers/{FULL_ID}/archive"] = (200, archive_of(0, tarfile.DIRTYPE))
    assert engine.read_container_file(FULL_ID, "/etc/passwd") is None


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (archive_of(6 << 20), "it is larger than 4 MiB"),
        (b"no archive", "reading /etc/passwd in the container"),
    ],
)
def test_a_large_file_and_a_broken_archive_end_in_a_message(server, engine, content, found):
    server.answers[f"containers/{FULL_ID}/archive"] = (200, content)
    with pytest.raises(EngineUnavailable, match=found):
        engine.read_container_file(FULL_ID, "/etc/passwd")
