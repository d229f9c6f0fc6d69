# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of the lab with all ways to its engine: directly, by the gate, and by the peer."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.gate import calls, peer
from lab import Host, Lab

IDENTITY = "bench"
"""The identity whose calls are measured. Its preset is ci."""
IMAGE, LARGE = "wormhole-lab/busybox:1", "bench/large:1"
ARCHIVE = "/srv/bench/large.tar"
SIZE = 1 << 30
_FOLDER = "/srv/bench"
_PROGRAM = f"{_FOLDER}/calls.py"
_ENGINE_PORT, _PEER_PORT = 2376, 2379
_TIMEOUT = 1800
_GATEWAY = "172.17.0.1"

_SERVER = f"""
set -e; umask 077; cd /srv/gate
openssl req -x509 -CA ca.pem -CAkey ca.key -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=server -addext basicConstraints=critical,CA:false -addext extendedKeyUsage=serverAuth \
    -addext subjectAltName=IP:{_GATEWAY} -keyout {_FOLDER}/key.pem -out {_FOLDER}/cert.pem
cat {_FOLDER}/cert.pem {_FOLDER}/key.pem >{peer.SERVER}
"""
_ENGINE = f"""
set -e; mkdir -p /etc/systemd/system/docker.service.d
command=$(grep ^ExecStart= /lib/systemd/system/docker.service)
printf '[Service]\\nExecStart=\\n%s\\n' "$command -H tcp://{_GATEWAY}:{_ENGINE_PORT} --tlsverify \
--tlscacert /srv/gate/ca.pem --tlscert {_FOLDER}/cert.pem --tlskey {_FOLDER}/key.pem" \
    >/etc/systemd/system/docker.service.d/bench.conf
systemctl daemon-reload; systemctl restart docker.service
"""
CONTAINERS = 10


def socket_path(identity: str) -> str:
    """Path of an identity's socket on the host."""
    return f"/run/wormhole/gate/{identity}/docker.sock"


def crowd_names(number: int) -> list[str]:
    """Names of the identities of the row about memory."""
    return [f"crowd-{index:02}" for index in range(number)]


class Stage:
    """The host.

    Args:
        lab: runs the host.
        host: a new one with Docker.
        collections: directory with ``ansible_collections``.
    """

    def __init__(self, lab: Lab, host: Host, collections: Path) -> None:
        self.host = host
        folder = str(Path(__file__).resolve().parents[2] / "system")
        if folder not in sys.path:
            sys.path.insert(0, folder)
        gates, packages = importlib.import_module("gates"), importlib.import_module("packages")
        self.gate = gates.Gate(host, collections)
        self._tls = str(gates.TLS).rpartition(":")
        packages.install_with_dependencies(lab, host, "haproxy")

    def prepare(self, crowd: int) -> None:
        """Install the gate and the peer, and have the engine serve TLS.

        Args:
            crowd: number of further identities.
        """
        host = self.host
        names = crowd_names(crowd)
        self.gate.install(dict.fromkeys([IDENTITY, *names], 0), tls=True)
        fingerprint = self.gate.certificate(IDENTITY)
        self.gate.permit(IDENTITY, "ci", fingerprint, powers={"image.save": "all", "image.load": "all"})
        for name in names:
            self.gate.permit(name, "ci")
        host.run(f"mkdir -p {_FOLDER}; chmod 0755 {_FOLDER}; {_SERVER}")
        host.write(_PROGRAM, Path(calls.__file__).read_text(encoding="utf-8"))
        host.run(_ENGINE)
        self._start_peer()
        # The identity owns all containers, so its lists are as long as the engine's.
        run = f"docker -H unix://{socket_path(IDENTITY)} run -d {IMAGE} sleep 100000"
        host.run(f"for number in $(seq {CONTAINERS}); do {run} || exit 1; done")

    def _start_peer(self) -> None:
        self.host.write(peer.CONFIGURATION, peer.render(f"{_GATEWAY}:{_PEER_PORT}", "/srv/gate/ca.pem"))
        self.host.run(
            "systemctl disable --now haproxy.service; "
            f"systemd-run --unit {peer.UNIT} -E ALLOW=1 -p LogRateLimitIntervalSec=0 -p LimitNOFILE=32768 "
            f"haproxy -W -db -f {peer.CONFIGURATION}; "
            f"timeout 20 sh -c 'until [ -S {peer.SOCKET} ]; do sleep 0.1; done'"
        )

    def make_large_image(self) -> None:
        """Make an image of one GiB that does not compress, and its archive."""
        write = f"dd if=/dev/urandom of=/large bs=1048576 count={SIZE >> 20}"
        self.host.run(
            f"docker run --name large {IMAGE} sh -c '{write} 2>/dev/null' && docker commit large {LARGE} && "
            f"docker rm large && docker save -o {ARCHIVE} {LARGE}",
            timeout=_TIMEOUT,
        )

    def container(self) -> str:
        """Return the ID of a container."""
        return str(self.host.run("docker ps -q --no-trunc | head -n1").stdout).strip()

    def unix(self) -> dict[str, Any]:
        """The ways by unix sockets."""
        return {
            "engine": {"unix": "/run/docker.sock"},
            "gate": {"unix": socket_path(IDENTITY)},
            "peer": {"unix": peer.SOCKET},
        }

    def tls(self) -> dict[str, Any]:
        """The ways by TLS."""
        address, _colon, port = self._tls
        return {
            "engine": {"tls": [_GATEWAY, _ENGINE_PORT]},
            "gate": {"tls": [address, int(port)]},
            "peer": {"tls": [_GATEWAY, _PEER_PORT]},
        }

    def measure(self, task: str, **arguments: Any) -> Mapping[str, float]:
        """Run a task of calls.py on the host, and return its result."""
        done = self.host.run(
            ["python3", _PROGRAM], input=json.dumps({"task": task, **arguments}), timeout=_TIMEOUT
        )
        found: Mapping[str, float] = json.loads(done.stdout)
        return found
