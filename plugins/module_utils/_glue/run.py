# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module's body."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule

from .._base.errors import WormholeError
from .._base.io.bundle import keep_code, spare_exit
from .execute import collect
from .failure import failure_of

Body = Callable[[AnsibleModule], Dict[str, Any]]
Hide = Callable[[Mapping[str, Any]], Dict[str, Any]]


class _Discreet(AnsibleModule):
    """A module that writes its options to the system log of the host without secrets.

    ``no_log`` is not for options such as ``env``: it also masks each of their values, such as 1, in
    all of the result.
    """

    def __init__(self, hide: Hide, **constraints: Any) -> None:
        self._hide = hide
        super().__init__(**constraints)

    def _log_invocation(self) -> None:
        params: dict[str, Any] = self.params  # type: ignore[has-type]
        self.params = self._hide(params)
        try:
            super()._log_invocation()
        finally:
            self.params = params


def run(main: Body, arguments: Mapping[str, Any], *, hide: Optional[Hide] = None, **constraints: Any) -> None:
    """Run a module's body with these arguments; the constraints are those of AnsibleModule.

    Args:
        hide: returns the options without the values that must not be logged on the host.
    """
    given = {"argument_spec": arguments, "supports_check_mode": True, **constraints}
    finish(AnsibleModule(**given) if hide is None else _Discreet(hide, **given), main)


def finish(module: AnsibleModule, main: Body) -> None:
    """Run a module's body and exit with its result or its error.

    The texts in the result's ``warnings`` become warnings of the task.
    """
    try:
        result = main(module)
    except (WormholeError, OSError) as error:
        result = failure_of(error)
    for text in result.pop("warnings", ()):
        module.warn(text)
    if not (result.get("failed") or result.get("changed")):
        collect(module.check_mode, _keep_code)
    spare_exit()
    if result.get("failed"):
        module.fail_json(**result)
    else:
        module.exit_json(**result)


def _keep_code() -> dict[str, Any]:
    keep_code()
    return {}
