#!/usr/bin/env bash
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Docker CLI 20.10.24 and Docker SDK for Python 7.2.0: what does `docker exec` say if the stream of a
# command ends while the command still runs, as when a proxy between client and engine is restarted?
#
# Seen: both take the end of the stream for the end of the command and then ask for its exit code,
# which is null as long as it runs. The CLI ends with status 0, as after a success. The SDK returns
# None. Neither says that the command still runs, which the same answer does.
#
# A Python server on a unix socket stands in for dockerd. Requires apt with the lists of Debian 12.

set -euo pipefail

work=$(mktemp -d)
server=
# shellcheck disable=SC2329  # the trap below calls it
clean_up() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work"

cat >server.py <<'EOS'
import http.server
import json
import socketserver
import time

CONTAINER = {
    "Id": "c" * 64, "Name": "/build", "Image": "sha256:" + "d" * 64, "Created": "2026-01-01T00:00:00Z",
    "State": {"Status": "running", "Running": True}, "Config": {"Tty": False, "Labels": {}, "Image": "build"},
    "HostConfig": {}, "NetworkSettings": {"Networks": {}, "Ports": {}},
}
EXEC = {"ID": "e" * 64, "ContainerID": "c" * 64, "Running": True, "ExitCode": None, "Pid": 7}
VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.24", "Version": "20.10.24", "Os": "linux", "Arch": "amd64"}
LINE = b"step 1 of 3\n"


class Engine(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "client"

    def log_message(self, *arguments):
        pass

    def answer(self, document, status=200):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path.endswith("/_ping"):
            self.answer("OK")
        elif "/exec/" in path:
            self.answer(EXEC)
        elif path.endswith("/containers/json"):
            self.answer([])
        elif "/containers/" in path:
            self.answer(CONTAINER)
        else:
            self.answer(VERSION)

    do_HEAD = do_GET

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/start"):
            # The command prints a line. Then the stream ends, without a word about the command.
            self.wfile.write(
                b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
                b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            )
            # The SDK loses what arrives together with the head, which is another matter.
            time.sleep(0.3)
            self.wfile.write(b"\x01\0\0\0" + len(LINE).to_bytes(4, "big") + LINE)
            self.close_connection = True
        else:
            self.answer({"Id": EXEC["ID"]}, 201)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


Server("engine.sock", Engine).serve_forever()
EOS
python3 server.py &
server=$!
for _ in {1..100}; do [[ ! -S engine.sock ]] || break; sleep 0.1; done

apt-get -qq -o APT::Sandbox::User=root download docker.io=20.10.24*
dpkg-deb -x docker.io_*.deb cli
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check docker==7.2.0

cat >sdk.py <<'EOS'
import docker

print(*docker.from_env().containers.get("build").exec_run("make"))
EOS
export HOME=$work DOCKER_HOST=unix://$work/engine.sock
unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
status=0
expect() { # what, words, command
    local seen
    seen=$({ "${@:3}" 2>&1 && echo "status 0" || echo "status $?"; } | tr '\n' ' ')
    printf '%s: %s\n' "$1" "$seen"
    [[ $seen == *"$2"* ]] || { printf 'CHANGED: expected %s\n' "$2"; status=1; }
}
expect 'Docker CLI 20.10.24' 'step 1 of 3 status 0' cli/usr/bin/docker exec build make
expect 'Docker SDK for Python 7.2.0' "None b'step 1 of 3\\n'" python/bin/python sdk.py
exit "$status"
