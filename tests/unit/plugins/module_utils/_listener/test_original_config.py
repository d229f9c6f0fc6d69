# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._listener.journal import Origin
from ansible_collections.wormhole.docker.plugins.module_utils._listener.original_config import (
    strip_managed,
    undo_keys,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec, tls_keys
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import UNIT, right

ABSENT = ListenerSpec(state="absent")
KEYS = tls_keys(ListenerSpec())


def test_only_daemon_json_is_shared_with_others():
    origin = right().origin
    assert (
        strip_managed(ABSENT, origin, "/etc/docker/daemon.json", f"/etc/systemd/system/{UNIT}", b"x") is None
    )
    text = json.dumps({**KEYS, "a": 1}).encode()
    assert strip_managed(ABSENT, Origin(), "/d.json", "/d.json", text) == b'{"a": 1}'


@pytest.mark.parametrize(
    "current, written, former, expected",
    [
        ('{"a":1,"b":2}', '{"b":2}', "{}", {"a": 1}),
        ('{"b":3}', '{"b":2}', "{}", {"b": 3}),
        ('{"a":1}', '{"b":2}', "{}", {"a": 1}),
        ('{"b":2}', '{"b":2}', '{"b":1}', {"b": 1}),
        ('{"a":1}', "{}", '{"hosts":["fd://"]}', {"a": 1, "hosts": ["fd://"]}),
        ('{"hosts":[]}', "{}", '{"hosts":["fd://"]}', {"hosts": []}),
        ('{"a":1,"b":2}', '{"a":1,"b":2}', '{"a":1}', {"a": 1}),
    ],
)
def test_only_our_changes_that_are_still_present_are_undone(current, written, former, expected):
    assert json.loads(undo_keys(current, written, former)) == expected
