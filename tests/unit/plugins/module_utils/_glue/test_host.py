# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of the steps that set up a host, each of which says what it was asked for."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._glue import host
from ansible_collections.wormhole.docker.plugins.module_utils._glue.host_options import (
    GATE_ARGUMENTS,
    HOST_ARGUMENTS,
    LISTENER_ARGUMENTS,
    gate_of,
)

REASON = {"code": "x", "subject": "x", "text": "x"}
FOUND = {"obstacles": [], "missing_packages": [], "running": True}


def defaults(arguments):
    return {name: argument.get("default") for name, argument in arguments.items()}


class Steps:
    """Steps that change nothing, unless a test says otherwise.

    Attributes:
        taken: what was asked for, in order.
        missing: the missing packages.
        reissued: whether the server's certificate has to be issued.
        issuing: whether a wormhole's identity has to be issued.
        rejects: whether the listener's options are rejected.
        gate: whether the gate changes, and whether its program has to be sent before.
    """

    is_empty = False

    def __init__(self, monkeypatch):
        self.taken = []
        self.missing = []
        self.reissued = self.issuing = self.rejects = False
        self.gate = (False, False)
        monkeypatch.setattr(host, "describe_engine", self.describe_engine)
        monkeypatch.setattr(host.packages, "install", self.install)
        monkeypatch.setattr(host, "describe_gateways", lambda params: {"subject_alternative_names": []})
        monkeypatch.setattr(host, "manage_certificates", self.manage_certificates)
        monkeypatch.setattr(host, "request_certificates", lambda options: {"dockerd": "request"})
        monkeypatch.setattr(host, "ensure_listener", self.ensure_listener)
        monkeypatch.setattr(host, "plan_ahead", self.plan_gate)
        monkeypatch.setattr(host, "ensure_gate", self.ensure_gate)
        monkeypatch.setattr(host, "WormholeList", lambda *arguments, **options: self)

    def describe_engine(self):
        return {**FOUND, "missing_packages": self.missing}

    def install(self, names, libraries):
        self.taken.append("install")
        self.missing = []

    def manage_certificates(self, options, *, check_mode):
        reasons = [REASON] if self.reissued else []
        if not check_mode:
            self.taken.append("issue")
        return {"changed": bool(reasons), "reasons": reasons, "restart_required": False, "diff": {}}

    def ensure_listener(self, params, *, check_mode):
        self.taken.append(f"listener {params['state']}")
        if self.rejects:
            raise Refused("port 2376", problem="port 2376 is in use", remedy="Nothing was changed")
        return {"changed": False, "reasons": [], "diff": {}}

    def plan_gate(self, params):
        changed, lacks_program = self.gate
        return {"changed": changed, "reasons": [], "diff": {}}, lacks_program

    def ensure_gate(self, params, *, check_mode):
        self.taken.append("gate")
        return {"changed": True, "reasons": [REASON], "diff": {}}

    @property
    def issues(self):
        return self.issuing

    def find_needed(self, announced, *, listener_comes):
        self.taken.append("request")
        return {"requests": {"agent": "request"}} if self.issuing else {}

    def run(self):
        self.taken.append("wormholes")
        return {"changed": False, "reasons": [], "diff": []}

    def set_up(self, *, check_mode=False, **options):
        self.taken.clear()
        params = {**defaults(HOST_ARGUMENTS), "listener": defaults(LISTENER_ARGUMENTS), "identities": []}
        params["gate"] = defaults(GATE_ARGUMENTS)
        params.update(gate_program="a" * 64, gate_program_content=None)
        given = {"authority": {}, "issued": None, "announced": [], **options}
        return host.set_up_host({**params, **given}, check_mode=check_mode, log=print)


@pytest.fixture
def steps(monkeypatch):
    return Steps(monkeypatch)


def test_nothing_is_requested_before_the_listener_is_planned(steps):
    steps.issuing = True
    assert steps.set_up()["requests"] == {"agent": "request"}
    assert steps.taken == ["listener planned", "request"]
    steps.rejects = True
    with pytest.raises(Refused):
        steps.set_up()
    assert steps.taken == ["listener planned"]
    steps.issuing, steps.reissued = False, True
    with pytest.raises(Refused):
        steps.set_up()
    assert steps.taken == ["listener planned"]


def test_a_listener_that_has_nothing_to_do_is_observed_once(steps):
    assert not steps.set_up()["changed"]
    assert steps.taken == ["request", "listener present", "wormholes"]


GATE = {"gate": {**defaults(GATE_ARGUMENTS), "state": "present"}}


def sections(result):
    return [section["section"] for section in result["sections"]]


def test_the_gate_is_installed_between_the_certificates_and_the_listener(steps):
    steps.gate = (True, False)
    assert sections(steps.set_up(**GATE)) == ["engine", "certificates", "gate", "listener", "wormholes"]
    assert steps.taken == ["listener planned", "request", "gate", "listener present", "wormholes"]
    assert steps.set_up(check_mode=True, **GATE)["changed"]
    # A gate as it should be is observed once.
    steps.gate = (False, False)
    done = steps.set_up(**GATE)
    assert (done["changed"], sections(done)[2]) == (False, "gate")
    assert steps.taken == ["request", "listener present", "wormholes"]
    assert "gate" not in sections(steps.set_up())


def test_the_program_is_asked_for_together_with_signatures_and_before_any_change(steps):
    steps.gate, steps.issuing = (True, True), True
    needed = steps.set_up(**GATE)
    assert (needed["program_required"], needed["requests"]) == (True, {"agent": "request"})
    assert steps.taken == ["listener planned", "request"]
    # A task that has signatures from elsewhere needs the program all the same.
    needed = steps.set_up(issued={}, **GATE)
    assert needed["program_required"]
    assert "requests" not in needed
    assert steps.taken == []
    # Check mode asks for nothing.
    assert "program_required" not in steps.set_up(check_mode=True, **GATE)


def test_a_listener_that_is_rejected_leaves_no_gate_behind(steps):
    steps.gate, steps.rejects = (True, False), True
    with pytest.raises(Refused):
        steps.set_up(**GATE)
    assert steps.taken == ["listener planned"]


def test_the_gate_serves_tls_with_the_certificate_of_the_listener():
    params = {
        "gate": defaults(GATE_ARGUMENTS),
        "wormholes": [],
        "gate_program": "x",
        "gate_program_content": None,
        "listener": {**defaults(LISTENER_ARGUMENTS), "served_by": "gate", "directory": "/srv/tls"},
    }
    assert (gate_of(params) or {})["tls_directory"] == "/srv/tls"
    params["listener"]["served_by"] = "dockerd"
    assert gate_of(params) is None
    params["wormholes"] = [{"policy": "observe"}]
    assert (gate_of(params) or {})["tls_directory"] == ""


def test_in_check_mode_a_failure_claims_no_change(steps):
    steps.reissued = steps.rejects = True
    with pytest.raises(Refused):
        steps.set_up(check_mode=True)
    assert steps.taken == ["listener present"]


def test_a_failure_after_a_change_has_the_parts_that_were_changed(steps):
    steps.rejects, steps.missing = True, ["docker.io"]
    failed = steps.set_up(announced=["packages"])
    assert steps.taken == ["install", "request", "listener present"]
    assert failed["failed"]
    assert failed["msg"].startswith("port 2376 is in use")
    assert [(section["section"], section["changed"]) for section in failed["sections"]] == [
        ("engine", True),
        ("certificates", False),
    ]
    assert [reason["subject"] for reason in failed["reasons"]] == ["docker.io"]
