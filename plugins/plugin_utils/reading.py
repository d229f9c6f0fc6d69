# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of all action plugins: they run a module, and read its answer by a list of keys."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar, Iterator, Optional

from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as NormalAction

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.plugin_utils.answers import check_facts, read_answer
from ansible_collections.wormhole.docker.plugins.plugin_utils.bundle import BundledAction


def host_of(action: ActionBase, task_vars: dict[str, Any]) -> str:
    """Name of the host that answers, in the inventory."""
    return str(getattr(action._task, "delegate_to", None) or task_vars.get("inventory_hostname", ""))


@contextlib.contextmanager
def naming(action: ActionBase, task_vars: dict[str, Any]) -> Iterator[None]:
    """Name the host in errors about what it has answered."""
    try:
        yield
    except WormholeError as error:
        error.put_in(f"answer of {host_of(action, task_vars)}")
        raise


def read(
    action: ActionBase, module: str, answer: dict[str, Any], task_vars: dict[str, Any]
) -> dict[str, Any]:
    """Return what is read of an answer.

    Raises:
        VerificationFailed: a value is malformed.
    """
    key = action._discovered_interpreter_key
    facts = {key: action._discovered_interpreter} if key else {}
    return read_answer(module, answer, host_of(action, task_vars), facts)


class ReadingAction(BundledAction, NormalAction):
    """Run a module as Ansible does, and read its answer.

    Attributes:
        MODULE: full name of the module.
        SIGNS: whether the module has the key of an authority.
    """

    MODULE: ClassVar[str]
    SIGNS: ClassVar[bool] = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        variables = task_vars or {}
        try:
            if self.SIGNS:
                check_facts(variables, str(variables.get("inventory_hostname", "")))
            return read(self, self.MODULE, super().run(tmp, task_vars), variables)
        except WormholeError as error:
            return {"failed": True, "msg": str(error), "error": error.as_dict()}
