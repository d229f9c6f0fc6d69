# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module's body."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ansible.module_utils.basic import AnsibleModule

from .._base.errors import WormholeError
from .failure import failure_of

Body = Callable[[AnsibleModule], Dict[str, Any]]


def run(main: Body, arguments: Mapping[str, Any], **constraints: Any) -> None:
    """Run a module's body with these arguments; the constraints are those of AnsibleModule."""
    finish(AnsibleModule(argument_spec=arguments, supports_check_mode=True, **constraints), main)


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
    if result.get("failed"):
        module.fail_json(**result)
    else:
        module.exit_json(**result)
