# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the scenarios: new hosts, and the collection's playbooks.

``./dev test integration`` runs them. To run one by hand (faster after ``./dev lab up``)::

    PYTHONPATH=tests .dev/venv/bin/python -m pytest tests/system -k reboot --release 13
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Host, HostSpec, Lab
from lab.spec import DEFAULT, RELEASES, Release, Variant
from playbooks import Controller, Run, Started
from runner.turns import OWN_HOSTS, SHARING, take_share

ROOT = Path(__file__).resolve().parents[2]

FAILED = pytest.StashKey[bool]()

_RELEASE = re.compile(rf"\b({'|'.join(map(str, RELEASES))})\b")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--release", type=int, choices=RELEASES, help="only scenarios on this Debian release")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the scenarios of the other releases. A scenario without one belongs to the default.

    Unless it is thorough, a run with a seed takes a sample: a quarter of the files whose scenarios share
    a host, each on one release, and a ninth of the scenarios with their own hosts.
    """
    wanted = config.getoption("--release")
    seed = "" if os.environ.get("WORMHOLE_THOROUGH") else os.environ.get("WORMHOLE_SEED", "")

    def is_chosen(item: pytest.Item) -> bool:
        parameters = getattr(item, "callspec", None)
        release = parameters.params.get("release") if parameters else None
        turn: Release | None = release
        if seed and "fresh_hosts" in getattr(item, "fixturenames", ()):
            name = _RELEASE.sub("", item.nodeid.rpartition("/")[2])
            turn = take_share(name, RELEASES, OWN_HOSTS, int(seed))
        elif seed and release:
            # With these names, all quarters take about the same time, here and in the runner.
            turn = take_share(f"chosen {item.path.stem}", RELEASES, SHARING, int(seed))
        in_turn = turn == release if release or not seed else turn is not None
        return in_turn and wanted in (None, release or DEFAULT)

    chosen = [item for item in items if is_chosen(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: Any = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def collections() -> Path:
    """Return the directory with ``ansible_collections`` and the collection under test."""
    if "WORMHOLE_COLLECTIONS" in os.environ:
        return Path(os.environ["WORMHOLE_COLLECTIONS"])
    from runner.stage import stage_collection

    return stage_collection(ROOT)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Return the running lab of this clone, or start one."""
    running = Lab.attach(root=ROOT)
    if running is not None:
        yield running
        return
    with Lab.owned(root=ROOT) as started:
        yield started


@pytest.fixture
def fresh_hosts(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., list[Host]]]:
    """Boot new hosts concurrently: ``fresh_hosts(release, release)``, removed after the test."""
    made: list[Host] = []

    def boot(*releases: Release, variant: Variant = "standard") -> list[Host]:
        hosts = lab.add_hosts([HostSpec(release, variant) for release in releases])
        made.extend(hosts)
        return hosts

    yield boot
    for host in made:
        if request.node.stash.get(FAILED, False):
            print_state(host)
        host.destroy()


@pytest.fixture
def fresh_host(fresh_hosts: Callable[..., list[Host]]) -> Callable[..., Host]:
    """Boot a new host: ``fresh_host(release, variant="standard")``, removed after the test."""

    def boot(release: Release, variant: Variant = "standard") -> Host:
        return fresh_hosts(release, variant=variant)[0]

    return boot


def print_state(host: Host) -> None:
    """Print the state of a host, which pytest shows below the failed test."""
    command = (
        "systemctl --no-pager status docker.service docker.socket 'wormhole-docker-*'; ss -Hltnp; "
        "cat /etc/docker/daemon.json; docker ps -a; journalctl --no-pager -n 60 -u docker.service"
    )
    print(f"--- {host.name}\n{host.run(command + ' 2>&1', check=False).stdout}")


@pytest.fixture
def new_controller(lab: Lab, collections: Path, tmp_path: Path) -> Callable[[str], Controller]:
    """Create a new controller, with a new home directory of the given name."""

    def make(name: str) -> Controller:
        home = tmp_path / name
        home.mkdir(mode=0o700)
        return Controller(lab, home, collections)

    return make


@pytest.fixture
def controller(new_controller: Callable[[str], Controller]) -> Controller:
    """Return the controller of a test with one controller."""
    return new_controller("controller")


@pytest.fixture
def controller_ca(controller: Controller) -> Path:
    """Return the default directory of the controller's authorities."""
    return controller.home / ".wormhole/ca"


@pytest.fixture
def own_ca(controller_ca: Path) -> Callable[[Host], Path]:
    """Return the default directory of a host's own authority."""
    return lambda host: controller_ca / "hosts" / host.name


@pytest.fixture
def playbook(controller: Controller) -> Callable[..., Run]:
    """Run a collection playbook: ``playbook(name, host or hosts, *arguments, check=True)``."""
    return controller.playbook


@pytest.fixture
def start_playbook(controller: Controller) -> Callable[..., Started]:
    """Start a playbook and do not wait: ``start_playbook(name, host or hosts, *arguments)``."""
    return controller.start
