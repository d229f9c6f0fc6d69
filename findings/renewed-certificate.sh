#!/usr/bin/env bash
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Docker SDK for Python 7.2.0, aiodocker 0.27.0 and dockerode 5.0.1: which certificate does a client
# that has connected once present after cert.pem and key.pem were replaced, as at a renewal?
#
# Seen: the SDK for Python reads both files for each new connection, and presents the new
# certificate. aiodocker and dockerode read them once, when the client object is created, and
# present the old certificate on new connections, too.
#
# A Python server stands in for dockerd: it demands a client certificate, closes after each answer,
# and answers with the certificate's common name as its version. Requires node and npm.

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

issue() { # common name, extension
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" 2>/dev/null |
        openssl x509 -req -CA ca.pem -CAkey ca.key -days 30 -out "$1.pem" \
            -extfile <(printf '%s\nauthorityKeyIdentifier=keyid\n' "$2") 2>/dev/null
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ca \
    -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem 2>/dev/null
issue server subjectAltName=IP:127.0.0.1
issue old extendedKeyUsage=clientAuth
issue new extendedKeyUsage=clientAuth
mkdir certs
cp ca.pem certs/

cat >server.py <<'EOF'
import http.server
import json
import pathlib
import ssl


class Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        subject = dict(part[0] for part in self.connection.getpeercert()["subject"])
        answer = {"ApiVersion": "1.45", "MinAPIVersion": "1.24", "Version": subject["commonName"]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem", "server.key")
context.load_verify_locations("ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine)
server.socket = context.wrap_socket(server.socket, server_side=True)
pathlib.Path("draft").write_text(str(server.server_port))
pathlib.Path("draft").rename("port")
server.serve_forever()
EOF
python3 server.py &
server=$!
for _ in {1..600}; do [[ ! -e port ]] || break; sleep 0.1; done

python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check docker==7.2.0 aiodocker==0.27.0
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work/node" dockerode@5.0.1 >/dev/null

cat >renew.py <<'EOF'
import shutil


def use(name):
    shutil.copy(f"{name}.pem", "certs/cert.pem")
    shutil.copy(f"{name}.key", "certs/key.pem")
EOF
cat >sdk.py <<'EOF'
import docker
from renew import use

use("old")
client = docker.from_env()
before = client.version()["Version"]
use("new")
print(before, client.version()["Version"])
EOF
cat >aio.py <<'EOF'
import asyncio
import aiodocker
from renew import use


async def main():
    use("old")
    async with aiodocker.Docker() as client:
        before = (await client.version())["Version"]
        use("new")
        print(before, (await client.version())["Version"])


asyncio.run(main())
EOF
cat >rode.js <<'EOF'
const fs = require('fs');
const Docker = require('./node/node_modules/dockerode');
const use = (name) => {
  fs.copyFileSync(`${name}.pem`, 'certs/cert.pem');
  fs.copyFileSync(`${name}.key`, 'certs/key.pem');
};
(async () => {
  use('old');
  const client = new Docker();
  const before = (await client.version()).Version;
  use('new');
  console.log(before, (await client.version()).Version);
})();
EOF

port=$(<port)
export DOCKER_HOST=tcp://127.0.0.1:$port DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$work/certs
# Variables of the machine must not interfere with the clients, but pip and npm may need them.
unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE NODE_EXTRA_CA_CERTS DOCKER_CONTEXT
unset HTTPS_PROXY https_proxy ALL_PROXY all_proxy
export HOME=$work
status=0
expect() { # what, expected, command
    local seen
    seen=$("${@:3}" 2>&1 | tail -n 1)
    printf '%s: before and after the files are replaced: %s\n' "$1" "$seen"
    [[ $seen == "$2" ]] || { printf 'CHANGED: expected %s\n' "$2"; status=1; }
}
printf 'Python %s, Node.js %s\n' "$(python3 --version | cut -d' ' -f2)" "$(node --version)"
expect 'Docker SDK for Python 7.2.0' 'old new' python/bin/python sdk.py
expect 'aiodocker 0.27.0' 'old old' python/bin/python aio.py
expect 'dockerode 5.0.1' 'old old' node rode.js
exit "$status"
