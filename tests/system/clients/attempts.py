# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run all clients at the same time, inside the container that they share.

Arguments: the directory with certificates, and the addresses that each client connects to. Standard
output: the results as JSON, a list of client, address, exit status and both streams.

A client gets three arguments: the address, the address with the port as in a URL, and the
directory. It prints the engine's version.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
PORT = 2376
COMMANDS = {
    "curl": [HERE / "curl.sh"],
    "docker-cli": [HERE / "docker-cli.sh"],
    "docker-sdk": [sys.executable, HERE / "docker-sdk.py"],
    "gnutls": [HERE / "gnutls.sh"],
    # A short-lived JVM starts twice as fast with its simpler compiler and collector.
    "java": [
        "/usr/lib/jvm/default-java/bin/java",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-cp",
        "/tmp",
        "JavaClient",
    ],
    "node": ["node", HERE / "node.js"],
    "openssl": [HERE / "openssl.sh"],
}


def attempt(client: str, address: str, certificates: str) -> dict[str, object]:
    endpoint = f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"
    done = subprocess.run(
        [*COMMANDS[client], address, endpoint, certificates],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    return {
        "client": client,
        "address": address,
        "status": done.returncode,
        "stdout": done.stdout,
        "stderr": done.stderr,
    }


def main() -> None:
    certificates, *addresses = sys.argv[1:]
    pairs = [(client, address) for client in COMMANDS for address in addresses]
    with ThreadPoolExecutor(4) as pool:
        print(json.dumps(list(pool.map(lambda pair: attempt(*pair, certificates), pairs))))


if __name__ == "__main__":
    main()
