# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin of tls_certificates: signs the requested certificates on the controller."""

from __future__ import annotations

from typing import Any, Collection

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.signing import (
    Order,
    sign_requests,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import parse_certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue import certificates
from ansible_collections.wormhole.docker.plugins.plugin_utils.signing import SigningAction


class ActionModule(SigningAction):
    """Run the module of the same name on the host."""

    MODULE = "wormhole.docker.tls_certificates"
    ARGUMENTS = certificates.CERTIFICATES_ARGUMENT

    def check(self, options: dict[str, Any]) -> None:
        parse_certificates(certificates.check_state(options))

    def _manage(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        if self._task.args.get("state") != "absent":
            return super()._manage(task_vars)
        # A removal needs no signature, so no authority is read.
        _validation, options = self.validate_argument_spec(
            {**certificates.SIGNING_ARGUMENTS, **self.ARGUMENTS}
        )
        self.check(options)
        return self._run_module({name: options[name] for name in ("state", "directories")}, task_vars)

    def find_names(self, options: dict[str, Any], requests: dict[str, Any]) -> Collection[str]:
        return {spec.name for spec in parse_certificates(options["certificates"]) if spec.present}

    def sign(self, options: dict[str, Any], requests: dict[str, Any], order: Order) -> dict[str, str]:
        return sign_requests(parse_certificates(options["certificates"]), requests, order)
