# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of a host's gate."""

from __future__ import annotations

import hashlib
import os

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import EngineUnavailable
from ansible_collections.wormhole.docker.plugins.module_utils._gate import config, units
from ansible_collections.wormhole.docker.plugins.module_utils._gate.ending import REMOVED, Ending
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.io import observe
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.model import Unit
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.spec import GateHostSpec

SHOWN = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
RUNNING = [
    {"Names": ["/labelled"], "Labels": {"wormhole.docker.gate": "true"}, "Mounts": []},
    {"Names": ["/mounted"], "Labels": None, "Mounts": [{"Source": "/run/wormhole/gate/ci"}]},
    {"Names": ["/all"], "Labels": {}, "Mounts": [{"Source": "/run/wormhole/gate"}]},
    {
        "Names": ["/other"],
        "Labels": {"wormhole.docker.gate": "false"},
        "Mounts": [{"Source": "/run/wormhole/gates"}],
    },
    {"Names": ["/tls"], "Labels": {"wormhole.docker.transport": "tls"}},
    {
        "Names": ["/elsewhere"],
        "Labels": {"wormhole.docker.transport": "tls", "wormhole.docker.engine": "tcp://x"},
    },
    {"Names": ["/volume"], "Labels": {}, "Mounts": [{"Type": "volume"}]},
]


class Engine:
    def containers(self, *, labels, running_only=False):
        assert running_only
        return RUNNING


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(units, "UNIT_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(observe, "UNIT_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(units, "PROGRAM", str(tmp_path / "gate.pyz"))
    monkeypatch.setattr(config, "PATH", str(tmp_path / "gate.json"))
    monkeypatch.setattr(config, "POLICIES", str(tmp_path / "policies"))
    shown = {units.SERVICE: dict(SHOWN, MainPID="0")}

    def show(patterns, properties):
        # systemctl fails if it is asked for a template.
        assert not [pattern for pattern in patterns if "@." in pattern]
        return shown

    monkeypatch.setattr(observe.systemd, "show_matching", show)
    (tmp_path / "docker.sock").touch()
    (tmp_path / "policies").mkdir()
    return tmp_path


def look(host, **options):
    spec = GateHostSpec(engine=str(host / "docker.sock"), program="a" * 64, **options)
    return observe.observe_gate_host(spec, Engine)


def test_files_units_and_policies_are_read(host):
    (host / "gate.pyz").write_bytes(b"program")
    (host / ".gate.json.abc.new").write_text("half")
    (host / "wormhole-gate-unix-ci.socket").write_text("x")
    (host / "wormhole-gate-other.socket").write_text("x")
    (host / "policies/ci.json").write_text("{}")
    state = look(host)
    assert state.files[str(host / "gate.pyz")].content == hashlib.sha256(b"program").hexdigest()
    assert state.doors == ("wormhole-gate-unix-ci.socket",)
    assert state.policies == ("ci",)
    assert state.leftovers == (str(host / ".gate.json.abc.new"),)
    assert state.units[units.SERVICE] == Unit(active=True, enabled=True, stale=False)
    # The engine is not asked unless access is removed.
    assert state.users == ()


def test_containers_with_access_are_found_by_label_or_mount(host):
    assert look(host, state="absent").users == ()
    (host / "policies/ci.json").write_text("{}")
    assert look(host, state="absent").users == ("all", "labelled", "mounted")
    # Where the gate serves TLS, all wormholes that use TLS use it.
    (host / "wormhole-gate-tls-172.17.0.1:2376.socket").write_text("x")
    assert look(host, state="absent").users == ("all", "labelled", "mounted", "tls")
    (host / "docker.sock").unlink()
    assert look(host, state="absent").users == ()


def test_what_wormholes_have_created_is_asked_of_the_program(host, monkeypatch):
    (host / "gate.pyz").write_bytes(b"program")
    web = Ending("ci", "container", "a" * 64, "web", REMOVED)
    monkeypatch.setattr(observe.consulting, "is_installed", lambda: True)
    monkeypatch.setattr(observe.consulting, "clean_up", lambda names, carry_out: (web,))
    assert (look(host, state="absent").siblings, look(host, state="absent").unknown) == ((web,), "")
    assert look(host).siblings == (), "only a removal asks"

    def fail(names, carry_out):
        raise EngineUnavailable("program", problem="It is broken")

    monkeypatch.setattr(observe.consulting, "clean_up", fail)
    assert (look(host, state="absent").siblings, look(host, state="absent").unknown) == ((), "It is broken")
    (host / "docker.sock").unlink()
    assert look(host, state="absent").unknown == "", "there is no engine"


def test_the_instances_of_a_template_show_whether_it_was_read():
    shown = {
        "wormhole-gate-door@unix-a.service": {"ActiveState": "active", "NeedDaemonReload": "no"},
        "wormhole-gate-door@unix-b.service": {"ActiveState": "inactive", "NeedDaemonReload": "yes"},
        "wormhole-gate.service": {"ActiveState": "inactive", "NeedDaemonReload": "no"},
    }
    assert observe._unit(units.DOOR, shown) == Unit(active=True, stale=True)
    assert observe._unit(units.SERVICE, shown) == Unit()
    assert observe._unit(units.DOOR, {}) == Unit()


def test_the_version_of_the_running_process(monkeypatch):
    monkeypatch.setattr(observe.desired, "read_version", lambda environment: f"{len(environment) > 0}")
    assert observe._running_version(str(os.getpid())) == "True"
    assert observe._running_version("0") == ""
    assert observe._running_version("999999999") == ""
