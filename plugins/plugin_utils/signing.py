# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of the modules that need signatures.

One round trip if nothing has to be issued, two otherwise. What has to be done is decided on the host, by the module. A task
that names the public part of an authority whose key is elsewhere gets the requests instead, for a task of its own.
"""

from __future__ import annotations

import datetime
from typing import Any, ClassVar, Optional

from ansible.plugins.action import ActionBase

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import authority_store
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import (
    load_material,
    pack_authority,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import (
    HOST_ARGUMENTS,
    REQUESTS,
    SIGNING_ARGUMENTS,
    SIGNING_CONSTRAINTS,
)


class SigningAction(ActionBase):
    """Drives the module of the same name on the host.

    Attributes:
        MODULE: its full name.
        ARGUMENTS: its own options, beside those that name the authority.
    """

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    MODULE: ClassVar[str]
    ARGUMENTS: ClassVar[dict[str, Any]]

    def sign(
        self,
        options: dict[str, Any],
        requests: dict[str, Any],
        material: authority_store.Material,
        now: datetime.datetime,
    ) -> dict[str, str]:
        """Answers the host's requests."""
        raise NotImplementedError

    def check(self, options: dict[str, Any]) -> None:
        """Refuses options that cannot be meant, before anything is read or sent."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            result.update(self._manage(task_vars or {}))
        except WormholeError as error:
            result.update(failed=True, msg=str(error), error=error.as_dict())
        return result

    def host_arguments(self, options: dict[str, Any]) -> dict[str, Any]:
        """What travels to the host; neither the authority's key nor its passphrase are for it."""
        return {name: options[name] for name in self.ARGUMENTS}

    def _manage(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, options = self.validate_argument_spec(
            {**SIGNING_ARGUMENTS, **self.ARGUMENTS}, **SIGNING_CONSTRAINTS
        )
        self.check(options)
        return self._issue(options, task_vars)

    def _issue(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Runs the module, and once more with what it has asked for."""
        arguments = self.host_arguments(options)
        if options["authority"] is not None:
            given = {name: options[name] for name in HOST_ARGUMENTS if options[name] is not None}
            return self._run_module({**arguments, **given}, task_vars)
        if options["issued"] is not None:
            raise InvalidInput(
                "issued",
                expected="to go with authority",
                found="it with an authority's key",
                remedy="Leave it out",
            )
        place, material = load_material(options)
        now = datetime.datetime.now(datetime.timezone.utc)
        # In check mode, the task that would have made the authority has only said so.
        authority = authority_store.offer_authority(
            place, material, now, may_be_missing=bool(self._task.check_mode)
        )
        arguments["authority"] = pack_authority(authority)
        answer = self._run_module(arguments, task_vars)
        requests = answer.pop(REQUESTS, None)
        if not requests:
            return answer
        issued = self.sign(options, requests, material, now)
        return self._run_module({**arguments, "issued": issued}, task_vars)

    def _run_module(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name=self.MODULE, module_args=arguments, task_vars=task_vars
        )
        for name in HOST_ARGUMENTS:
            answer.get("invocation", {}).get("module_args", {}).pop(name, None)
        return answer
