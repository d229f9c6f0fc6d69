# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes every task result of a run to the file in WORMHOLE_RECORD, one JSON object per line."""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: aggregate
short_description: Writes every task result to a file
description: Used by the tests of the project only.
"""


class CallbackModule(CallbackBase):
    """One line per result, with these keys.

    ``host``, ``task``, ``action``, ``status``, ``ignored``, ``delegated``, ``at`` and ``result``.
    """

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, kind, **data):
        with open(os.environ["WORMHOLE_RECORD"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": kind, **data}, default=str) + "\n")

    def _task(self, outcome, status, ignored=False):
        task = outcome._task
        self._write(
            "task",
            host=outcome._host.get_name(),
            task=task.get_name(),
            action=task.action,
            status=status,
            ignored=ignored,
            delegated=bool(task.delegate_to),
            at=time.monotonic(),
            result=outcome._result,
        )

    def v2_runner_on_ok(self, result):
        self._task(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._task(result, "failed", ignored=ignore_errors)

    def v2_runner_on_skipped(self, result):
        self._task(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self._task(result, "unreachable")

    def v2_playbook_on_stats(self, stats):
        self._write("stats", hosts={name: stats.summarize(name) for name in stats.processed})
