# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of wormhole_container that runs on the controller."""

from __future__ import annotations

from typing import Any, Collection

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.signing import (
    Order,
    sign_requests,
)
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io.sdk import parse_socket_path
from ansible_collections.wormhole.docker.plugins.module_utils._glue import wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole import identity_spec
from ansible_collections.wormhole.docker.plugins.plugin_utils.policies import check_policy
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

    def host_arguments(self, options: dict[str, Any]) -> dict[str, Any]:
        found = {name: options[name] for name in ("engine_address", "port") if options["engine"]}
        return {**super().host_arguments(options), **found}

    def _manage(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        options = self.validate()
        if options["engine"]:
            self._find_engine(options, task_vars)
        spec, identity = self._parse(options)
        check_policy(spec.wiring.policy)
        wiring, identities = spec.wiring, []
        if identity is not None:
            identities = [
                identity_spec.certificate_options(options, wiring.identity, wiring.identity_directory)
            ]
        return self.launch(options, identities, task_vars)

    def _parse(self, options: dict[str, Any]) -> Any:
        return wormhole.parse_wormhole(options, parse_socket_path(options["docker_host"]))

    def _find_engine(self, options: dict[str, Any], task_vars: dict[str, Any]) -> None:
        """Complete the options by the variables of the host whose engine the container uses.

        Raises:
            InvalidInput: the inventory has no such host, or its engine serves no other hosts.
        """
        engine, hosts = options["engine"], task_vars.get("hostvars", {})
        if engine not in hosts:
            problem = f"The inventory has no host {engine}, whose engine the container is to use"
            raise InvalidInput(
                "engine", problem=problem, remedy="Set engine to the name of a host in the inventory"
            )
        variables = hosts[engine]
        if not options["engine_address"]:
            addresses = parse_addresses(variables.get("listener_host_addresses") or ())
            if not addresses:
                problem = f"The engine of {engine} serves no clients on other hosts"
                remedy = (
                    f"Set listener_host_addresses for {engine} and run the playbook wormhole.docker.provision"
                )
                raise InvalidInput("engine_address", problem=problem, remedy=remedy)
            options["engine_address"] = addresses[0]
        if "port" not in self._task.args:
            options["port"] = int(variables.get("listener_port", options["port"]))


def parse_addresses(value: Any) -> list[str]:
    """Return the addresses in a variable: a list, or a text with commas as from the command line."""
    items = value.split(",") if isinstance(value, str) else value
    return [str(item).strip() for item in items if str(item).strip()]
