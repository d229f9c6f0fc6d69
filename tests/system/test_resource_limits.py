# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of memory, CPUs and processes of a wormhole, on an engine that supports them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import Host, Lab
from lab.limits import engine_with_limits
from lab.spec import RELEASES
from playbooks import Run

PLAY = Path(__file__).resolve().parent / "plays/resource_limits.yml"


@pytest.mark.parametrize("release", RELEASES)
def test_each_limit_is_set_kept_and_changed(
    release: Any, lab: Lab, fresh_host: Callable[..., Host], playbook: Callable[..., Run]
) -> None:
    host = fresh_host(release)
    with engine_with_limits(lab, host) as cgroup:
        run = playbook(str(PLAY), host, "-e", f"cgroup={cgroup}")
    assert len([task for task in run.tasks if task.name.startswith("The diff holds")]) >= 3
