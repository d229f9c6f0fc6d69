# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a policy, parsed."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._access import spec as access
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._gate import units
from ansible_collections.wormhole.docker.plugins.module_utils._policy import policy, policy_file


def test_presets_and_modes_are_those_of_the_policies():
    assert list(access.PRESETS) == list(policy_file.PRESETS)
    assert set(access.MODES) == set(policy.MODES)


def test_without_a_policy_there_is_no_access():
    assert access.parse_access({"policy": None, "policy_mode": "enforce"}, "agent") is None


def test_a_policy_enforces_by_default():
    found = access.parse_access({"policy": "ci"}, "agent")
    assert found == access.AccessSpec("agent", "ci", "enforce")
    assert found.restricts
    assert found.refuses
    assert found.document == {"identity": "agent", "preset": "ci", "mode": "enforce", "overrides": {}}


@pytest.mark.parametrize("mode", ["learn", "warn"])
def test_other_modes_refuse_nothing(mode):
    found = access.parse_access({"policy": "ci", "policy_mode": mode}, "agent")
    assert found.restricts
    assert not found.refuses


def test_unrestricted_restricts_nothing():
    found = access.parse_access({"policy": "unrestricted"}, "agent")
    assert not found.restricts
    assert not found.refuses


@pytest.mark.parametrize(
    "params, identity, subject",
    [
        ({"policy_mode": "warn"}, "agent", "policy_mode"),
        ({"policy_overrides": {"images": []}, "policy_mode": "enforce"}, "agent", "policy_overrides"),
        ({"policy": "ci", "policy_until": "2026-12-31T00:00Z"}, "agent", "policy_until"),
        ({"policy": "ci"}, "a b", "identity a b"),
    ],
)
def test_options_that_contradict_each_other_are_rejected(params, identity, subject):
    with pytest.raises(InvalidInput) as caught:
        access.parse_access(params, identity)
    assert caught.value.subject == subject
    assert caught.value.remedy


def test_an_end_of_learning_is_part_of_the_policy():
    params = {"policy": "ci", "policy_mode": "learn", "policy_until": "2026-12-31T00:00Z"}
    assert access.parse_access(params, "agent").document["until"] == "2026-12-31T00:00Z"


def test_a_socket_has_a_path_that_the_kernel_accepts():
    longest = 107 - len(units.socket_path(""))
    access.reject_long("a" * longest)
    assert len(units.socket_path("a" * longest)) == 107
    with pytest.raises(InvalidInput) as caught:
        access.reject_long("a" * (longest + 1))
    assert str(longest) in str(caught.value)


def test_a_malformed_file_is_no_policy():
    for text in (None, "", "{", "[]", "{}", '{"policy": [], "certificates": []}'):
        assert access.read_policy(text) is None
