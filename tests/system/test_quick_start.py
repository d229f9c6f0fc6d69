# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The quick start of README.md, run literally on a host without another controller."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.spec import RELEASES
from local_ansible import copy, install_ansible

ROOT = Path(__file__).resolve().parents[2]
CLONE = "/root/wormhole.docker"


def blocks():
    """Return the fenced blocks of the section, by language."""
    section = (
        (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Quick start\n")[1].split("\n## ")[0]
    )
    found = re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert [language for language, _text in found] == ["yaml", "console", "text"]
    return dict(found)


def without_times(line):
    """Return a line of docker ps without the container's ID and age."""
    return re.sub(r"^[0-9a-f]{12}|\d+ seconds? ago|Up .*? +(?=\w+$)|Less than a second ago|\s+", "", line)


@pytest.mark.parametrize("release", RELEASES)
def test_the_quick_start_prints_what_the_readme_says(release, fresh_host):
    host = fresh_host(release)
    install_ansible(host)
    # All that ansible-galaxy needs: no tests, and no files that ./dev has made.
    files = [path.name for path in ROOT.iterdir() if path.name != "tests" and not path.name.startswith(".")]
    copy(host, ROOT, files, CLONE)
    # The lab has no registry.
    host.run("docker tag wormhole-lab/cli:1 docker:cli")

    shown = blocks()
    host.write(f"{CLONE}/hosts.yml", shown["yaml"])
    commands = [line.removeprefix("# ") for line in shown["console"].splitlines()]
    assert len(commands) == 5
    printed = [host.run(f"cd {CLONE} && {command}", timeout=300).stdout for command in commands]

    lines = [without_times(line) for output in printed for line in output.splitlines()]
    missing = [line for line in shown["text"].splitlines() if without_times(line) not in lines]
    assert not missing, "\n".join([*missing, "instead of lines of", *printed])
