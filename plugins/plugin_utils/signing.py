# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of action plugins whose modules issue certificates. They sign on the controller.

The module on the host decides what to issue. If it issues nothing, the task needs one round trip,
otherwise two. If the task sets option ``authority``, the key is elsewhere, and the task returns the
requests instead of signing them.

Only the task determines what is signed: of a host's answer, only requests for certificates that the
task issues are read.
"""

from __future__ import annotations

import datetime
from typing import Any, ClassVar, Collection, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import authority as store
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import issued as record
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.signing import Order
from ansible_collections.wormhole.docker.plugins.module_utils._glue import certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import pack_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import collect
from ansible_collections.wormhole.docker.plugins.module_utils._glue.material import load_material
from ansible_collections.wormhole.docker.plugins.plugin_utils import answers, reading
from ansible_collections.wormhole.docker.plugins.plugin_utils.bundle import BundledAction


def host_name(task_vars: Mapping[str, Any]) -> str:
    """The name of the task's host in the inventory."""
    return str(task_vars.get("inventory_hostname", ""))


def passed_on(options: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a task whose authority is elsewhere: it, for this host, and what it has signed."""
    given = {name: options[name] for name in certificates.HOST_ARGUMENTS if options[name] is not None}
    return {**given, "authority": {**given["authority"], "host": host_name(task_vars)}}


class SigningAction(BundledAction):
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
    _warnings: tuple[str, ...] = ()

    def sign(self, options: dict[str, Any], requests: dict[str, Any], order: Order) -> dict[str, str]:
        """Sign the host's requests."""
        raise NotImplementedError

    def find_names(self, options: dict[str, Any], requests: dict[str, Any]) -> Collection[str]:
        """Return the names of the certificates that the task issues.

        Args:
            requests: what the host requests, if the task lists no certificates.

        Raises:
            VerificationFailed: the task issues none of them.
        """
        raise NotImplementedError

    def check(self, options: dict[str, Any]) -> None:
        """Check the options before anything is read or sent.

        Raises:
            InvalidInput: an option is invalid.
        """

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            answers.check_facts(variables, str(variables.get("inventory_hostname", "")))
            result.update(self._manage(variables))
        except WormholeError as error:
            result.update(failed=True, msg=str(error), error=error.as_dict())
        warnings = [*self._warnings, *result.get("warnings", ())] if self._warnings else ()
        if warnings:
            result["warnings"] = list(dict.fromkeys(warnings))
        return result

    def load_authority(self, options: dict[str, Any]) -> tuple[str, store.Material]:
        """Read the authority as load_material() does; the task warns about a fault of its key's file."""
        place, material = load_material(options)
        self._warnings += (material.warning,) if material.warning else ()
        return place, material

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
            answer = self._run_module({**arguments, **passed_on(options, task_vars)}, task_vars)
            requests = self._take_requests(options, answer, task_vars, asked=options["issued"] is not None)
            return {**answer, **({certificates.REQUESTS: requests} if requests else {})}
        if options["issued"] is not None:
            raise InvalidInput(
                "issued", problem="issued is allowed only with authority", remedy="Remove the option issued"
            )
        place, material = self.load_authority(options)
        now = datetime.datetime.now(datetime.timezone.utc)
        # In check mode, an earlier task may only have predicted that it creates the authority.
        authority = store.offer_authority(place, material, now, may_be_missing=bool(self._task.check_mode))
        arguments["authority"] = pack_authority(authority, host_name(task_vars))
        answer = self._run_module(arguments, task_vars)
        self.see(material, answer, task_vars)
        requests = self._take_requests(options, answer, task_vars)
        if not requests:
            return answer
        with reading.naming(self, task_vars):
            issued = self.sign(options, requests, Order(material, now, host_name(task_vars)))
        answer = self._run_module({**arguments, "issued": issued}, task_vars)
        self._take_requests(options, answer, task_vars, asked=True)
        return answer

    def see(self, material: store.Material, answer: Mapping[str, Any], task_vars: Mapping[str, Any]) -> None:
        """Note beside the authority that the host has answered."""
        host = host_name(task_vars)

        def see() -> dict[str, Any]:
            record.see(material.directory, host)
            return {}

        lost = answer.get("failed") or answer.get("unreachable")
        if material.directory and material.key is not None and host and not lost:
            collect(bool(self._task.check_mode), see)

    def check_requests(
        self, requests: dict[str, Any], known: Collection[str], task_vars: dict[str, Any]
    ) -> None:
        """Check which certificates the host requests.

        Args:
            known: names of the certificates that the task issues, which are none in check mode.

        Raises:
            VerificationFailed: it requests others.
        """
        issued = collect(bool(self._task.check_mode), lambda: dict.fromkeys(known))
        answers.check_requests(self.MODULE, requests, reading.host_of(self, task_vars), issued)

    def _take_requests(
        self,
        options: dict[str, Any],
        answer: dict[str, Any],
        task_vars: dict[str, Any],
        *,
        asked: bool = False,
    ) -> dict[str, Any]:
        """Remove the requests from an answer, and return them once they are checked.

        Args:
            asked: whether the host has requested certificates before. It does so once, and any
                further requests are dropped.
        """
        requests: dict[str, Any] = answer.pop(certificates.REQUESTS, None) or {}
        if not requests or asked:
            return {}
        with reading.naming(self, task_vars):
            known = self.find_names(options, requests)
        self.check_requests(requests, known, task_vars)
        return requests

    def _run_module(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name=self.MODULE, module_args=arguments, task_vars=task_vars
        )
        answer = reading.read(self, self.MODULE, answer, task_vars)
        for name in certificates.HOST_ARGUMENTS:
            answer.get("invocation", {}).get("module_args", {}).pop(name, None)
        return answer
