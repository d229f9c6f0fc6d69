# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the scenarios: new hosts, and the collection's playbooks against them.

``./dev test integration`` runs them. By hand, with ``./dev lab up`` before it for speed::

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
from lab.spec import Release, Variant
from playbooks import Controller, Run, Started
from runner.turns import take_turn

ROOT = Path(__file__).resolve().parents[2]

FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--release", type=int, choices=(12, 13), help="only scenarios on this Debian release")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the scenarios of the other release; one without a release belongs to 13.

    In a run with a seed they take turns, unless it is thorough. A file whose scenarios share a host runs on one of the
    releases; of the scenarios with hosts of their own, which is most of the time, half do.
    """
    wanted = config.getoption("--release")
    seed = "" if os.environ.get("WORMHOLE_THOROUGH") else os.environ.get("WORMHOLE_SEED", "")

    def is_chosen(item: pytest.Item) -> bool:
        parameters = getattr(item, "callspec", None)
        release = parameters.params.get("release") if parameters else None
        turn: Release | None = release
        if seed and "fresh_hosts" in getattr(item, "fixturenames", ()):
            name = re.sub(r"\b1[23]\b", "", item.nodeid.rpartition("/")[2])
            turn = take_turn(name, (12, None, 13, None), int(seed))
        elif seed and release:
            turn = take_turn(item.path.stem, (12, 13), int(seed))
        in_turn = turn == release if release or not seed else turn is not None
        return in_turn and wanted in (None, release or 13)

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
    """The directory that holds ``ansible_collections`` with the collection under test."""
    if "WORMHOLE_COLLECTIONS" in os.environ:
        return Path(os.environ["WORMHOLE_COLLECTIONS"])
    from runner.stage import stage_collection

    return stage_collection(ROOT)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab that runs in this clone; one of our own where none does."""
    running = Lab.attach(root=ROOT)
    if running is not None:
        yield running
        return
    with Lab.owned(root=ROOT) as started:
        yield started


@pytest.fixture
def fresh_hosts(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., list[Host]]]:
    """Boots hosts as new, at once: ``fresh_hosts(release, release)``. They are gone after the test."""
    made: list[Host] = []

    def boot(*releases: Release, variant: Variant = "standard") -> list[Host]:
        hosts = lab.add_hosts([HostSpec(release, variant) for release in releases])
        made.extend(hosts)
        return hosts

    yield boot
    for host in made:
        if request.node.stash.get(FAILED, False):
            tell_state(host)
        host.destroy()


@pytest.fixture
def fresh_host(fresh_hosts: Callable[..., list[Host]]) -> Callable[..., Host]:
    """Boots a host as new: ``fresh_host(release, variant="standard")``. It is gone after the test."""

    def boot(release: Release, variant: Variant = "standard") -> Host:
        return fresh_hosts(release, variant=variant)[0]

    return boot


def tell_state(host: Host) -> None:
    """What somebody who looks into a failure wants to know; pytest shows it below the failed test."""
    command = (
        "systemctl --no-pager status docker.service docker.socket 'wormhole-docker-*'; ss -Hltnp; "
        "cat /etc/docker/daemon.json; docker ps -a; journalctl --no-pager -n 60 -u docker.service"
    )
    print(f"--- {host.name}\n{host.run(command + ' 2>&1', check=False).stdout}")


@pytest.fixture
def new_controller(lab: Lab, collections: Path, tmp_path: Path) -> Callable[[str], Controller]:
    """Makes a controller that has never seen a host; its name is that of its home directory."""

    def make(name: str) -> Controller:
        home = tmp_path / name
        home.mkdir(mode=0o700)
        return Controller(lab, home, collections)

    return make


@pytest.fixture
def controller(new_controller: Callable[[str], Controller]) -> Controller:
    """The controller of a test that needs no more than one."""
    return new_controller("controller")


@pytest.fixture
def controller_ca(controller: Controller) -> Path:
    """Where the controller keeps its CA by default."""
    return controller.home / ".wormhole/ca"


@pytest.fixture
def playbook(controller: Controller) -> Callable[..., Run]:
    """Runs a playbook of the collection: ``playbook(name, host or hosts, *arguments, check=True)``."""
    return controller.playbook


@pytest.fixture
def start_playbook(controller: Controller) -> Callable[..., Started]:
    """Starts a playbook and does not wait for it: ``start_playbook(name, host or hosts, *arguments)``."""
    return controller.start
