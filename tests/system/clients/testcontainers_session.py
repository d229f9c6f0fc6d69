# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use Testcontainers as a test would, and leave everything behind, as a test that is killed would."""

from __future__ import annotations

import os

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import wait_for_logs

IMAGE = "wormhole-lab/busybox:1"
COMMAND = ["sh", "-c", "echo ready; trap exit TERM; while :; do sleep 0.2; done"]

network = Network().create()
container = DockerContainer(IMAGE).with_command(COMMAND).with_network(network).with_network_aliases("db")
container = (
    container.with_exposed_ports(5432).with_env("A", "b").with_volume_mapping("testdata", "/data", "rw")
)
container.start()
wait_for_logs(container, "ready", timeout=20)
code, output = container.exec(["sh", "-c", "echo $A >/data/x; cat /data/x"])
print(code, output.decode().strip(), container.get_exposed_port(5432), flush=True)
with DockerContainer(IMAGE).with_command(["sleep", "600"]).with_network(network) as other:
    print(other.exec(["hostname"]).exit_code, flush=True)
print(container.get_wrapped_container().status, flush=True)
os._exit(0)
