# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection needs on a host, and which packages of the distribution provide it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterator, Mapping, Optional, Sequence

from .._base.errors import MissingRequirement, WormholeError
from .other_engines import DefaultSocket, Process, find_rival

MINIMUM_VERSIONS: Mapping[str, str] = {"docker": "5.0.3", "cryptography": "38.0.0"}

_ENGINE_PACKAGE = "docker.io"
_LIBRARY_PACKAGES = {"docker": "python3-docker", "cryptography": "python3-cryptography"}


_DIST_PACKAGES = "/usr/lib/python3/dist-packages"


@dataclass(frozen=True)
class Interpreter:
    """A Python interpreter.

    Attributes:
        path: its path.
        version: its version, such as ``3.13``.
        search_path: the directories that it imports from.
        default_version: version of the distribution's default interpreter; empty if there is none.
    """

    path: str = "/usr/bin/python3"
    version: str = "3.13"
    search_path: tuple[str, ...] = (_DIST_PACKAGES,)
    default_version: str = "3.13"


@dataclass(frozen=True)
class HostState:
    """What a host has.

    Attributes:
        distribution: ID and ID_LIKE of os-release(5), such as ``("debian",)``.
        dockerd: path of the program dockerd; empty if it is not installed.
        running: whether docker.service is active.
        python: the Python interpreter that runs modules.
        libraries: versions of the installed Python libraries, by name.
        engines: the engines that run on the host itself, not in a container.
        socket: who serves /run/docker.sock.
    """

    distribution: tuple[str, ...]
    dockerd: str
    running: bool
    python: Interpreter = Interpreter()
    libraries: Mapping[str, str] = field(default_factory=dict)
    engines: tuple[Process, ...] = ()
    socket: DefaultSocket = DefaultSocket()


def missing_packages(state: HostState) -> tuple[str, ...]:
    """The packages that provide what is missing; no engine if the host has one of any origin."""
    engine = () if state.dockerd else (_ENGINE_PACKAGE,)
    return engine + tuple(_LIBRARY_PACKAGES[name] for name in _missing_libraries(state))


def find_obstacles(state: HostState) -> tuple[WormholeError, ...]:
    """Everything that keeps the role engine from preparing this host, whatever it installs."""
    found: list[Optional[WormholeError]] = [find_rival(state.running, state.engines, state.socket)]
    found += _old_libraries(state)
    missing = _missing_libraries(state)
    if missing and not is_served(state.python) and not _is_of_another_distribution(state):
        found.append(_unserved(state.python.path, missing))
    elif missing_packages(state) and "debian" not in state.distribution:
        lacks = "no " + ", no ".join(
            [*([] if state.dockerd else ["engine"]), *map(_LIBRARY_PACKAGES.__getitem__, missing)]
        )
        problem = f"This host has {lacks}" + (f" (libraries for {state.python.path})" if missing else "")
        remedy = "Install what is missing; the role wormhole.docker.engine knows the packages of Debian only"
        found.append(MissingRequirement("this host", problem=problem, remedy=remedy))
    return tuple(error for error in found if error is not None)


def is_served(python: Interpreter) -> bool:
    """Whether libraries from Debian's packages are installed for an interpreter.

    They are in a directory that Debian's own interpreters search, and a virtual environment does
    not. Those with compiled parts are built for the default interpreter's version only.
    """
    return _DIST_PACKAGES in python.search_path and python.version == python.default_version


def _is_of_another_distribution(state: HostState) -> bool:
    """Whether the interpreter is that of a distribution whose packages are in other directories."""
    own = ("/usr/bin/python3", f"/usr/bin/python{state.python.default_version}")
    return state.python.path in own and "debian" not in state.distribution


def _unserved(python: str, missing: Sequence[str]) -> WormholeError:
    libraries = " and ".join(missing)
    problem = (
        f"{python}, which runs Ansible's modules on this host, lacks the Python libraries {libraries}. "
        "The distribution's packages do not install them for this interpreter"
    )
    remedy = (
        f"Set ansible_python_interpreter to /usr/bin/python3, or install them: {python} -m pip install "
        + " ".join(missing)
    )
    return MissingRequirement(f"Python libraries of {python}", problem=problem, remedy=remedy)


def _missing_libraries(state: HostState) -> list[str]:
    return [name for name in sorted(_LIBRARY_PACKAGES) if name not in state.libraries]


def _old_libraries(state: HostState) -> Iterator[WormholeError]:
    python = state.python.path
    for name, version in state.libraries.items():
        if _numbers(version) < _numbers(MINIMUM_VERSIONS[name]):
            problem = f"{python} has release {version} of the Python library {name}, which is too old"
            remedy = (
                f"Set ansible_python_interpreter to a Python with {name} {MINIMUM_VERSIONS[name]} or later"
            )
            yield MissingRequirement(f"Python library {name} of {python}", problem=problem, remedy=remedy)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
