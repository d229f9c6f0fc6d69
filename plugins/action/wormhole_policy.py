# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of wormhole_policy that runs on the controller: it checks the policy as the gate will."""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._glue.policy import ARGUMENTS, parse_policy_task
from ansible_collections.wormhole.docker.plugins.plugin_utils import reading
from ansible_collections.wormhole.docker.plugins.plugin_utils.bundle import BundledAction
from ansible_collections.wormhole.docker.plugins.plugin_utils.policies import check_policy


class ActionModule(BundledAction):
    """Runs the module of the same name."""

    MODULE = "wormhole.docker.wormhole_policy"
    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            _validation, options = self.validate_argument_spec(ARGUMENTS)
            check_policy(parse_policy_task(options))
            answer: dict[str, Any] = self._execute_module(
                module_name=self.MODULE, module_args=dict(self._task.args), task_vars=variables
            )
            result.update(reading.read(self, self.MODULE, answer, variables))
        except WormholeError as error:
            result.update(failed=True, msg=str(error), error=error.as_dict())
        return result
