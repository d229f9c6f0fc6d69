# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the client libraries in a wormhole, each with the container's variables and some changes.

Argument: the directory with the libraries of tests/requirements/clients.txt. Standard input: the
changes by case, as JSON; null removes a variable. Standard output: for each case and client, the
exit status and the output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

SDK = "import docker; docker.from_env(timeout=10).containers.list()"
AIODOCKER = """
import asyncio, aiodocker

async def main():
    async with aiodocker.Docker() as client:
        await asyncio.wait_for(client.containers.list(), 10)

asyncio.run(main())
"""
NODE = """
const read = (name) => require('fs').readFileSync(`${process.env.DOCKER_CERT_PATH}/${name}.pem`);
const url = process.env.DOCKER_HOST.replace('tcp:', 'https:') + '/_ping';
require('https')
  .get(url, { ca: read('ca'), cert: read('cert'), key: read('key') }, (answer) => answer.resume())
  .on('error', (error) => { console.error(error.code); process.exitCode = 1; });
"""
CLIENTS = {
    "cli": (["docker", "ps", "--quiet"], False),
    "sdk-debian": ([sys.executable, "-c", SDK], False),
    "sdk": ([sys.executable, "-c", SDK], True),
    "aiodocker": ([sys.executable, "-c", AIODOCKER], True),
    "node": (["node", "-e", NODE], False),
}
"""Commands, and whether they use the libraries of the directory."""


def run(client: str, changes: dict[str, str | None], libraries: str) -> dict[str, object]:
    command, uses_libraries = CLIENTS[client]
    variables = {**os.environ, **({"PYTHONPATH": libraries} if uses_libraries else {}), **changes}
    done = subprocess.run(
        command,
        env={name: value for name, value in variables.items() if value is not None},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    return {"status": done.returncode, "output": done.stdout[-2000:]}


def main() -> None:
    libraries = sys.argv[1]
    cases = json.load(sys.stdin)
    pairs = [(case, client) for case in cases for client in CLIENTS]
    with ThreadPoolExecutor(3) as pool:
        results = pool.map(lambda pair: run(pair[1], cases[pair[0]], libraries), pairs)
        print(json.dumps([[*pair, result] for pair, result in zip(pairs, results, strict=True)]))


if __name__ == "__main__":
    main()
