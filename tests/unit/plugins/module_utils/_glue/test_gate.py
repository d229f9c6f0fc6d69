# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What wormhole_gate returns about what wormholes have created."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate import units
from ansible_collections.wormhole.docker.plugins.module_utils._gate.ending import KEPT, REMOVED, Ending
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.model import File, GateHostState
from ansible_collections.wormhole.docker.plugins.module_utils._glue import gate

WEB = Ending("ci", "container", "a" * 64, "web", REMOVED)
STAYS = WEB._replace(action=KEPT, reason="it is in use")
PROGRAM = {units.PROGRAM: File("a" * 64, 0o755)}


@pytest.fixture
def host(monkeypatch):
    """A host whose gate is removed by one plan."""
    found = {"states": [GateHostState(files=PROGRAM, siblings=(WEB,)), GateHostState()]}

    class Host:
        endings = None

        def __init__(self, program):
            pass

        def apply(self, plan):
            self.endings = (STAYS,)

    monkeypatch.setattr(gate, "GateHost", Host)
    monkeypatch.setattr(gate, "reserved", contextlib.nullcontext)
    monkeypatch.setattr(gate, "observe_gate_host", lambda spec, connect: found["states"].pop(0))
    return found


def names(rows):
    return [row["name"] for row in rows]


def test_check_mode_says_what_would_be_removed(host):
    result = gate.ensure_gate({"state": "absent"}, check_mode=True)
    assert (names(result["siblings_removed"]), result["siblings_kept"]) == (["web"], [])


def test_a_run_says_what_was(host):
    result = gate.ensure_gate({"state": "absent"}, check_mode=False)
    assert (result["siblings_removed"], names(result["siblings_kept"])) == ([], ["web"])
    assert result["siblings_kept"][0]["reason"] == "it is in use"


def test_what_is_not_known_is_a_warning(host):
    host["states"][0] = GateHostState(files=PROGRAM, unknown="The program is broken")
    [warning] = gate.ensure_gate({"state": "absent"}, check_mode=False)["warnings"]
    assert "is not known: The program is broken" in warning
