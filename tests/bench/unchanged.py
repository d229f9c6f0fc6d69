# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task costs that finds nothing to do, as a ratio to docker_container's and to a ping's in the same run.

With a lab that runs (``./dev lab up --hosts 0``)::

    PYTHONPATH=tests:tests/system .dev/venv/bin/python tests/bench/unchanged.py --release 13 --rounds 10
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from lab import Host, HostSpec, Lab
from playbooks import Controller, Task
from reference import reference_collections
from runner.stage import stage_collection

ROOT = Path(__file__).resolve().parents[2]

PING, REFERENCE = "ping", "docker_container"
CONTAINER = {"image": "wormhole-lab/busybox:1"}
TASKS: dict[str, dict[str, Any]] = {
    PING: {"ansible.builtin.ping": {}},
    REFERENCE: {"community.docker.docker_container": {"name": "reference", **CONTAINER}},
    "wormhole_container, unix": {
        "wormhole.docker.wormhole_container": {"name": "unix", "transport": "unix", **CONTAINER}
    },
    "wormhole_container, tls": {"wormhole.docker.wormhole_container": {"name": "tls", **CONTAINER}},
    "wormhole_container, tls, not proved": {
        "wormhole.docker.wormhole_container": {"name": "unproved", "verify": False, **CONTAINER}
    },
    "wormhole_container_info": {"wormhole.docker.wormhole_container_info": {}},
    "endpoint_info": {"wormhole.docker.endpoint_info": {"container": "tls"}},
}
"""By the name that the table gives them."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--release", type=int, choices=(12, 13), default=13)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    lab = Lab.attach(root=ROOT)
    if lab is None:
        parser.error("no lab runs in this clone: ./dev lab up --hosts 0")
    host = lab.fresh_host(HostSpec(arguments.release))
    try:
        print(table(measure(lab, host, arguments.rounds)))
    finally:
        host.destroy()


def measure(lab: Lab, host: Host, rounds: int) -> dict[str, list[float]]:
    """Seconds that each task took, by name; the first round, which makes the containers, is left out."""
    reference = reference_collections(ROOT / ".dev/cache/reference")
    with tempfile.TemporaryDirectory() as home:
        controller = Controller(lab, Path(home), Path(f"{stage_collection(ROOT)}:{reference}"))
        controller.playbook("provision", host)
        tasks = [{"name": name, **task} for name, task in TASKS.items()]
        # The tasks alternate, so that what else the machine does meets them all alike.
        play = {"hosts": "all", "gather_facts": False, "tasks": tasks * (rounds + 1)}
        path = Path(home) / "play.yml"
        path.write_text(json.dumps([play]))
        run = controller.playbook(str(path), host)
    return spans(run.tasks[len(tasks) - 1 :])


def spans(tasks: tuple[Task, ...]) -> dict[str, list[float]]:
    """From one task's report to the next one's."""
    seconds: dict[str, list[float]] = {}
    for former, task in pairwise(tasks):
        assert not task.changed, f"{task.name} found something to do: {task.result}"
        seconds.setdefault(task.name, []).append(task.at - former.at)
    return seconds


def table(seconds: dict[str, list[float]]) -> str:
    """The medians, as a multiple of those of a ping and of docker_container; seconds for this machine only."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    width = max(map(len, medians))
    lines = [f"{'':<{width}}  median   × {PING}   × {REFERENCE}"]
    for name, median in medians.items():
        to_ping, to_reference = median / medians[PING], median / medians[REFERENCE]
        lines.append(f"{name:<{width}}  {median:5.2f} s  {to_ping:5.2f}  {to_reference:18.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
