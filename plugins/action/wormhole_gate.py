# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of wormhole_gate that runs on the controller: it sends the program if the host needs it."""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._glue.gate import REQUIRED
from ansible_collections.wormhole.docker.plugins.module_utils._glue.gate_options import INTERNAL
from ansible_collections.wormhole.docker.plugins.plugin_utils import gate_program, reading
from ansible_collections.wormhole.docker.plugins.plugin_utils.bundle import BundledAction


class ActionModule(BundledAction):
    """Runs the module of the same name, once more with the program if the host asks for it."""

    MODULE = "wormhole.docker.wormhole_gate"
    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            given = sorted(set(self._task.args) & set(INTERNAL))
            if given:
                raise InvalidInput(
                    given[0], problem=f"{given[0]} is internal", remedy="Remove it from the task"
                )
            internal = {"program": gate_program.hash_of_program()}
            answer = self._run_module(internal, variables)
            if answer.pop(REQUIRED, False):
                internal["program_content"] = gate_program.packed_program()
                answer = self._run_module(internal, variables)
                # A host asks once.
                answer.pop(REQUIRED, None)
            result.update(answer)
        except WormholeError as error:
            result.update(failed=True, msg=str(error), error=error.as_dict())
        return result

    def _run_module(self, internal: dict[str, str], variables: dict[str, Any]) -> dict[str, Any]:
        arguments = {**self._task.args, **internal}
        answer: dict[str, Any] = self._execute_module(
            module_name=self.MODULE, module_args=arguments, task_vars=variables
        )
        answer = reading.read(self, self.MODULE, answer, variables)
        for name in internal:
            answer.get("invocation", {}).get("module_args", {}).pop(name, None)
        return answer
