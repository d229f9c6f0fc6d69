# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of the gate."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._gate.config import (
    GateConfig,
    parse_config,
    render_config,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate.limits import Limits

PATHS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20).map(
    "/".__add__
)
LIMITS = st.builds(Limits, **{entry.name: st.integers(1, 1 << 39) for entry in fields(Limits)})
CONFIGS = st.builds(GateConfig, PATHS, PATHS, st.one_of(st.none(), PATHS), LIMITS)


@given(CONFIGS)
def test_what_is_rendered_is_parsed(config):
    assert parse_config(render_config(config).encode()) == config


def test_defaults():
    assert parse_config(b"{}") == GateConfig()


@pytest.mark.parametrize(
    "document, words",
    [
        ([], "configuration"),
        ({"engin": "/a"}, "engin"),
        ({"engine": "docker.sock"}, "engine"),
        ({"engine": 5}, "engine"),
        ({"engine": "/a\0b"}, "engine"),
        ({"policies": None}, "policies"),
        ({"tls": {"certificate": "/a", "key": "/b"}}, "tls"),
        ({"tls": "server"}, "tls"),
        ({"limits": {"connections": 0}}, "limits.connections"),
        ({"limits": {"connections": -1}}, "limits.connections"),
        ({"limits": {"connections": True}}, "limits.connections"),
        ({"limits": {"connections": 1.5}}, "limits.connections"),
        ({"limits": {"connections": 1 << 40}}, "limits.connections"),
        ({"limits": {"conections": 1}}, "conections"),
        ({"limits": []}, "limits"),
    ],
)
def test_what_is_rejected(document, words):
    with pytest.raises(InvalidInput, match=words):
        parse_config(json.dumps(document).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_what_is_no_json_is_rejected(content):
    with pytest.raises(InvalidInput, match="JSON"):
        parse_config(content)
