# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.contract import (
    EngineContract,
)


class TestRealEngine(EngineContract):
    @pytest.fixture
    def engine(self, real_engine):
        return real_engine

    @pytest.fixture
    def network(self, real_network):
        return real_network
