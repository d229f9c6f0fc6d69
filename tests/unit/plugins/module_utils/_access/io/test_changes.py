# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The access of an identity is written, restored and removed. systemd is a stand-in."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import stat
from dataclasses import replace

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._access.io import changes, siblings
from ansible_collections.wormhole.docker.plugins.module_utils._access.io import state as observing
from ansible_collections.wormhole.docker.plugins.module_utils._access.model import RequireGate
from ansible_collections.wormhole.docker.plugins.module_utils._access.plan import plan_access, plan_removal
from ansible_collections.wormhole.docker.plugins.module_utils._access.spec import AccessSpec
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    EngineUnavailable,
    MissingRequirement,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.io import files
from ansible_collections.wormhole.docker.plugins.module_utils._gate.ending import REMOVED, Ending

ME = os.getuid()
SPEC = AccessSpec("agent", "ci", door=True)


class Systemd:
    """Listens at the socket of a unit's file while the unit is started."""

    def __init__(self, place, links):
        self.place, self.links = place, links
        self.calls = []
        self.sockets = {}
        self.failing = ""

    def _note(self, call):
        self.calls.append(call)
        if call == self.failing:
            raise EngineUnavailable(call)

    def daemon_reload(self):
        self._note("reload")

    def enable(self, unit):
        self._note("enable")
        for link in self.links(unit):
            os.symlink("unit", link)

    def restart_units(self, unit):
        self._note("restart")
        text = (self.place / unit).read_text()
        path = next(line[len("ListenStream=") :] for line in text.splitlines() if line.startswith("Listen"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.sockets[unit] = socket.socket(socket.AF_UNIX)
        self.sockets[unit].bind(path)
        os.chmod(path, 0o600)

    def stop(self, unit):
        self._note("stop")
        if unit in self.sockets:
            path = self.sockets[unit].getsockname()
            self.sockets.pop(unit).close()
            os.unlink(path)


@pytest.fixture
def host(tmp_path, monkeypatch):
    for name in ("policies", "units", "wants", "run"):
        (tmp_path / name).mkdir()

    def socket_path(identity):
        return f"{tmp_path}/run/{identity}/docker.sock"

    def links(unit):
        return (f"{tmp_path}/wants/{unit}",)

    write = files.write_file
    for module in (changes, observing):
        monkeypatch.setattr(module.places, "policy_path", lambda name: f"{tmp_path}/policies/{name}.json")
        monkeypatch.setattr(module.units, "unit_path", lambda name: f"{tmp_path}/units/{name}")
        monkeypatch.setattr(module.units, "socket_path", socket_path)
        monkeypatch.setattr(module.units, "wants_links", links)
        monkeypatch.setattr(module, "gate_group", os.getgid)
    monkeypatch.setattr(changes.places, "POLICIES", f"{tmp_path}/policies")
    monkeypatch.setattr(observing, "is_installed", lambda: True)
    monkeypatch.setattr(
        changes.files, "write_file", lambda path, content, **how: write(path, content, **{**how, "uid": ME})
    )
    found = Systemd(tmp_path / "units", links)
    monkeypatch.setattr(changes, "systemd", found)
    monkeypatch.setattr(changes.os, "chown", lambda path, uid, gid, **how: found.calls.append(f"chown {uid}"))
    return found


def give(spec=SPEC, user=ME):
    changes.apply_access(plan_access(spec, observing.observe_access(spec.identity), user).actions)


def everything(tmp_path):
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir())


def test_a_policy_and_a_door_are_given_and_taken(host, tmp_path):
    give()
    path = tmp_path / "policies/agent.json"
    assert json.loads(path.read_text())["policy"]["preset"] == "ci"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert host.calls == ["reload", "enable", "restart", f"chown {ME}"]
    found = observing.observe_access("agent")
    assert plan_access(SPEC, replace(found, protected=True), ME).is_empty

    changes.apply_access(plan_removal({"agent": observing.observe_access("agent")}).actions)
    assert everything(tmp_path) == []
    assert not (tmp_path / "run/agent").exists()


def test_another_policy_replaces_the_file_only(host, tmp_path):
    give()
    host.calls.clear()
    path = tmp_path / "policies/agent.json"
    before = path.stat().st_ino
    give(replace(SPEC, preset="test"))
    assert json.loads(path.read_text())["policy"]["preset"] == "test"
    assert path.stat().st_ino != before
    assert host.calls == []


def test_another_user_gets_the_socket_without_a_restart(host):
    give()
    host.calls.clear()
    changes.give_door("agent", ME + 1)
    assert host.calls == ["reload", f"chown {ME + 1}"]


def test_a_missing_socket_is_opened_again(host, tmp_path):
    give()
    host.stop("wormhole-gate-unix-agent.socket")
    host.calls.clear()
    give()
    assert host.calls == ["restart", f"chown {ME}"]


def test_a_socket_that_is_not_enabled_at_boot_is_enabled_without_a_restart(host, tmp_path):
    give()
    os.unlink(tmp_path / "wants/wormhole-gate-unix-agent.socket")
    host.calls.clear()
    give()
    assert host.calls == ["enable", f"chown {ME}"]


@pytest.mark.parametrize("failing", ["reload", "enable", "restart"])
def test_a_failed_run_leaves_nothing_behind(host, tmp_path, failing):
    host.failing = failing
    with pytest.raises(EngineUnavailable):
        give()
    host.failing = ""
    changes.restore_access("agent", observing.AccessState(gate=True))
    assert everything(tmp_path) == []


def test_a_failed_change_restores_the_previous_policy(host, tmp_path):
    give()
    previous, before = observing.observe_access("agent"), everything(tmp_path)
    give(replace(SPEC, preset="unrestricted"))
    changes.restore_access("agent", previous)
    assert observing.observe_access("agent").policy == previous.policy
    assert everything(tmp_path) == before


def test_the_record_of_the_calls_is_removed_with_the_policy(host, tmp_path, monkeypatch):
    monkeypatch.setattr(changes.units, "STATE", str(tmp_path / "state"))
    give()
    records = tmp_path / "state/learned"
    records.mkdir(parents=True)
    for name in ("agent", "other"):
        (records / f"{name}.json").write_text("{}")
    changes.apply_access(plan_removal({"agent": observing.observe_access("agent")}).actions)
    assert everything(tmp_path) == ["state/learned/other.json"]
    # The directory belongs to the gate, which cannot lead root elsewhere.
    elsewhere = tmp_path / "elsewhere"
    records.rename(elsewhere)
    records.symlink_to(elsewhere)
    give(replace(SPEC, identity="other"))
    changes.apply_access(plan_removal({"other": observing.observe_access("other")}).actions)
    assert (elsewhere / "other.json").exists()
    assert not (tmp_path / "policies/other.json").exists()


def test_a_record_that_the_gate_writes_meanwhile_is_removed_too(host, tmp_path, monkeypatch):
    monkeypatch.setattr(changes.units, "STATE", str(tmp_path / "state"))
    give()
    record = tmp_path / "state/learned/agent.json"
    record.parent.mkdir(parents=True)
    remove = files.remove_file

    def remove_file(path):
        if path.endswith("policies/agent.json"):
            record.write_text("{}")
        remove(path)

    monkeypatch.setattr(changes.files, "remove_file", remove_file)
    changes.apply_access(plan_removal({"agent": observing.observe_access("agent")}).actions)
    assert everything(tmp_path) == []


def test_siblings_are_ended_by_the_program(host, monkeypatch):
    asked = []
    ended = Ending("agent", "volume", "data", "data", REMOVED)

    def clean_up(identities, *, carry_out):
        asked.append((identities, carry_out, observing.observe_access("agent").policy is not None))
        return (ended,)

    monkeypatch.setattr(changes.consulting, "clean_up", clean_up)
    monkeypatch.setattr(siblings.consulting, "clean_up", clean_up)
    give()
    state = siblings.with_siblings("agent", observing.observe_access("agent"))
    assert changes.apply_access(plan_removal({"agent": state}).actions) == (ended,)
    # The policy exists until they are gone: it says what to do.
    assert asked == [(["agent"], False, True), (["agent"], True, True)]


def test_a_policy_that_limits_nothing_marks_nothing(host, monkeypatch):
    monkeypatch.setattr(siblings.consulting, "clean_up", lambda *_names, **_how: pytest.fail("asked"))
    give(replace(SPEC, preset="unrestricted"))
    assert siblings.with_siblings("agent", observing.observe_access("agent")).siblings == ()


def test_a_program_that_does_not_answer_does_not_prevent_a_removal(host, tmp_path, monkeypatch):
    def fail(*_names, **_how):
        raise EngineUnavailable("program")

    monkeypatch.setattr(siblings.consulting, "clean_up", fail)
    give()
    state = siblings.with_siblings("agent", observing.observe_access("agent"))
    changes.apply_access(plan_removal({"agent": state}).actions)
    assert everything(tmp_path) == []


def test_what_a_killed_run_has_left_is_removed_with_the_policy(host, tmp_path):
    give()
    (tmp_path / "policies/.agent.json.x.new").write_text("{")
    changes.apply_access(plan_removal({"agent": observing.observe_access("agent")}).actions)
    assert everything(tmp_path) == []


def test_a_plan_without_a_gate_fails_before_anything_is_changed(host, tmp_path):
    with pytest.raises(MissingRequirement) as caught:
        changes.require_access([RequireGate("agent", "There is no gate", "Install it")])
    assert str(caught.value) == "There is no gate. Install it"
    with pytest.raises(MissingRequirement):
        changes.apply_access([RequireGate("agent", "There is no gate", "Install it")])
    assert everything(tmp_path) == []


def test_fingerprints_are_those_of_the_certificates(tmp_path):
    path = tmp_path / "cert.pem"
    text = base64.b64encode(b"der").decode()
    path.write_text(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    expected = (hashlib.sha256(b"der").hexdigest(),)
    assert observing.read_fingerprints([str(path), str(tmp_path / "missing")]) == expected
    path.write_text("no certificate")
    with pytest.raises(VerificationFailed, match="is not a certificate"):
        observing.read_fingerprints([str(path)])
