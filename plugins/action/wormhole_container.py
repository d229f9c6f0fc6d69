# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of wormhole_container: it signs the identity, and hands over what the host cannot have, such as files of
this collection."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.authority_store import Material
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.engine import parse_socket_path
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.signing import sign_requests
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.identities import certificate_options
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import SOURCES
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import (
    REQUESTS,
    SIGNING_ARGUMENTS,
    SIGNING_CONSTRAINTS,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import (
    WORMHOLE_ARGUMENTS,
    parse_wormhole,
)
from ansible_collections.wormhole.docker.plugins.plugin_utils.signing import SigningAction

COLLECTION = Path(__file__).resolve().parents[2]
DEFAULT_AUTHORITY = "~/.wormhole/ca"
"""Where role certificate_authority makes one by default."""


class ActionModule(SigningAction):
    """Drives the module of the same name on the host.

    Attributes:
        TEXTS: by an option of the module, the path below the collection of the file whose text it gets on every run. Such an
            option is not for tasks, and is not repeated in the result.
    """

    MODULE = "wormhole.docker.wormhole_container"
    ARGUMENTS = WORMHOLE_ARGUMENTS
    TEXTS: ClassVar[dict[str, str]] = {"discover_program": "files/wormhole-discover"}

    def host_arguments(self, options: dict[str, Any]) -> dict[str, Any]:
        # As the task has them: the host knows its own home directories.
        given = {name: value for name, value in self._task.args.items() if name not in SIGNING_ARGUMENTS}
        texts = {name: (COLLECTION / path).read_text(encoding="utf-8") for name, path in self.TEXTS.items()}
        return {**given, **texts}

    def sign(
        self,
        options: dict[str, Any],
        requests: dict[str, Any],
        material: Material,
        now: datetime.datetime,
    ) -> dict[str, str]:
        _spec, identity = self._parse(options)
        return sign_requests([] if identity is None else [identity], requests, material, now)

    def _manage(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        given = sorted(set(self._task.args) & set(self.TEXTS))
        if given:
            raise InvalidInput(given[0], expected="to be left out", found="it in the task")
        _validation, options = self.validate_argument_spec(
            {**SIGNING_ARGUMENTS, **self.ARGUMENTS},
            mutually_exclusive=SIGNING_CONSTRAINTS["mutually_exclusive"],
        )
        spec, identity = self._parse(options)
        if identity is None:
            # Nothing is issued: no authority has to be there, and none is read.
            return self._run_module(self.host_arguments(options), task_vars)
        if options["authority"] is None and not any(options[f"ca_{source}"] for source in SOURCES):
            options["ca_directory"] = DEFAULT_AUTHORITY
        answer = self._issue(options, task_vars)
        if REQUESTS in answer:
            wiring = spec.wiring
            answer["certificates"] = [
                certificate_options(options, wiring.identity, wiring.identity_directory)
            ]
        return answer

    def _parse(self, options: dict[str, Any]) -> Any:
        return parse_wormhole(options, parse_socket_path(options["docker_host"]))

    def _run_module(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer = super()._run_module(arguments, task_vars)
        for name in self.TEXTS:
            answer.get("invocation", {}).get("module_args", {}).pop(name, None)
        return answer
