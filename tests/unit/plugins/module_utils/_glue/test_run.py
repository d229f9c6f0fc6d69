# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._glue import run
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import finish


class Module:
    """Stands for AnsibleModule."""

    check_mode = False

    def __init__(self):
        self.warned, self.result, self.failure = [], None, None

    def warn(self, text):
        self.warned.append(text)

    def exit_json(self, **result):
        self.result = result

    def fail_json(self, **result):
        self.failure = result


def finished(main, check_mode=False):
    module = Module()
    module.check_mode = check_mode
    finish(module, main)
    return module


def raises(error):
    def main(_module):
        raise error

    return main


def test_warnings_are_given_as_such_and_not_returned():
    module = finished(lambda _module: {"changed": True, "warnings": ["first", "second"]})
    assert (module.warned, module.result) == (["first", "second"], {"changed": True})


def test_only_a_task_that_has_changed_nothing_keeps_the_code(monkeypatch):
    kept = []
    monkeypatch.setattr(run, "keep_code", lambda: kept.append(1))
    finished(lambda _module: {"changed": False})
    assert kept == [1]
    finished(lambda _module: {"changed": True})
    finished(lambda _module: {"changed": False, "failed": True, "msg": "no"})
    finished(raises(InvalidInput("port", problem="port is 0")))
    finished(lambda _module: {"changed": False}, check_mode=True)
    assert kept == [1]


def test_an_error_is_returned_as_text_and_data():
    failure = finished(raises(InvalidInput("port", problem="port is 0"))).failure
    assert failure["msg"] == "port is 0"
    assert failure["error"]["kind"] == "InvalidInput"


def test_an_error_of_the_system_names_its_path_and_what_to_do():
    error = PermissionError(errno.EACCES, "Permission denied", "/etc/x")
    said = finished(raises(error)).failure["msg"]
    assert said == "Cannot use /etc/x: Permission denied. Run the task with become: true"


def test_a_denied_operation_has_a_remedy():
    error = WormholeError("/etc/x", problem="Cannot read /etc/x: Permission denied")
    error.__cause__ = PermissionError(errno.EACCES, "Permission denied")
    said = finished(raises(error)).failure["msg"]
    assert said == "Cannot read /etc/x: Permission denied. Run the task with become: true"


def test_an_error_without_a_path_keeps_its_traceback():
    with pytest.raises(BlockingIOError):
        finished(raises(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")))
