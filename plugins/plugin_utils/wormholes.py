# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of action plugins that run wormholes.

They sign identities on the controller, and pass files of this collection to their modules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Mapping, Optional, Sequence

from ansible.utils.display import Display

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._certificates import scope as scopes
from ansible_collections.wormhole.docker.plugins.module_utils._glue import certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority_options import SOURCES
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import without_secrets
from ansible_collections.wormhole.docker.plugins.plugin_utils.answers import printable
from ansible_collections.wormhole.docker.plugins.plugin_utils.signing import SigningAction

COLLECTION = Path(__file__).resolve().parents[2]
display = Display()
AUTHORITY_OPTIONAL = {"mutually_exclusive": certificates.SIGNING_CONSTRAINTS["mutually_exclusive"]}
AUTHORITY_VARIABLES = {
    "certificate_authority_directory": "~/.wormhole/ca",
    "certificate_authority_scope": scopes.HOST,
}
"""Variables of role certificate_authority that name the default authority, with their defaults."""


class WormholeAction(SigningAction):
    """Runs the module of the same name on the host.

    Attributes:
        TEXTS: internal options of the module, with the paths of the files that they contain,
            relative to the collection. Tasks cannot set these options, and the result does not
            repeat them.
        INTERNAL: further internal options.
    """

    INTERNAL: ClassVar[tuple[str, ...]] = ()
    TEXTS: ClassVar[dict[str, str]] = {"discover_program": "files/wormhole-discover"}

    def host_arguments(self, options: dict[str, Any]) -> dict[str, Any]:
        # Unconverted: paths with ~ refer to home directories of the host.
        given = {k: value for k, value in self._task.args.items() if k not in certificates.SIGNING_ARGUMENTS}
        texts = {name: (COLLECTION / path).read_text(encoding="utf-8") for name, path in self.TEXTS.items()}
        return {**given, **texts}

    def validate(self, constraints: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the options of the task, with types and defaults.

        Args:
            constraints: of the options, as for AnsibleModule. By default, no authority is
                required.

        Raises:
            InvalidInput: the task sets an internal option.
        """
        given = sorted(set(self._task.args) & {*self.TEXTS, *self.INTERNAL})
        if given:
            raise InvalidInput(given[0], problem=f"{given[0]} is internal", remedy="Remove it from the task")
        _validation, options = self.validate_argument_spec(
            {**certificates.SIGNING_ARGUMENTS, **self.ARGUMENTS}, **(constraints or AUTHORITY_OPTIONAL)
        )
        validated: dict[str, Any] = options
        return validated

    def _default_authority(self, task_vars: Mapping[str, Any], engine: str) -> str:
        """The directory of the authority that the roles use for the host of an engine.

        Args:
            engine: name of the host; empty for the host of the task.

        Raises:
            InvalidInput: a variable of role certificate_authority is invalid.
        """
        base, scope = (
            str(self._templar.template(task_vars.get(name, default)))
            for name, default in AUTHORITY_VARIABLES.items()
        )
        host = engine or str(task_vars.get("inventory_hostname", ""))
        return scopes.authority_directory(base, host, scope)

    def launch(
        self, options: dict[str, Any], identities: list[dict[str, Any]], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        """Run the module, which may issue these identities, given as in tls_certificates."""
        if not identities:
            # No certificate is issued, so no authority is required, whatever the host asks for.
            answer = self._run_module(self.host_arguments(options), task_vars)
            answer.pop(certificates.REQUESTS, None)
            return answer
        if options["authority"] is None and not any(options[f"ca_{source}"] for source in SOURCES):
            options["ca_directory"] = self._default_authority(task_vars, options.get("engine") or "")
        answer = self._issue(options, task_vars)
        if certificates.REQUESTS in answer:
            requested = answer[certificates.REQUESTS]
            answer["certificates"] = [item for item in identities if item["name"] in requested]
        return answer

    def announce(self, verb: str, noun: str, names: Sequence[str], task_vars: dict[str, Any]) -> None:
        """Say what takes long before it begins."""
        number = f"1 {noun}" if len(names) == 1 else f"{len(names)} {noun}s"
        self._show(f"{verb} {number}: {', '.join(names)}", task_vars)

    def show_wormholes(self, results: Sequence[dict[str, Any]], task_vars: dict[str, Any]) -> None:
        """Name each wormhole that was changed or has failed: the task has one line for all."""
        for item in results:
            if item["failed"]:
                self._show(f"{item['name']}: failed: {item['msg']}", task_vars)
            elif item["changed"]:
                reasons = "; ".join(reason["text"] for reason in item.get("reasons", ()))
                self._show(f"{item['name']}: changed: {reasons}", task_vars)

    def _show(self, text: str, task_vars: dict[str, Any]) -> None:
        # Not to standard output, which callback plugins may write data to.
        host = task_vars.get("inventory_hostname", "")
        display.display(f"[{host}] {printable(text)}", stderr=True)

    def _run_module(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        answer = super()._run_module(arguments, task_vars)
        invocation = answer.get("invocation", {})
        given = invocation.get("module_args")
        if given:
            for name in (*self.TEXTS, *self.INTERNAL):
                given.pop(name, None)
            invocation["module_args"] = without_secrets(given)
        return answer
