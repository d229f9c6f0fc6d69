# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of tls_certificates: it signs what hosts ask for, with what the task says.

One round trip if nothing has to be issued, two otherwise. What has to be done is decided on the host, by the
module.
"""

from __future__ import annotations

import datetime
import os
from typing import Any, Optional

from ansible.plugins.action import ActionBase

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import authority_store, x509
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import (
    parse_certificates,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import check_directory
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import (
    ARGUMENT_SPEC,
    PROTOCOL_SPEC,
    REQUESTS,
    pack_authority,
)


class ActionModule(ActionBase):
    """Drives the module of the same name on the host."""

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            result.update(self._manage(task_vars or {}))
        except WormholeError as error:
            result.update(failed=True, msg=str(error), error=error.as_dict())
        return result

    def _manage(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, options = self.validate_argument_spec(ARGUMENT_SPEC)
        # The passphrase stays here: it must not be part of what is sent to the host.
        passphrase = options.pop("ca_passphrase")
        directory = os.path.expanduser(options["ca_directory"]).rstrip("/")
        check_directory("ca_directory", directory)
        specs = parse_certificates(options["certificates"])
        x509.require()
        now = datetime.datetime.now(datetime.timezone.utc)
        material = authority_store.read_material(directory, passphrase)
        # In check mode, the task that would have made the authority has only said so.
        authority = authority_store.offer_authority(
            directory, material, now, may_be_missing=bool(self._task.check_mode)
        )
        arguments = {**options, "_authority": pack_authority(authority)}
        answer = self._run_module(arguments, task_vars)
        requests = answer.pop(REQUESTS, None)
        if not requests:
            return answer
        issued = {
            spec.name: x509.sign_certificate(
                spec, requests[spec.name], material.certificate_pem, material.key, now
            )
            for spec in specs
            if spec.name in requests
        }
        return self._run_module({**arguments, "_issued": issued}, task_vars)

    def _run_module(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="wormhole.docker.tls_certificates", module_args=arguments, task_vars=task_vars
        )
        for name in PROTOCOL_SPEC:
            answer.get("invocation", {}).get("module_args", {}).pop(name, None)
        return answer
