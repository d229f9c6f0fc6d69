# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seed and size of the property tests.

``./dev test`` writes both to ``run.json`` beside this file, since ansible-test hands no environment variable through.
Without that file (a plain ``pytest`` run) WORMHOLE_SEED and WORMHOLE_THOROUGH are read.
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

# Two busy cores say nothing about the code: no deadlines. No database: it would end up in the tree under test.
COMMON = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("sample", max_examples=50, **COMMON)
settings.register_profile("thorough", max_examples=1000, **COMMON)
settings.load_profile("thorough" if RUN["thorough"] else "sample")

if RUN["seed"] is not None:
    core.global_force_seed = RUN["seed"]


def pytest_configure(config: pytest.Config) -> None:
    """Run tests as pytest does, and not each in a fork of its own, in which ansible-test spends most of the time.

    Tests that need a process of their own start one.
    """
    if config.pluginmanager.has_plugin("ansible_forked"):
        config.pluginmanager.unregister(name="ansible_forked")
