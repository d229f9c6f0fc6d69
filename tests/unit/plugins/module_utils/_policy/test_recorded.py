# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What real clients send is understood, and allowed where a policy allows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._policy.decision import Deny
from ansible_collections.wormhole.docker.plugins.module_utils._policy.parse import parse, route_of
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    allowed,
    make_policy,
    refused,
    settle,
)

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))["requests"]
"""Lists of client, method, target, Content-Type and body."""
REFUSED = {"/v1.45/images/prune": "power", "/v1.45/build/prune": "build"}
"""What no policy allows for the identity's own objects only."""


@pytest.mark.parametrize("client, method, target, content_type, body", RECORDED)
def test_requests_of_clients(client, method, target, content_type, body):
    policy = make_policy(
        "compose",
        build="classic",
        binds=[{"path": "/srv/data", "read_only": True}],
        ports={"ranges": ["8000-8100"], "random": True},
        subnets=["10.9.0.0/16"],
        powers={"df": "all", "image.load": "own"},
    )
    head = route_of(method, target)
    assert not isinstance(head, Deny), head
    call = parse(head, content_type, None if head.body == "stream" else body.encode())
    assert not isinstance(call, Deny), call
    decision = settle(policy, call)
    code = REFUSED.get(target.partition("?")[0])
    if code:
        assert refused(decision) == (403, code)
    else:
        allowed(decision)


def test_several_clients_were_recorded():
    assert {row[0].partition(" ")[0] for row in RECORDED} == {"docker", "docker-py", "dockerode"}
    assert len(RECORDED) > 100
