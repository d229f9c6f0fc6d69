# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.filter.authority_directory import FilterModule

BASE = "~/.wormhole/ca"


def test_the_filter_does_what_the_roles_need():
    ours = FilterModule().filters()["authority_directory"]
    assert ours(BASE, "ci1") == f"{BASE}/hosts/ci1"
    assert ours(BASE, "ci1", "fleet") == BASE
    with pytest.raises(Exception, match="certificate_authority_scope"):
        ours(BASE, "ci1", "all")
