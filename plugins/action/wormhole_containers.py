# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of wormhole_containers that runs on the controller."""

from __future__ import annotations

from typing import Any, Collection

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.signing import (
    Order,
    sign_requests,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue import wormhole
from ansible_collections.wormhole.docker.plugins.plugin_utils.policies import check_policy
from ansible_collections.wormhole.docker.plugins.plugin_utils.wormholes import WormholeAction


class ActionModule(WormholeAction):
    """Runs the module of the same name on the host."""

    MODULE = "wormhole.docker.wormhole_containers"
    ARGUMENTS = wormhole.LIST_ARGUMENTS
    INTERNAL = ("announced",)

    def find_names(self, options: dict[str, Any], requests: dict[str, Any]) -> Collection[str]:
        return frozenset(self._identities(options))

    def sign(self, options: dict[str, Any], requests: dict[str, Any], order: Order) -> dict[str, str]:
        specs = [spec for _options, spec in self._identities(options).values()]
        return sign_requests(specs, requests, order)

    def _manage(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        options = self.validate()
        identities = [identity for identity, _spec in self._identities(options).values()]
        answer = self.launch(options, identities, task_vars)
        self.show_wormholes(answer.get("wormholes", ()), task_vars)
        return answer

    def _identities(self, options: dict[str, Any]) -> Any:
        return wormhole.parse_list(options["wormholes"], wormhole.connection_of(options), check_policy)

    def _run_module(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer = super()._run_module(arguments, task_vars)
        pulls = answer.pop("pulls", None)
        if pulls:
            self.announce("pulling", "image", pulls, task_vars)
            if not answer.get("requests"):
                return super()._run_module({**arguments, "announced": True}, task_vars)
        return answer
