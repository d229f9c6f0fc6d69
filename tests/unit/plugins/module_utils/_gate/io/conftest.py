# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of the stage that a file has set up with its fixture ``stage``: an engine and a gate."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import Client


@pytest.fixture
def engine(stage):
    return stage[0]


@pytest.fixture
def gate(stage):
    return stage[1]


@pytest.fixture
def client(gate):
    found = Client(gate.path)
    yield found
    found.close()
