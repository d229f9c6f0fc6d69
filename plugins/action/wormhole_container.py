# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of wormhole_container: it hands over what the host cannot have, such as files of this collection."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Optional

from ansible.plugins.action import ActionBase

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

COLLECTION = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):
    """Drives the module of the same name on the host.

    Attributes:
        MODULE: its full name.
        TEXTS: by an option of the module, the path below the collection of the file whose text it gets on every run. Such an
            option is not for tasks, and is not repeated in the result.
    """

    _supports_check_mode = True
    _supports_diff = True

    MODULE: ClassVar[str] = "wormhole.docker.wormhole_container"
    TEXTS: ClassVar[dict[str, str]] = {}

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = sorted(set(self._task.args) & set(self.TEXTS))
        if given:
            error = InvalidInput(given[0], expected="to be left out", found="it in the task")
            return {**result, "failed": True, "msg": str(error), "error": error.as_dict()}
        texts = {name: (COLLECTION / path).read_text(encoding="utf-8") for name, path in self.TEXTS.items()}
        answer: dict[str, Any] = self._execute_module(
            module_name=self.MODULE, module_args={**self._task.args, **texts}, task_vars=task_vars or {}
        )
        for name in texts:
            answer.get("invocation", {}).get("module_args", {}).pop(name, None)
        return {**result, **answer}
