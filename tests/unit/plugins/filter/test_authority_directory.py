# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.filter import authority_directory, authority_name

BASE = "~/.wormhole/ca"


def test_the_filter_does_what_the_roles_need():
    ours = authority_directory.FilterModule().filters()["authority_directory"]
    assert ours(BASE, "ci1") == f"{BASE}/hosts/ci1"
    assert ours(BASE, "ci1", "fleet") == BASE
    with pytest.raises(Exception, match="certificate_authority_scope"):
        ours(BASE, "ci1", "all")


def test_the_name_of_an_authority_is_that_of_its_scope():
    ours = authority_name.FilterModule().filters()["authority_name"]
    assert (ours("wormhole CA", "ci1"), ours("wormhole CA", "ci1", "fleet")) == (
        "wormhole CA ci1",
        "wormhole CA",
    )
    with pytest.raises(Exception, match="certificate_authority_scope"):
        ours("wormhole CA", "ci1", "all")
