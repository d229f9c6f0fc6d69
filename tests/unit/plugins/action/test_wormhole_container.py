# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin of wormhole_container; a fake module returns its arguments."""

from __future__ import annotations

import types

import pytest

from ansible_collections.wormhole.docker.plugins.action import wormhole_container

TASK = {"name": "agent", "image": "busybox", "transport": "unix"}


class Controller:
    """Run tasks, and record what is sent to the host."""

    def __init__(self):
        self.sent = []

    def run(self, **arguments):
        task = types.SimpleNamespace(
            args={**TASK, **arguments}, check_mode=False, async_val=0, action="wormhole_container", diff=True
        )
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None))
        action = wormhole_container.ActionModule(task, connection, types.SimpleNamespace(), None, None, None)
        action._execute_module = self.execute_module
        return action.run(task_vars={})

    def execute_module(self, module_name, module_args, task_vars):
        assert module_name == "wormhole.docker.wormhole_container"
        self.sent.append(module_args)
        return {"changed": False, "invocation": {"module_args": dict(module_args)}}


@pytest.fixture
def controller():
    return Controller()


def test_internal_options_are_sent_and_not_returned(controller, monkeypatch):
    monkeypatch.setattr(
        wormhole_container.ActionModule, "TEXTS", {"program": "LICENSES/GPL-3.0-or-later.txt"}
    )
    result = controller.run()
    assert controller.sent[0]["program"].lstrip().startswith("GNU GENERAL PUBLIC LICENSE")
    assert result["invocation"]["module_args"] == TASK


def test_a_task_cannot_set_an_internal_option(controller, monkeypatch):
    monkeypatch.setattr(
        wormhole_container.ActionModule, "TEXTS", {"program": "LICENSES/GPL-3.0-or-later.txt"}
    )
    result = controller.run(program="rm -rf /")
    assert result["failed"]
    assert result["msg"].startswith("program is internal. Remove it from the task")
    assert controller.sent == []


def test_a_task_without_an_image_needs_no_authority(controller):
    # The container keeps its identity.
    result = controller.run(image=None, transport="tls", state="stopped")
    assert not result.get("failed"), result
    assert [set(sent) - {"discover_program"} for sent in controller.sent] == [{*TASK, "state"}]
