# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of action plugins whose modules issue certificates. They sign on the controller.

The module on the host decides what to issue. If it issues nothing, the task needs one round trip,
otherwise two. If the task sets option ``authority``, the key is elsewhere, and the task returns the
requests instead of signing them.
"""

from __future__ import annotations

import datetime
from typing import Any, ClassVar, Mapping, Optional

from ansible.plugins.action import ActionBase

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import authority as store
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import issued as record
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.signing import Order
from ansible_collections.wormhole.docker.plugins.module_utils._glue import certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import pack_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.material import load_material


def host_name(task_vars: Mapping[str, Any]) -> str:
    """The name of the task's host in the inventory."""
    return str(task_vars.get("inventory_hostname", ""))


class SigningAction(ActionBase):
    """Run the module of the same name on the host.

    Attributes:
        MODULE: full name of the module.
        ARGUMENTS: arguments of the module, without those that name the authority.
    """

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    MODULE: ClassVar[str]
    ARGUMENTS: ClassVar[dict[str, Any]]

    def sign(self, options: dict[str, Any], requests: dict[str, Any], order: Order) -> dict[str, str]:
        """Sign the host's requests."""
        raise NotImplementedError

    def check(self, options: dict[str, Any]) -> None:
        """Check the options before anything is read or sent.

        Raises:
            InvalidInput: an option is invalid.
        """

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            result.update(self._manage(task_vars or {}))
        except WormholeError as error:
            result.update(failed=True, msg=str(error), error=error.as_dict())
        return result

    def host_arguments(self, options: dict[str, Any]) -> dict[str, Any]:
        """The arguments to send to the host, without the authority's key and passphrase."""
        return {name: options[name] for name in self.ARGUMENTS}

    def _manage(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, options = self.validate_argument_spec(
            {**certificates.SIGNING_ARGUMENTS, **self.ARGUMENTS}, **certificates.SIGNING_CONSTRAINTS
        )
        self.check(options)
        return self._issue(options, task_vars)

    def _issue(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module, and if it returns requests, once more with the signed certificates."""
        arguments = self.host_arguments(options)
        if options["authority"] is not None:
            given = {name: options[name] for name in certificates.HOST_ARGUMENTS if options[name] is not None}
            return self._run_module({**arguments, **given}, task_vars)
        if options["issued"] is not None:
            raise InvalidInput(
                "issued", problem="issued is allowed only with authority", remedy="Remove the option issued"
            )
        place, material = load_material(options)
        now = datetime.datetime.now(datetime.timezone.utc)
        # In check mode, an earlier task may only have predicted that it creates the authority.
        authority = store.offer_authority(place, material, now, may_be_missing=bool(self._task.check_mode))
        arguments["authority"] = pack_authority(authority)
        answer = self._run_module(arguments, task_vars)
        self.see(material, answer, task_vars)
        requests = answer.pop(certificates.REQUESTS, None)
        if not requests:
            return answer
        issued = self.sign(options, requests, Order(material, now, host_name(task_vars)))
        return self._run_module({**arguments, "issued": issued}, task_vars)

    def see(
        self, material: store.Material, answer: Mapping[str, Any], task_vars: Mapping[str, Any]
    ) -> None:
        """Note beside the authority that the host has answered."""
        host = host_name(task_vars)
        lost = answer.get("failed") or answer.get("unreachable")
        if material.directory and material.key is not None and host and not lost and not self._task.check_mode:
            record.see(material.directory, host)

    def _run_module(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name=self.MODULE, module_args=arguments, task_vars=task_vars
        )
        for name in certificates.HOST_ARGUMENTS:
            answer.get("invocation", {}).get("module_args", {}).pop(name, None)
        return answer
