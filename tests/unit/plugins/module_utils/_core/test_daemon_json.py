# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._core.daemon_json import add_keys, parse_config
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", '{\n  "tls": true\n}\n'),
        (" \n", '{\n  "tls": true\n}\n'),
        ("{}", '{\n  "tls": true\n}'),
        ("{ }\n", '{\n  "tls": true\n}\n'),
        ('{"a": 1}', '{"a": 1,\n  "tls": true\n}'),
        ('{\n    "a": 1\n}\n', '{\n    "a": 1,\n    "tls": true\n}\n'),
        (
            '{\n\t"b": {"c": [1.50, 1e3]},\n\t"a": 1\n}',
            '{\n\t"b": {"c": [1.50, 1e3]},\n\t"a": 1,\n\t"tls": true\n}',
        ),
        ('{"tls": false}', '{"tls": false}'),
    ],
)
def test_keys_are_appended_and_every_other_byte_stays(text, expected):
    assert add_keys(text, {"tls": True}) == expected


@pytest.mark.parametrize(
    "text, found",
    [
        ("{", "broken JSON"),
        ('{"a": 1,}', "broken JSON"),
        ("[]", "a JSON list"),
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"a": {"b": 1, "b": 2}}', "'b' twice"),
    ],
)
def test_what_dockerd_would_stumble_over_is_refused_with_what_to_do(text, found):
    with pytest.raises(Refused, match=found) as caught:
        parse_config(text, "/etc/docker/daemon.json")
    assert caught.value.subject == "/etc/docker/daemon.json"
    assert "Mend the file" in caught.value.remedy


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
configs = st.dictionaries(st.text(max_size=6), values, max_size=5)


@given(configs, configs, st.sampled_from([None, 2, 4, "\t"]), st.sampled_from(["", "\n", "\n\n"]))
def test_no_foreign_key_is_lost_or_changed_and_the_order_stays(config, keys, indent, ending):
    text = json.dumps(config, indent=indent) + ending
    result = add_keys(text, keys)
    assert json.loads(result) == {**keys, **config}
    assert list(json.loads(result))[: len(config)] == list(config)
    assert result.endswith(ending)
    assert add_keys(result, keys) == result
