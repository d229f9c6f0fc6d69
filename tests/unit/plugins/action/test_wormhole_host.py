# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin of wormhole_host, with a module that answers as told. System tests run the real one."""

from __future__ import annotations

import re
import types

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.wormhole.docker.plugins.action import wormhole_host as action
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding
from ansible_collections.wormhole.docker.plugins.module_utils._glue.host_options import (
    LISTENER_ARGUMENTS,
    needs_gate,
)
from ansible_collections.wormhole.docker.plugins.plugin_utils import wormholes
from ansible_collections.wormhole.docker.tests.unit.plugins.action import fleet as fleets

AGENT = {"name": "agent", "image": "busybox"}
IDENTITY = "/etc/wormhole/identities/agent"
GATEWAYS = [{"name": "IP:172.17.0.1", "origin": "gateway of network bridge"}]
SECTIONS = [{"section": "listener", "changed": False, "reasons": [], "diff": {"before": {}, "after": {}}}]
ENGINE = {"section": "engine", "changed": False, "reasons": []}
DONE = {"changed": False, "reasons": [], "diff": [], "sections": SECTIONS}


def request():
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


class Setup:
    """A controller and a host whose module gives the answers of a list, one after the other."""

    def __init__(self, home, monkeypatch):
        self.fleet = fleets.Fleet(home)
        self.fleet.execute_module = self.answer
        self.answers, self.sent, self.said, self.existed = [], [], [], []
        display = types.SimpleNamespace(display=lambda text, **_options: self.said.append(text))
        monkeypatch.setattr(wormholes, "display", display)

    def answer(self, module_name, module_args, task_vars):
        assert module_name == "wormhole.docker.wormhole_host"
        self.sent.append(module_args)
        self.existed.append(self.fleet.authority.exists())
        return dict(self.answers[len(self.sent) - 1])

    def run(self, *answers, check_mode=False, **options):
        self.answers, self.sent, self.said, self.existed = list(answers), [], [], []
        arguments = {
            "wormholes": [AGENT],
            "certificate_authority": {},
            **self.fleet.source(options),
            **options,
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        result = self.fleet.run_task(action, arguments, check_mode)
        assert len(self.sent) == len(answers), result
        return result


@pytest.fixture
def setup(tmp_path, monkeypatch):
    return Setup(tmp_path, monkeypatch)


def needed(*names):
    return {
        "changed": True,
        "requests": {name: request() for name in names},
        "gateways": GATEWAYS,
        "done": [],
    }


def test_what_the_host_requests_is_signed_once_it_has_been_checked(setup):
    result = setup.run(needed("dockerd", IDENTITY), DONE)
    assert not result.get("failed"), result
    # The authority is created after the host's first answer.
    assert setup.existed == [False, True]
    first, second = setup.sent
    assert first["authority"]["issuing"] == ""
    assert first["identities"][0]["common_name"] == "agent"
    assert not {"ca_directory", "certificate_authority"} & {*first, *second}
    issued = {name: decoding.read_certificate(pem.encode()) for name, pem in second["issued"].items()}
    assert list(issued) == ["dockerd", IDENTITY]
    assert issued[IDENTITY].subject == "CN=agent"
    assert "IP:172.17.0.1" in [str(name) for name in issued["dockerd"].subject_alternative_names]
    assert [section["section"] for section in result["sections"]] == ["authority", "listener"]
    assert result["changed"]
    assert result["diff"][0]["before_header"] == "authority"


def test_a_host_that_rejects_its_task_creates_no_authority(setup):
    rejected = setup.run({"failed": True, "msg": "another engine answers"})
    assert rejected["msg"] == "another engine answers"
    assert not setup.fleet.authority.exists()


def test_nothing_is_signed_for_a_name_that_the_task_does_not_have(setup):
    failed = setup.run(needed("dockerd", "/etc/other"))
    assert failed["failed"]
    assert "/etc/other" in failed["msg"]


def test_nothing_is_created_in_check_mode(setup):
    result = setup.run(DONE, check_mode=True)
    assert result["sections"][0]["section"] == "authority"
    assert result["sections"][0]["changed"]
    assert not setup.fleet.authority.exists()


def test_an_existing_authority_costs_one_round_trip(setup):
    setup.fleet.make_authority()
    result = setup.run(DONE)
    assert (result["changed"], result["reasons"], result["diff"]) == (False, [], [])
    assert [section["changed"] for section in result["sections"]] == [False, False]


def test_an_authority_that_differs_is_changed_although_nothing_is_signed(setup):
    setup.fleet.make_authority()
    key = setup.fleet.authority / "ca.key"
    key.chmod(0o644)
    assert setup.run(DONE, check_mode=True)["changed"]
    assert key.stat().st_mode & 0o777 == 0o644
    assert setup.run(DONE)["changed"]
    assert key.stat().st_mode & 0o777 == 0o400
    assert not setup.run(DONE)["changed"]


def test_a_host_is_signed_for_once(setup):
    result = setup.run(needed("dockerd"), {**needed("dockerd"), **DONE, "pulls": ["busybox"]})
    assert not result.get("failed"), result
    assert "requests" not in result


def test_what_takes_long_is_announced_before_it_begins(setup):
    engine = {
        **ENGINE,
        "changed": True,
        "reasons": [{"code": "package_missing", "subject": "docker.io", "text": "not installed"}],
        "diff": {"before": {}, "after": {}},
        "warnings": ["it was old"],
    }
    result = setup.run(
        {"changed": True, "packages": ["docker.io", "python3-docker"]},
        {**needed("dockerd"), "pulls": ["busybox"], "done": [engine]},
        {**DONE, "sections": [ENGINE, *SECTIONS]},
    )
    assert setup.said == [
        "[ci1] installing 2 packages: docker.io, python3-docker",
        "[ci1] pulling 1 image: busybox",
    ]
    assert [arguments["announced"] for arguments in setup.sent] == [[], ["packages"], ["packages", "pulls"]]
    assert [section["section"] for section in result["sections"]] == ["authority", "engine", "listener"]
    assert result["warnings"] == ["it was old"]
    assert "package_missing" in {reason["code"] for reason in result["reasons"]}
    only_pulls = setup.run({"changed": True, "pulls": ["busybox"], "done": []}, DONE)
    assert not only_pulls.get("failed")


INSTALLED = {
    **ENGINE,
    "changed": True,
    "reasons": [{"code": "package_missing", "subject": "docker.io", "text": "not installed"}],
    "diff": {"before": {}, "after": {}},
}
PORT_IN_USE = {"failed": True, "msg": "port 2376 is in use. Nothing was changed", "error": {"subject": "x"}}


def test_a_failure_says_what_was_changed_before_it(setup):
    # The host itself reports what it has changed in the same run,
    found = {"reasons": INSTALLED["reasons"], "diff": [], "sections": [INSTALLED]}
    failed = setup.run({"changed": True, "packages": ["docker.io"]}, {**PORT_IN_USE, **found})
    assert failed["msg"] == (
        "port 2376 is in use. Nothing else was changed. Before that, the task changed: engine"
    )
    assert not setup.fleet.authority.exists()
    # and the controller what earlier runs have changed.
    failed = setup.run({**needed("dockerd"), "done": [INSTALLED]}, PORT_IN_USE)
    assert failed["msg"].endswith("Before that, the task changed: authority, engine")
    assert [section["section"] for section in failed["sections"]] == ["authority", "engine"]
    assert failed["changed"]


def test_a_failure_before_any_change_is_as_the_host_says(setup):
    setup.fleet.make_authority()
    assert setup.run(PORT_IN_USE)["msg"] == PORT_IN_USE["msg"]


def test_an_authority_that_cannot_be_created_in_the_end_leaves_the_rest_in_the_result(setup, monkeypatch):
    def ensure_authority(options, *, check_mode):
        if check_mode:
            return {"changed": True, "reasons": [], "diff": {}}
        raise WormholeError("the authority", problem="its directory is read-only")

    monkeypatch.setattr(action, "ensure_authority", ensure_authority)
    done = {**DONE, "changed": True, "sections": [{**SECTIONS[0], "changed": True}]}
    failed = setup.run(done)
    assert failed["failed"]
    assert "its directory is read-only. Before that, the task changed: listener" in failed["msg"]


def test_an_authority_by_path_is_checked_and_never_created(setup):
    setup.fleet.make_authority()
    brought = {"ca_certificate_path": str(setup.fleet.authority / "ca.pem"), "ca_directory": None}
    result = setup.run(ca_private_key_path=str(setup.fleet.authority / "absent.key"), **brought)
    assert "absent.key" in result["msg"]
    result = setup.run(DONE, ca_private_key_path=str(setup.fleet.authority / "ca.key"), **brought)
    assert [section["section"] for section in result["sections"]] == ["authority", "listener"]
    assert not result["changed"]
    assert "warnings" not in result


def test_a_private_key_that_others_can_read_is_reported_once(setup):
    setup.fleet.make_authority()
    key = setup.fleet.authority / "ca.key"
    key.chmod(0o644)
    brought = {"ca_certificate_path": str(setup.fleet.authority / "ca.pem"), "ca_directory": None}
    (warning,) = setup.run(DONE, ca_private_key_path=str(key), **brought)["warnings"]
    assert f"{key} has mode 0644" in warning


def test_an_authority_elsewhere_gets_the_requests(setup):
    setup.fleet.make_authority()
    authority = setup.fleet.sign()["authority"]
    given = {"authority": authority, "certificate_authority": None}
    asked = setup.run(needed("dockerd", IDENTITY), **given)
    assert [certificate["name"] for certificate in asked["certificates"]] == ["dockerd", IDENTITY]
    signed = setup.fleet.sign(certificates=asked["certificates"], requests=asked["requests"])
    done = setup.run(DONE, issued=signed["issued"], **given)
    assert setup.sent[0]["issued"] == signed["issued"]
    assert done["sections"] == SECTIONS
    # The task that requests has announced what takes long, and reports what it has changed before.
    asked = setup.run({**needed("dockerd"), "pulls": ["busybox"], "done": [INSTALLED]}, **given)
    assert setup.said == ["[ci1] pulling 1 image: busybox"]
    assert (asked["sections"], asked["reasons"]) == ([INSTALLED], INSTALLED["reasons"])
    setup.run(DONE, issued=signed["issued"], **given)
    assert setup.sent[0]["announced"] == ["packages", "pulls"]


def test_a_stopped_engine_is_reported(setup):
    result = setup.run({**DONE, "sections": [ENGINE], "engine_stopped": True})
    assert result["engine_stopped"]
    # Only this part was planned.
    assert result["sections"] == [ENGINE]
    assert not setup.fleet.authority.exists()


GATE = {"gate": {"state": "present"}}


def test_the_program_of_the_gate_travels_with_the_signatures(setup):
    result = setup.run({**needed("dockerd"), "program_required": True}, DONE, **GATE)
    assert not result.get("failed"), result
    first, second = setup.sent
    assert first["gate_program"] == second["gate_program"]
    assert "gate_program_content" not in first
    assert list(second["issued"]) == ["dockerd"]
    assert second["gate_program_content"]
    assert "program_required" not in result


def test_the_program_of_the_gate_is_sent_once(setup):
    asks = {"changed": True, "program_required": True, "done": []}
    setup.run(asks, {**DONE, "program_required": True}, **GATE)
    assert ["gate_program_content" in arguments for arguments in setup.sent] == [False, True]
    # Not to a host that needs no gate.
    setup.run({**asks, **DONE})
    assert "gate_program" not in setup.sent[0]


@pytest.mark.parametrize(
    ("wormholes", "listener", "expected"),
    [
        ([], {}, False),
        ([{"policy": "unrestricted"}, {"policy": None}, {"policy": ""}], {}, False),
        ([{"policy": "ci"}], {}, True),
        ([{"policy": "ci", "state": "absent"}], {}, False),
        ([], {"served_by": "gate"}, True),
        ([], {"served_by": "dockerd"}, False),
    ],
)
def test_a_host_needs_a_gate_for_a_policy_or_for_its_listener(wormholes, listener, expected):
    assert needs_gate({"state": "needed"}, listener, wormholes) == expected
    assert needs_gate({"state": "present"}, listener, wormholes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gate": {"state": "absent"}}, "gate: .*state"),
        ({"gate": {"memroy": "1G"}}, "gate: unknown options memroy"),
        ({"gate_program": "x"}, "gate_program is internal"),
        ({"gate_program_content": "x"}, "gate_program_content is internal"),
        ({"listener": {"prot": 1}}, "listener: unknown options prot"),
        (
            {"wormholes": [{**AGENT, "name": 83}]},
            "names that are not strings in YAML: 83. Put them in quotes",
        ),
        ({"wormholes": [{**AGENT, "name": True}]}, "names that are not strings in YAML: True"),
        ({"listener": {"port": "many"}}, "listener: .*port"),
        ({"listener": {"state": "absent"}}, "listener: unknown options state"),
        ({"certificate_authority": {"directory": "/x"}}, "certificate_authority: unknown options directory"),
        ({"wormholes": [{"name": "agent", "memory": "much"}]}, "agent: memory"),
        ({"wormholes": [AGENT, AGENT]}, "agent is listed more than once"),
        ({"announced": ["pulls"]}, "announced is internal"),
        ({"identities": []}, "identities is internal"),
    ],
)
def test_malformed_options_are_rejected_before_anything_is_sent(setup, options, message):
    rejected = setup.run(**options)
    assert rejected["failed"]
    assert re.search(message, rejected["msg"]), rejected["msg"]
    assert not setup.fleet.authority.exists()


def test_the_options_of_the_listener_are_those_of_its_module():
    assert {"state", "material_changed", "wormholes_removed"}.isdisjoint(LISTENER_ARGUMENTS)
    assert {"port", "firewall", "key_type", "subject_alternative_names"} <= set(LISTENER_ARGUMENTS)
