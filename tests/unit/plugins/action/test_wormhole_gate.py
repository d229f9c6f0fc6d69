# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program of the gate is sent only to a host that asks for it."""

from __future__ import annotations

import base64
import zlib

import pytest

from ansible_collections.wormhole.docker.plugins.action import wormhole_gate as action
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._gate.program_file import program_hash
from ansible_collections.wormhole.docker.plugins.module_utils._glue import gate
from ansible_collections.wormhole.docker.plugins.plugin_utils import gate_program
from ansible_collections.wormhole.docker.tests.unit.plugins.action import fleet as fleets

DONE = {"changed": False, "reasons": [], "identities": [], "restarted": False}


class Setup(fleets.Fleet):
    """A controller, and a host that gives these answers, one after the other."""

    def run_gate(self, *answers, **options):
        self.replies = list(answers)
        result = self.run_task(action, options)
        assert self.replies == []
        return result

    def execute_module(self, module_name, module_args, task_vars):
        assert module_name == "wormhole.docker.wormhole_gate"
        self.sent.append(module_args)
        return dict(self.replies.pop(0))


@pytest.fixture
def setup(tmp_path):
    return Setup(tmp_path)


def test_an_unchanged_host_takes_one_round_trip_and_no_program(setup):
    assert not setup.run_gate(DONE, connections=99)["changed"]
    assert setup.sent == [{"connections": 99, "program": program_hash(gate_program.read_program())}]


def test_a_host_that_asks_gets_the_program_once(setup):
    result = setup.run_gate({"changed": True, "program_required": True}, {**DONE, "program_required": True})
    first, second = setup.sent
    assert "program_content" not in first
    assert second["program"] == first["program"]
    program = zlib.decompress(base64.b64decode(second["program_content"]))
    assert program_hash(program) == first["program"]
    assert "program_required" not in result


def test_the_result_does_not_repeat_the_program(setup):
    arguments = {"module_args": {"state": "present", "program": "x", "program_content": "x"}}
    result = setup.run_gate({"changed": True, "program_required": True}, {**DONE, "invocation": arguments})
    assert result["invocation"] == {"module_args": {"state": "present"}}


@pytest.mark.parametrize("name", ["program", "program_content"])
def test_internal_options_are_rejected(setup, name):
    result = setup.run_gate(**{name: "x"})
    assert result["msg"] == f"{name} is internal. Remove it from the task"
    assert setup.sent == []


@pytest.mark.parametrize(
    "answer", [{"changed": True, "program_required": "yes"}, {"changed": 1}, {"changed": False, "msg": 7}]
)
def test_a_malformed_answer_gets_nothing(setup, answer):
    assert "ci1 gave a malformed answer" in setup.run_gate(answer)["msg"]
    assert len(setup.sent) == 1


def test_a_failure_is_passed_on(setup):
    failed = setup.run_gate({"failed": True, "msg": "no systemd", "error": {"subject": "x"}})
    assert (failed["failed"], failed["msg"]) == (True, "no systemd")


def test_the_program_is_the_same_each_time():
    assert gate_program.read_program() == gate_program.read_program()
    assert gate_program.hash_of_program() == program_hash(gate_program.read_program())


def test_the_module_takes_the_program_with_its_hash_only():
    spec = gate.GateHostSpec(program=gate_program.hash_of_program())
    assert gate._unpack(gate_program.packed_program(), spec) == gate_program.read_program()
    assert gate._unpack(None, spec) is None
    other = base64.b64encode(zlib.compress(b"other")).decode()
    for content in (other, "x", "é", base64.b64encode(b"x").decode()):
        with pytest.raises(InvalidInput, match="is not the one with this hash"):
            gate._unpack(content, spec)
