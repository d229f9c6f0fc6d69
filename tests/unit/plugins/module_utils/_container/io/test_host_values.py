# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._container.io.host_values import with_host_paths
from ansible_collections.wormhole.docker.plugins.module_utils._container.options import parse_options


@pytest.mark.parametrize(
    "given, expected",
    [
        ("./x:/y", "{here}/x:/y"),
        ("../x:/y:ro", "{above}/x:/y:ro"),
        (".:/y", "{here}:/y"),
        ("~/x:/y", "/home/of/x:/y"),
        ("~:/y:ro", "/home/of:/y:ro"),
        ("~root/x:/y", "/root/x:/y"),
        ("/x:/y", "/x:/y"),
        ("name:/y", "name:/y"),
        ("/y", "/y"),
    ],
)
def test_paths_are_completed_on_the_managed_node(tmp_path, monkeypatch, given, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of")
    params = with_host_paths({"volumes": [given], "user": "5"})
    assert params == {
        "volumes": [expected.format(here=tmp_path, above=tmp_path.parent)],
        "user": "5",
    }
    assert parse_options({"volumes": [given]}), "the controller takes them as they are"


def test_the_home_of_a_missing_user_is_rejected():
    with pytest.raises(
        InvalidInput,
        match="^volumes ~nobody-here/x:/y: this host has no user nobody-here. Use an absolute path",
    ):
        with_host_paths({"volumes": ["~nobody-here/x:/y"]})


@pytest.mark.parametrize("params", [{}, {"volumes": None}, {"volumes": []}])
def test_without_volumes_nothing_is_completed(params):
    assert with_host_paths(params) == params
