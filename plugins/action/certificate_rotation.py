# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin of certificate_rotation: signs existing certificates again on the controller."""

from __future__ import annotations

from typing import Any, Collection

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.checks import check_directory
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.signing import (
    Order,
    sign_again,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.rotation import check_requested
from ansible_collections.wormhole.docker.plugins.module_utils._glue.reissue import parse_reissue
from ansible_collections.wormhole.docker.plugins.module_utils._glue.rotation import ROTATION_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.plugin_utils.signing import SigningAction


class ActionModule(SigningAction):
    """Run the module of the same name on the host."""

    MODULE = "wormhole.docker.certificate_rotation"
    ARGUMENTS = ROTATION_ARGUMENTS

    def check(self, options: dict[str, Any]) -> None:
        for directory in options["directories"]:
            check_directory("directories", directory)

    def find_names(self, options: dict[str, Any], requests: dict[str, Any]) -> Collection[str]:
        # The host has found its certificates. Only where they are is the task's.
        check_requested(options["step"], options["directories"], requests)
        return requests

    def sign(self, options: dict[str, Any], requests: dict[str, Any], order: Order) -> dict[str, str]:
        signed, warnings = sign_again(requests, order, parse_reissue(options))
        self._warnings += warnings
        return signed
