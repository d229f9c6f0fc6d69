# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import MissingRequirement
from ansible_collections.wormhole.docker.plugins.module_utils._core.requirements import (
    HostState,
    missing_packages,
)

BOTH = {"docker": "5.0.3", "cryptography": "38.0.4"}


def state(dockerd="/usr/sbin/dockerd", libraries=None, distribution=("debian",)):
    return HostState(
        distribution, dockerd, bool(dockerd), "/usr/bin/python3", BOTH if libraries is None else libraries
    )


@pytest.mark.parametrize(
    "host, expected",
    [
        (state(), ()),
        (state(dockerd=""), ("docker.io",)),
        (state(libraries={"docker": "7.1.0"}), ("python3-cryptography",)),
        (state(libraries={}), ("python3-cryptography", "python3-docker")),
        (state(dockerd="", libraries={}), ("docker.io", "python3-cryptography", "python3-docker")),
        (state(distribution=("ubuntu", "debian"), dockerd=""), ("docker.io",)),
        (state(distribution=("fedora",)), ()),
    ],
)
def test_packages(host, expected):
    assert missing_packages(host) == expected


@pytest.mark.parametrize(
    "host, found",
    [
        (state(distribution=("fedora",), dockerd=""), "no engine"),
        (state(distribution=("alpine",), libraries={}), "no python3-cryptography, no python3-docker"),
        (state(libraries={"docker": "4.4.4", "cryptography": "38.0.4"}), "4.4.4"),
        (state(libraries={"docker": "5.0.3", "cryptography": "3.4"}), "3.4"),
    ],
)
def test_what_cannot_be_installed_here_is_told(host, found):
    with pytest.raises(MissingRequirement, match=found):
        missing_packages(host)
