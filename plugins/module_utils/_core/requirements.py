# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host needs before anything else can run, and which packages of its distribution bring it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import MissingRequirement

MINIMUM_VERSIONS: Mapping[str, str] = {"docker": "5.0.3", "cryptography": "38.0.0"}

_ENGINE_PACKAGE = "docker.io"
_LIBRARY_PACKAGES = {"docker": "python3-docker", "cryptography": "python3-cryptography"}


@dataclass(frozen=True)
class HostState:
    """What is there.

    Attributes:
        distribution: ID and ID_LIKE of os-release(5), such as ``("debian",)``.
        dockerd: path of the engine's program; empty if there is none.
        running: whether docker.service runs.
        python: path of the interpreter that modules run with.
        libraries: version by distribution name of the Python libraries found.
    """

    distribution: tuple[str, ...]
    dockerd: str
    running: bool
    python: str
    libraries: Mapping[str, str] = field(default_factory=dict)


def missing_packages(state: HostState) -> tuple[str, ...]:
    """The packages to install: an engine only where there is none, whoever made it.

    Raises:
        MissingRequirement: something is missing, and the distribution is not one that this is tested on; or a library
            is there that is too old.
    """
    for name, version in state.libraries.items():
        if _numbers(version) < _numbers(MINIMUM_VERSIONS[name]):
            raise MissingRequirement(
                f"Python library {name} of {state.python}",
                expected=f"{MINIMUM_VERSIONS[name]} or later",
                found=version,
                remedy="Point ansible_python_interpreter at a Python that has it",
            )
    engine = () if state.dockerd else (_ENGINE_PACKAGE,)
    libraries = tuple(p for name, p in sorted(_LIBRARY_PACKAGES.items()) if name not in state.libraries)
    if (engine or libraries) and "debian" not in state.distribution:
        raise MissingRequirement(
            "this host",
            expected="a Docker engine and, for " + state.python + ", the libraries docker and cryptography",
            found="no " + ", no ".join([*(["engine"] if engine else []), *libraries]),
            remedy="Install them; only on Debian does the role wormhole.docker.engine know the packages",
        )
    return engine + libraries


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
