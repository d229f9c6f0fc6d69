# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of wormhole_container that runs on the controller."""

from __future__ import annotations

from typing import Any, Collection

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.signing import Order, sign_requests
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io.sdk import parse_socket_path
from ansible_collections.wormhole.docker.plugins.module_utils._glue import wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole import identity_spec
from ansible_collections.wormhole.docker.plugins.plugin_utils.wormholes import WormholeAction


class ActionModule(WormholeAction):
    """Runs the module of the same name on the host."""

    MODULE = "wormhole.docker.wormhole_container"
    ARGUMENTS = wormhole.WORMHOLE_ARGUMENTS

    def find_names(self, options: dict[str, Any], requests: dict[str, Any]) -> Collection[str]:
        _spec, identity = self._parse(options)
        return () if identity is None else (identity.name,)

    def sign(self, options: dict[str, Any], requests: dict[str, Any], order: Order) -> dict[str, str]:
        _spec, identity = self._parse(options)
        return sign_requests([] if identity is None else [identity], requests, order)

    def _manage(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        options = self.validate()
        spec, identity = self._parse(options)
        wiring, identities = spec.wiring, []
        if identity is not None:
            identities = [
                identity_spec.certificate_options(options, wiring.identity, wiring.identity_directory)
            ]
        return self.launch(options, identities, task_vars)

    def _parse(self, options: dict[str, Any]) -> Any:
        return wormhole.parse_wormhole(options, parse_socket_path(options["docker_host"]))
