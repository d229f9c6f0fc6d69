# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first examples of docs/policies.md and of the README do what these pages say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from hosts import engine
from lab.spec import RELEASES

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/policies.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
LAB = "WARNING: Your kernel does not support PIDs limit"
"""What engines of the lab say, whose kernel may lack the controllers of version 2."""
IMAGES = {"docker:cli": "wormhole-lab/cli:1", "alpine": "wormhole-lab/busybox:1"}


def inventories():
    """The variables of the two inventories in the guide, with images that the hosts have."""
    blocks = re.findall(r"^```yaml\n(all:.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    found = [yaml.safe_load(block)["all"]["vars"] for block in blocks]
    for wormhole in (row for variables in found for row in variables["wormholes_containers"]):
        wormhole.update(image=IMAGES[wormhole["image"]], pull="never")
    return found


def sessions(page):
    """Pairs of a command inside the wormhole and what the page prints for it."""
    blocks = re.findall(r"^```console\n(# docker exec agent.*?)^```", page, re.MULTILINE | re.DOTALL)
    pairs = [part.partition("\n") for block in blocks for part in re.split(r"^# ", block, flags=re.MULTILINE)]
    return [(command, shown.splitlines()) for command, _end, shown in pairs if command]


@pytest.mark.parametrize("release", RELEASES)
def test_the_first_examples_of_the_guide(release, fresh_host, playbook):
    host = fresh_host(release)
    before = engine(host)
    unix, tls = inventories()
    assert (unix["wormholes_containers"][0]["transport"], "transport" in tls["wormholes_containers"][0]) == (
        "unix",
        False,
    )
    for variables in (unix, tls):
        for name in ("provision", "launch"):
            playbook(name, host, "-e", json.dumps(variables))
        for command, shown in sessions(GUIDE) + sessions(README):
            done = host.run(command.replace(" alpine ", f" {IMAGES['alpine']} "), check=False)
            said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(LAB)]
            # The CLI adds a full stop and a hint, and prints columns by their content.
            assert [line.rstrip(".").split() for line in said[: len(shown)]] == [
                line.rstrip(".").split() for line in shown
            ], command
            assert len(said) == len(shown) or "Error response" in said[0], said
    after = engine(host)
    assert (after.pid, after.started) == (before.pid, before.started)
