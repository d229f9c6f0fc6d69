# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images like popular ones: started, unchanged, and replaced by their next version.

They have volumes, users, entrypoints, healthchecks and stop signals, and the options of their
documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import Host
from lab.spec import RELEASES
from playbooks import Run, Task

PLAY = Path(__file__).resolve().parent / "plays/popular_images.yml"
WAYS = ("tls", "unix", "runtime")
STARTED = {
    "database": "started as 0: /entry postgres",
    "agent": "started as 1000: /entry",
    "runner": "started as 0: /entry /entrypoint run --user=gitlab-runner --working-directory=/home/gitlab-runner",
    "proxy": "started as 0: /entry --providers.docker=true --entrypoints.web.address=:80",
    "updater": "started as 0: /entry --cleanup --interval 30",
    "client": "started as 0: /entry sh",
    "hosted": "started as 1001: /entry",
}
"""What each image prints at its start. The portal has no shell to print it."""


@pytest.mark.parametrize("release", RELEASES)
def test_popular_images_are_launched_kept_and_replaced(
    release: Any, fresh_host: Callable[..., Host], playbook: Callable[..., Run]
) -> None:
    host = fresh_host(release)
    playbook("provision", host)
    run = playbook(str(PLAY), host)
    tasks = {task.name: task for task in run.tasks}
    for way in WAYS:
        names = {*STARTED, *(() if way == "runtime" else ("portal",))}
        launched, again = (
            by_container(tasks[f"Launch the images: {step} by {way}"]) for step in ("launched", "again")
        )
        assert set(launched) == set(again) == names, way
        for name in names:
            assert (launched[name]["changed"], again[name]["changed"]) == (True, False), (
                way,
                again[name]["diff"],
            )
            assert again[name]["wormhole"]["proved"], (way, name)
    predicted, launched, upgraded, after = (
        by_container(tasks[f"Launch the images: {step} by tls"])
        for step in ("predicted", "launched", "upgraded", "after")
    )
    for name in launched:
        assert predicted[name]["diff"] == launched[name]["diff"], name
        assert [reason["code"] for reason in upgraded[name]["reasons"]] == ["image_differs"], name
        assert not after[name]["changed"], (name, after[name]["diff"])
    said = [
        item
        for task in run.tasks
        if task.name.startswith("Read the containers' output")
        for item in task.items
    ]
    assert len(said) == len(WAYS) * len(STARTED) + 2
    for item in said:
        name = item["item"]["key"]
        assert STARTED.get(name, "") in item["stdout"].replace("\r", ""), name


def by_container(task: Task) -> dict[str, Mapping[str, Any]]:
    return {item["item"]["key"]: item for item in task.items}
