# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin of certificate_rotation: signs existing certificates again on the controller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.checks import check_directory
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.signing import Order, sign_again
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.rotation import REPLACE
from ansible_collections.wormhole.docker.plugins.module_utils._glue.rotation import COMPROMISED, ROTATION_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.plugin_utils.signing import SigningAction


class ActionModule(SigningAction):
    """Run the module of the same name on the host."""

    MODULE = "wormhole.docker.certificate_rotation"
    ARGUMENTS = ROTATION_ARGUMENTS

    def check(self, options: dict[str, Any]) -> None:
        for directory in options["directories"]:
            check_directory("directories", directory)

    def sign(self, options: dict[str, Any], requests: dict[str, Any], order: Order) -> dict[str, str]:
        terms = replace(
            order,
            permits_new_keys=options["step"] == REPLACE,
            is_compromised=options["rotation_reason"] == COMPROMISED,
        )
        signed, self._warnings = sign_again(requests, terms)
        return signed

    def _issue(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        self._warnings: tuple[str, ...] = ()
        answer = super()._issue(options, task_vars)
        if self._warnings:
            answer["warnings"] = [*self._warnings, *answer.get("warnings", ())]
        return answer
