# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of docker_container of which this collection has one value only, or which change nothing.

They are accepted, so that tasks which state that value need no change. Others are rejected with the
reason.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from .._base.errors import InvalidInput


class _Fixed(NamedTuple):
    """One option.

    Attributes:
        argument: the entry of the argument_spec.
        accepted: values that mean what this collection does.
        reason: why others are rejected, as a clause; may contain ``{value}``.
        remedy: what to do.
    """

    argument: Mapping[str, Any]
    accepted: tuple[Any, ...]
    reason: str
    remedy: str


def _choice(default: str, other: str) -> dict[str, Any]:
    return {"type": "str", "choices": [other, default], "default": default}


_FIXED: Mapping[str, _Fixed] = {
    "command_handling": _Fixed(
        _choice("correct", "compatibility"),
        ("correct",),
        "it splits the words of a list once more, which changes words with spaces or quotes",
        "Write command as it is to be run, and leave command_handling out",
    ),
    "container_default_behavior": _Fixed(
        _choice("no_defaults", "compatibility"),
        ("no_defaults",),
        "only options that the task sets are compared with a container",
        "Set the options that are to be false, such as tty, in the task",
    ),
    "image_comparison": _Fixed(
        _choice("current-image", "desired-image"),
        ("current-image",),
        "a strict comparison always accepts the values of the image that the container was created from",
        "Leave image_comparison out",
    ),
    "kernel_memory": _Fixed(
        {"type": "str"},
        ("", "0"),
        "Docker 23 and later have no such limit",
        "Leave it out; memory includes the memory of the kernel",
    ),
    "networks_cli_compatible": _Fixed(
        {"type": "bool", "default": True},
        (True,),
        "a container is connected to the default bridge only if networks names it, or if there are no networks",
        "Add bridge to networks",
    ),
    "pull_check_mode_behavior": _Fixed(
        _choice("image_not_present", "always"),
        ("image_not_present",),
        "check mode asks the registry, and reports a change only if a pull would bring another image",
        "Leave pull_check_mode_behavior out",
    ),
}

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    **{name: fixed.argument for name, fixed in _FIXED.items()},
    # What docker_container adds to its result with it is always in the result here.
    "debug": {"type": "bool", "default": False},
}


def reject_other_values(params: Mapping[str, Any]) -> None:
    """Check the options that have one value only.

    Raises:
        InvalidInput: an option has another value.
    """
    for name, fixed in _FIXED.items():
        value = params.get(name)
        if value is None or value in fixed.accepted:
            continue
        shown = str(value).lower() if isinstance(value, bool) else value
        problem = f"{name}: {shown} is not available: {fixed.reason}"
        raise InvalidInput(name, found=str(shown), problem=problem, remedy=fixed.remedy)
