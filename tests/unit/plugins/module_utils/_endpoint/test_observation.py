# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.observation import (
    Anonymous,
    Api,
    Observation,
    Reached,
    Verified,
    parse_observation,
)
from ansible_collections.wormhole.docker.plugins.module_utils._networks.routes import Route

ROUTE = Route("172.18.0.0/16", "", "eth0", 0)


@pytest.mark.parametrize(
    "observation",
    [
        Observation(),
        Observation(
            Reached(("172.18.0.1",), "172.18.0.1", "172.18.0.9", ROUTE, "open"),
            Anonymous("tls", tls_version="TLSv1.3", certificate="3082", date="Mon, 30 Nov 2026 00:00:00 GMT"),
            Verified(True, 0, client="accepted", api=Api("answered", engine_id="a")),
            "2d2d",
        ),
    ],
)
def test_an_observation_survives_json(observation):
    assert parse_observation(json.loads(json.dumps(observation.as_json()))) == observation
