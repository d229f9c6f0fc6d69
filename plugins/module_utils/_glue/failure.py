# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A failure as the result of a module."""

from __future__ import annotations

from typing import Any, Union

from .._base.errors import WormholeError
from .._base.io import files


def failure_of(error: Union[WormholeError, OSError]) -> dict[str, Any]:
    """Return a failure as the result of a module.

    Raises:
        OSError: the error concerns no file, and is a defect.
    """
    if isinstance(error, OSError):
        if not error.filename:
            raise error
        error = files.failure("use", str(error.filename), error)
    elif isinstance(error.__cause__, PermissionError) and not error.remedy:
        error.remedy = "Run the task with become: true"
    return {"failed": True, "msg": str(error), "error": error.as_dict(), **error.facts()}
