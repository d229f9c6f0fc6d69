# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the run-time discovery: installed, observed and removed without a trace."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.labels import LABEL_DISCOVER
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.io import program as program_host
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.program import (
    InstallProgram,
    ProgramState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.spec import WiringSpec

RUNTIME = WiringSpec(discover="runtime")


class Containers:
    """An engine whose containers of these names look for their engine at run time."""

    def __init__(self, *names):
        self.names = names

    def containers(self, *, labels):
        assert labels == {LABEL_DISCOVER: "runtime"}
        return [{"Names": [f"/{name}"]} for name in self.names]


@pytest.fixture
def directory(monkeypatch, tmp_path):
    path = tmp_path / "wormhole-docker"
    monkeypatch.setattr(program_host, "DIRECTORY", str(path))
    monkeypatch.setattr(program_host, "PROGRAM", str(path / "program"))
    monkeypatch.setattr(program_host, "NAMES", str(path / "names"))
    return path


def test_installed_observed_and_removed_without_a_trace(directory):
    engine = Containers("agent", "other")
    assert program_host.observe_program(engine, WiringSpec(), ("agent",), ()) == ProgramState()
    program_host.install_program(InstallProgram("text", ("IP:10.0.0.1", "DNS:localhost")))
    assert (directory / "program").stat().st_mode & 0o777 == 0o755
    expected = ProgramState("text", ("IP:10.0.0.1", "DNS:localhost"), users=("other",))
    assert program_host.observe_program(engine, RUNTIME, ("agent",), ()) == expected
    program_host.install_program(InstallProgram(None, ("IP:10.0.0.2",)))
    assert program_host.observe_program(engine, RUNTIME, ("agent",), ()).program == "text"
    program_host.remove_program()
    assert not directory.exists()


def test_what_is_not_ours_in_the_directory_stays(directory):
    program_host.install_program(InstallProgram("text", None))
    (directory / "mine").touch()
    program_host.remove_program()
    assert [path.name for path in directory.iterdir()] == ["mine"]
