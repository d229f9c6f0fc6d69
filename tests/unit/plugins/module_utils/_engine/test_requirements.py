# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._engine.other_engines import Process
from ansible_collections.wormhole.docker.plugins.module_utils._engine.requirements import (
    HostState,
    Interpreter,
    find_obstacles,
    missing_packages,
)

BOTH = {"docker": "5.0.3", "cryptography": "38.0.4"}
PACKAGED = "/usr/lib/python3/dist-packages"
SYSTEM = Interpreter()
VENV = Interpreter("/opt/venv/bin/python", "3.13", ("/opt/venv/lib/python3.13/site-packages",))
FEDORA = Interpreter("/usr/bin/python3.13", "3.13", ("/usr/lib/python3.13/site-packages",))
SECOND = Interpreter("/usr/bin/python3.12", "3.12", (PACKAGED,))


def state(dockerd="/usr/sbin/dockerd", libraries=None, distribution=("debian",), python=SYSTEM, **more):
    libraries = BOTH if libraries is None else libraries
    return HostState(distribution, dockerd, bool(dockerd), python, libraries, **more)


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
        # A virtual environment that has the libraries.
        (state(python=VENV), ()),
        # One that sees the system's packages.
        (state(python=Interpreter("/v/bin/python", "3.13", ("/v", PACKAGED)), libraries={}), ("python3-cryptography", "python3-docker")),
    ],
)  # fmt: skip
def test_packages(host, expected):
    assert missing_packages(host) == expected
    assert find_obstacles(host) == ()


@pytest.mark.parametrize(
    "host, found",
    [
        (state(distribution=("fedora",), dockerd=""), ["This host has no engine. Install"]),
        (state(distribution=("alpine",), libraries={}), ["no python3-cryptography, no python3-docker"]),
        (state(libraries={"docker": "4.4.4", "cryptography": "38.0.4"}), ["4.4.4"]),
        (state(libraries={"docker": "5.0.3", "cryptography": "3.4"}), ["3.4"]),
        (state(libraries={}, python=VENV), ["/opt/venv/bin/python", "libraries cryptography and docker", "-m pip install"]),
        (state(libraries={}, python=VENV, distribution=("fedora",)), ["interpreter to /usr/bin/python3"]),
        (state(libraries={}, python=FEDORA, distribution=("fedora",)), ["Install what is missing"]),
        (state(libraries={"docker": "5.0.3"}, python=SECOND), ["/usr/bin/python3.12", "cryptography"]),
        (state(libraries={"docker": "5.0.3"}, python=Interpreter("/usr/local/bin/python3", default_version="")), ["cryptography"]),
        # Everything at once.
        (
            state("", {}, python=VENV, engines=(Process("dockerd", 7, 0, "snap.docker.dockerd.service"),)),
            ["snap.docker.dockerd.service", "/opt/venv/bin/python"],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_installed_here_is_told(host, found):
    said = " ".join(map(str, find_obstacles(host)))
    assert [text for text in found if text not in said] == []
