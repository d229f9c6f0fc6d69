# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of refusals."""

from __future__ import annotations

import re

from ansible_collections.wormhole.docker.plugins.module_utils._policy.refusal import render_refusal
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    create,
    make_policy,
    read,
    run,
)


def test_a_refusal_says_what_by_which_policy_what_is_allowed_and_where_to_change_it():
    policy = make_policy("test", binds=["/srv/data"])
    assert render_refusal(policy, create(policy, {"Binds": ["/etc:/x"]})) == (
        "HostConfig.Binds mounts /etc of the host. The policy test of ci refuses this. Allowed: /srv/data. "
        "The administrator can change policy_overrides.binds of this wormhole."
    )


def test_a_refusal_without_a_setting_says_which_policy_allows_more():
    policy = make_policy("test")
    assert render_refusal(policy, create(policy, {"Privileged": True})) == (
        "HostConfig.Privileged is not allowed. The policy test of ci refuses this. Leave it out. "
        "Only the policy unrestricted allows more."
    )


def test_what_is_malformed_does_not_speak_of_a_policy():
    policy = make_policy("test")
    assert render_refusal(policy, read("GET", "/containers//json")) == (
        "The path has an empty segment or a dot segment."
    )
    assert render_refusal(policy, read("GET", "/v1.99/info")) == (
        "This gate does not know version 1.99 of the Engine API. It knows 1.24 to 1.56."
    )


def test_objects_of_others_are_not_named():
    policy = make_policy("test")
    for decision in (
        run(policy, "GET", "/containers/2222/json"),
        create(policy, {"NetworkMode": "5555"}),
        run(policy, "POST", "/volumes/create", {"Name": "theirvol"}),
        run(policy, "POST", "/networks/create", {"Name": "theirnet"}),
    ):
        text = render_refusal(policy, decision)
        assert not re.search(r"\bother\b", text), "the owner"
        assert "theirs" not in text
        assert "22222222" not in text
        assert "55555555" not in text


def test_an_unusual_name_is_not_repeated():
    policy = make_policy("test")
    text = render_refusal(policy, read("POST", "/containers/create", {"\x1b[31m": 1}))
    assert "\x1b" not in text
    assert "an unusual name" in text
    text = render_refusal(policy, read("GET", "/info?%1b[31m=1"))
    assert "\x1b" not in text
