# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.contract import (
    NETWORK,
    EngineContract,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import FakeEngine


class TestFakeEngine(EngineContract):
    @pytest.fixture(params=[True, False], ids=["memory-limit", "no-memory-limit"])
    def engine(self, request):
        engine = FakeEngine()
        engine.memory_limit = request.param
        return engine

    @pytest.fixture
    def network(self):
        return NETWORK
