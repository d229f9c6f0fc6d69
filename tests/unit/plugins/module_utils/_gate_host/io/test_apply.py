# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of the gate that fails is undone."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    ApplyFailed,
    EngineUnavailable,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._gate import units
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host import model
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.io import apply as gate_host

ME = pwd.getpwuid(os.geteuid()).pw_name
MINE = grp.getgrgid(os.getegid()).gr_name


class Host:
    """A host whose systemd and users are recorded; the files are real, below a temporary directory."""

    def __init__(self, root, monkeypatch):
        self.root, self.done, self.fails = root, [], False
        monkeypatch.setattr(units, "UNIT_DIRECTORY", str(root))
        monkeypatch.setattr(gate_host, "_PARENTS", ())
        for name in ("daemon_reload", "stop", "enable"):
            monkeypatch.setattr(gate_host.systemd, name, self.record(name))
        monkeypatch.setattr(gate_host.systemd, "restart", self.restart)
        monkeypatch.setattr(gate_host, "run", lambda argv, timeout: None)
        plain = {
            model.CreateUser: self.record("create user"),
            model.ReloadUnits: self.record("daemon_reload"),
            model.RestartGate: lambda: self.restart(units.SERVICE),
        }
        monkeypatch.setattr(gate_host, "_PLAIN", plain)
        monkeypatch.setattr(gate_host, "remove_user", self.record("remove user"))

    def record(self, name):
        return lambda *arguments: self.done.append((name, *arguments))

    def restart(self, unit):
        self.done.append(("restart", unit))
        if self.fails:
            self.fails = False
            raise EngineUnavailable(
                unit, found="x", problem=f"{unit} did not start: it is broken", remedy="See"
            )

    def file(self, name, content, mode=0o644):
        path = str(self.root / name)
        kind = model.InstallProgram if name.endswith(".pyz") else model.WriteFile
        return kind(path, model.File(content, mode, ME, MINE))

    def carry_out(self, *actions, program=b"new"):
        self.done = []
        reasons = (Reason("x", "x"),)
        gate_host.GateHost(program).apply(Plan({}, {}, reasons, actions))

    def content(self):
        paths = [path for path in self.root.rglob("*") if path.is_file()]
        return {path.relative_to(self.root).as_posix(): path.read_text() for path in paths}


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def install(host, text):
    return (
        host.file("lib/gate.pyz", "hash"),
        host.file(units.SERVICE, text),
        model.ReloadUnits(),
        model.RestartGate("v"),
    )


FIRST = {"lib/gate.pyz": "old", units.SERVICE: "old unit"}


def test_files_have_their_content_and_mode(host):
    host.carry_out(*install(host, "old unit"), program=b"old")
    assert host.content() == FIRST
    assert os.stat(host.root / units.SERVICE).st_mode & 0o777 == 0o644
    assert host.done == [("daemon_reload",), ("restart", units.SERVICE)]


def test_an_update_that_does_not_start_is_undone(host):
    host.carry_out(*install(host, "old unit"), program=b"old")
    host.fails = True
    with pytest.raises(ApplyFailed, match="did not start: it is broken.* The previous gate was restored"):
        host.carry_out(*install(host, "new unit"))
    assert host.content() == FIRST
    # The previous program serves again.
    assert host.done[-2:] == [("daemon_reload",), ("restart", units.SERVICE)]


def test_a_first_installation_that_does_not_start_leaves_nothing(host):
    host.fails = True
    directory = model.MakeDirectory(str(host.root / "policies"), model.Directory(0o750, ME, MINE))
    with pytest.raises(ApplyFailed, match="did not start: it is broken.* Nothing of the gate was kept"):
        host.carry_out(model.CreateUser(), directory, *install(host, "unit"))
    assert host.content() == {}
    assert not (host.root / "policies").exists()
    assert ("stop", units.SERVICE) in host.done
    assert host.done[-1] == ("remove user",)


def test_a_restoration_that_fails_is_reported(host):
    host.carry_out(*install(host, "old unit"), program=b"old")

    def fail(unit):
        raise EngineUnavailable(unit, problem="systemd is gone")

    host.restart = fail
    gate_host.systemd.restart = fail
    gate_host._PLAIN[model.RestartGate] = lambda: fail(units.SERVICE)
    with pytest.raises(
        ApplyFailed, match="systemd is gone. The previous state could not be restored: systemd"
    ):
        host.carry_out(*install(host, "new unit"))


def test_without_its_program_nothing_is_written(host):
    with pytest.raises(ApplyFailed, match="The program was not sent"):
        host.carry_out(*install(host, "unit"), program=None)
    assert host.content() == {}


def test_a_removal_stops_what_starts_others_first(host):
    names = (units.SERVICE, units.DOOR, units.CERTIFICATE_PATH, units.unix_unit("ci"))
    for name in names:
        (host.root / name).write_text("x")
        for link in units.wants_links(name):
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(host.root / name, link)
    state = host.root / "state"
    (state / "below").mkdir(parents=True)
    outside = host.root.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    os.symlink(outside, state / "link")
    host.carry_out(model.RemoveUnits(names), model.RemoveDirectories((str(state), "/nonexistent/x")))
    stopped = host.done[0][1:]
    assert set(stopped[:2]) == {units.CERTIFICATE_PATH, units.unix_unit("ci")}
    assert list(host.root.iterdir()) == []
    assert (outside / "kept").exists()
