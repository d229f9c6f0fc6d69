# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Client libraries in a wormhole, with variables that interfere with them; see docs/clients.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from hosts import WORMHOLE
from lab import Host, cache, client_image
from lab.paths import LabPaths

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "tests/requirements/clients.txt"
PROGRAM = ROOT / "tests/system/clients/variables.py"
PYTHON = "3.13"
"""The Python of the image, Debian 13's, for which the libraries are downloaded."""

PLACE = "/srv/libraries"
CLIENT = {
    **WORMHOLE,
    "image": client_image.IMAGE,
    "command": "sleep infinity",
    "volumes": [f"{PLACE}:{PLACE}:ro"],
}
"""A wormhole with the clients."""

PROXY = "http://127.0.0.1:9"
"""A proxy at which nothing listens."""

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
CASES: dict[str, dict[str, str | None]] = {
    "as launched": {},
    "ALL_PROXY": {"ALL_PROXY": PROXY, "NO_PROXY": "*"},
    "HTTPS_PROXY": {"HTTPS_PROXY": PROXY},
    "HTTPS_PROXY, NO_PROXY with a port": {"HTTPS_PROXY": PROXY, "NO_PROXY": "172.17.0.1:2376"},
    "HTTPS_PROXY, NO_PROXY with a range": {"HTTPS_PROXY": PROXY, "NO_PROXY": "172.16.0.0/12"},
    "REQUESTS_CA_BUNDLE": {"REQUESTS_CA_BUNDLE": BUNDLE},
    "CURL_CA_BUNDLE": {"CURL_CA_BUNDLE": BUNDLE},
    "another CA": {"DOCKER_CERT_PATH": f"{PLACE}/another-ca"},
    "another CA, NODE_TLS_REJECT_UNAUTHORIZED": {
        "DOCKER_CERT_PATH": f"{PLACE}/another-ca",
        "NODE_TLS_REJECT_UNAUTHORIZED": "0",
    },
    "no key.pem": {"DOCKER_CERT_PATH": f"{PLACE}/no-key"},
    "DOCKER_TLS_VERIFY=0": {"DOCKER_TLS_VERIFY": "0"},
    "a current context": {"HOME": f"{PLACE}/home"},
    "a current context, no DOCKER_CONTEXT": {"HOME": f"{PLACE}/home", "DOCKER_CONTEXT": None},
}
"""Changes of the wormhole's variables, by title."""

UNKNOWN_CA = "certificate signed by unknown authority"
NO_ISSUER = "unable to get local issuer certificate"
PLAINTEXT = "Client sent an HTTP request to an HTTPS server"
EXPECTED: dict[str, dict[str, str]] = {
    "as launched": {},
    "ALL_PROXY": {"cli": "proxy: unknown scheme: http"},
    "HTTPS_PROXY": {"cli": "Cannot connect to the Docker daemon", "sdk": "proxy", "sdk-debian": "proxy"},
    "HTTPS_PROXY, NO_PROXY with a port": {"sdk": "proxy", "sdk-debian": "proxy"},
    "HTTPS_PROXY, NO_PROXY with a range": {},
    "REQUESTS_CA_BUNDLE": {"sdk": NO_ISSUER, "sdk-debian": NO_ISSUER},
    "CURL_CA_BUNDLE": {"sdk": NO_ISSUER, "sdk-debian": NO_ISSUER},
    "another CA": {
        "cli": UNKNOWN_CA,
        "sdk": NO_ISSUER,
        "sdk-debian": NO_ISSUER,
        "aiodocker": NO_ISSUER,
        "node": "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    },
    "another CA, NODE_TLS_REJECT_UNAUTHORIZED": {
        "cli": UNKNOWN_CA,
        "sdk": NO_ISSUER,
        "sdk-debian": NO_ISSUER,
        "aiodocker": NO_ISSUER,
    },
    "no key.pem": {
        "cli": "tls: (certificate required|bad certificate)",
        "sdk": "Path to a certificate and key files must be provided",
        "sdk-debian": "Path to a certificate and key files must be provided",
        "aiodocker": "No such file or directory",
        "node": "no such file or directory, open .*/no-key/key.pem",
    },
    "DOCKER_TLS_VERIFY=0": {"aiodocker": PLAINTEXT},
    "a current context": {},
    "a current context, no DOCKER_CONTEXT": {
        "aiodocker": "Cannot connect to Docker Engine via tcp://127.0.0.1:9"
    },
}
"""What the clients that fail print. All others connect."""


def prepare(host: Host, paths: LabPaths) -> None:
    """Bring the image, the libraries, and directories for :data:`CASES` to a host."""
    with client_image.ensure_archive(paths, print).open("rb") as archive:
        subprocess.run(host.ssh_argv("docker", "load"), stdin=archive, check=True, timeout=300)
    key = cache.key((REQUIREMENTS.read_text(), PYTHON))
    archive_path = cache.build_once(
        paths.cache / f"libraries-{key}.tar", _download, "the client libraries", print
    )
    host.run(f"mkdir -p {PLACE}/lib")
    with archive_path.open("rb") as archive:
        subprocess.run(
            host.ssh_argv("tar", "-x", "-C", f"{PLACE}/lib"), stdin=archive, check=True, timeout=300
        )
    host.write(f"{PLACE}/variables.py", PROGRAM.read_text())
    create = "context create elsewhere --docker host=tcp://127.0.0.1:9"
    host.run(f"HOME={PLACE}/home docker {create}")
    # Docker CLI 20.10 creates no context while the current one does not exist.
    host.write(f"{PLACE}/home/.docker/config.json", json.dumps({"currentContext": "elsewhere"}))


def spoil_certificates(host: Host, directory: str) -> None:
    """Copy an identity: once without its key, and once with another CA."""
    host.run(
        f"cd {PLACE}; mkdir no-key another-ca; cp {directory}/*.pem another-ca; cp {directory}/c*.pem no-key;"
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=another -keyout /dev/null -out another-ca/ca.pem"
    )


def run_clients(host: Host, container: str) -> dict[str, dict[str, str]]:
    """Return the output of each client that fails, by case."""
    line = f"docker exec -i {container} python3 {PLACE}/variables.py {PLACE}/lib"
    done = subprocess.run(
        host.ssh_argv(line), input=json.dumps(CASES), capture_output=True, text=True, check=True, timeout=300
    )
    failed: dict[str, dict[str, str]] = {case: {} for case in CASES}
    for case, client, result in json.loads(done.stdout):
        if result["status"] != 0:
            failed[case][client] = result["output"]
    return failed


def recognized(failed: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Replace each output by the words of :data:`EXPECTED` that it contains."""

    def words(case: str, client: str, output: str) -> str:
        expected = EXPECTED[case].get(client, "")
        found = expected and re.search(expected, output, re.IGNORECASE)
        return expected if found else output

    return {
        case: {client: words(case, client, output) for client, output in clients.items()}
        for case, clients in failed.items()
    }


def _download(draft: Path) -> None:
    folder = draft.with_name(f"{draft.name}.d")
    cache.remove(folder)
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-compile"]
    platforms = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")
    pip += ["--target", str(folder), "--only-binary=:all:", "--no-deps", f"--python-version={PYTHON}"]
    pip += [f"--platform={platform}" for platform in platforms]
    try:
        subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True, timeout=300)
        with tarfile.open(draft, "w") as archive:
            archive.add(folder, arcname=".")
    finally:
        cache.remove(folder)
