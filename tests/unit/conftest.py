# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seed and size of the property tests.

``./dev test`` writes both to ``run.json`` next to this file, because ansible-test removes
environment variables. Without that file, as with plain ``pytest``, WORMHOLE_SEED and
WORMHOLE_THOROUGH are read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, core, settings

RUN_FILE = Path(__file__).with_name("run.json")

if RUN_FILE.exists():
    RUN = json.loads(RUN_FILE.read_text(encoding="utf-8"))
else:
    RUN = {
        "seed": int(os.environ["WORMHOLE_SEED"]) if os.environ.get("WORMHOLE_SEED") else None,
        "thorough": bool(os.environ.get("WORMHOLE_THOROUGH")),
    }

# No deadlines, because the machine may be busy. No database, because it would be in the tested
# tree.
COMMON = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("sample", max_examples=30, **COMMON)
settings.register_profile("thorough", max_examples=1000, **COMMON)
settings.load_profile("thorough" if RUN["thorough"] else "sample")

if RUN["seed"] is not None:
    core.global_force_seed = RUN["seed"]


def pytest_configure(config: pytest.Config) -> None:
    """Run tests in one process, like pytest. ansible-test would fork for each test, which takes
    most of the time.

    Tests that need a separate process start one.
    """
    if config.pluginmanager.has_plugin("ansible_forked"):
        config.pluginmanager.unregister(name="ansible_forked")
