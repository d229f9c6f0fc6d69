# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of new objects, patterns of names, and labels."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._policy.names import (
    has_label,
    looks_like_id,
    match_name,
)


@pytest.mark.parametrize("name", ["deadbeef1234", "abcdefabcdef", "1234", "12ab", "a" * 12, "0" * 64])
def test_what_looks_like_an_id(name):
    assert looks_like_id(name)


@pytest.mark.parametrize("name", ["db", "cafe", "decade", "facade", "web-1", "12g4", "123", "DEADBEEF1234"])
def test_what_is_a_name(name):
    assert not looks_like_id(name)


@pytest.mark.parametrize(
    "patterns, name, found",
    [
        (["web"], "web", True),
        (["web"], "web1", False),
        (["web*"], "web1", True),
        (["*-db"], "shop-db", True),
        (["a.c"], "abc", False),
        (["*"], "anything", True),
        ([], "web", False),
    ],
)
def test_patterns_of_names(patterns, name, found):
    assert match_name(patterns, name) is found


def test_labels():
    assert has_label(["a"], {"a": "x"})
    assert has_label(["a=x"], {"a": "x"})
    assert has_label(["b", "a=x=y"], {"a": "x=y"})
    assert not has_label(["a=x"], {"a": "y"})
    assert not has_label(["a="], {"a": "y"})
    assert not has_label([], {"a": "y"})
