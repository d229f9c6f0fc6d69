# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The access that wormhole_policy gives to containers of others."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._access.model import AccessState
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import MissingRequirement
from ansible_collections.wormhole.docker.plugins.module_utils._glue import policy

TASK = {"identity": "agent", "state": "present", "policy": "ci", "user": 0}
TLS = {**TASK, "transport": "tls", "certificate_paths": ["/etc/agent/cert.pem"]}


@pytest.fixture(autouse=True)
def applied(monkeypatch):
    """The actions that were carried out, on a host with a gate where dockerd serves TLS."""
    done = []
    monkeypatch.setattr(policy, "observe_access", lambda *arguments: AccessState(gate=True))
    monkeypatch.setattr(policy, "is_served_by_gate", lambda: False)
    monkeypatch.setattr(policy, "apply_access", done.extend)
    return done


def test_a_certificate_gets_no_policy_where_dockerd_would_accept_it_without(applied, monkeypatch):
    with pytest.raises(MissingRequirement, match="dockerd serves TLS on this host.*listener_served_by: gate"):
        policy.ensure_policy(TLS, check_mode=False)
    assert applied == []
    predicted = policy.ensure_policy(TLS, check_mode=True)
    assert "gate_bypassed" in [reason["code"] for reason in predicted["reasons"]]
    monkeypatch.setattr(policy, "is_served_by_gate", lambda: True)
    predicted = policy.ensure_policy(TLS, check_mode=True)
    assert "gate_bypassed" not in [reason["code"] for reason in predicted["reasons"]]


def test_a_socket_needs_no_listener():
    predicted = policy.ensure_policy({**TASK, "transport": "unix"}, check_mode=True)
    assert [reason["code"] for reason in predicted["reasons"]] == ["policy_missing", "door_missing"]
    assert predicted["docker_host"] == "unix:///run/wormhole/gate/agent/docker.sock"
