# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine contract against a real engine: ``pytest tests/contract --engine-socket PATH``.

The engine needs the images wormhole-lab/busybox:1 and wormhole-lab/nonroot:1. Containers named
``contract-…`` and the network ``contract`` are created and removed. Nothing else changes.
"""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._engine.io.sdk import Engine
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.contract import (
    NETWORK,
    PREFIX,
)


def pytest_addoption(parser):
    parser.addoption("--engine-socket", help="path of a Docker engine's socket; an engine for tests only")


@pytest.fixture(scope="session")
def real_engine(request):
    path = request.config.getoption("--engine-socket")
    if not path:
        raise pytest.UsageError("the contract needs a real engine: --engine-socket PATH")
    engine = Engine(f"unix://{path}")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def real_network(real_engine):
    """Create a network with the engine's client: the adapter cannot create networks."""
    _remove_leftovers(real_engine)
    real_engine._client.create_network(NETWORK, driver="bridge")
    yield NETWORK
    _remove_leftovers(real_engine)


def _remove_leftovers(engine):
    for container in engine.containers(labels={}):
        if container["Names"][0].startswith(f"/{PREFIX}"):
            engine.remove_container(container["Id"], force=True, volumes=True)
    for network in engine._client.networks(names=[NETWORK]):
        if network["Name"] == NETWORK:
            engine._client.remove_network(network["Id"])
