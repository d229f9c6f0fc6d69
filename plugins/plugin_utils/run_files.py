# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of one run of Ansible, in its directory for temporary files, which it removes at the end.

Each task on each host has a process of its own on the controller. What is the same for all of them
is made once in a run.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Callable

from ansible import constants

_DIRECTORY = "wormhole.docker"


def once_in_a_run(name: str, make: Callable[[], str]) -> Path:
    """Return the path of a file whose content is the same for all tasks and hosts of a run.

    Processes that start at the same time may each make it, and one of the equal files stays.

    Args:
        name: path of the file, relative to the directory of such files.
        make: makes its content.

    Raises:
        OSError: the file cannot be written.
    """
    # Ansible makes this directory for each run; only the user who runs it can read or write there.
    path = Path(constants.DEFAULT_LOCAL_TMP) / _DIRECTORY / name
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(make())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return path
