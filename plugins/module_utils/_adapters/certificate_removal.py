# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes away what was made for certificates on a host; needs no authority, and none of the libraries that make them."""

from __future__ import annotations

import errno
import os

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import certificate_record, files
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.certificate_store import (
    find_leftovers,
    remove_leftovers,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.daemon_config import read_config_text
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_record import Record
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_removal import (
    Place,
    RemovalAction,
    RemovalState,
    RemoveFiles,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import FILES
from ansible_collections.wormhole.docker.plugins.module_utils._core.daemon_json import PATH, parse_config
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import ApplyFailed, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan

_KEYS = ("tlscacert", "tlscert", "tlskey")


def observe_removal(config_path: str = PATH) -> RemovalState:
    """Reads what was made on this host, and what is left of it.

    Args:
        config_path: of the engine's configuration.

    Raises:
        Refused: the record, or the engine's configuration, is something else; or this process is not root's, and has no record.
        WormholeError: something cannot be read.
    """
    if not certificate_record.is_kept():
        raise Refused(
            certificate_record.directory(),
            expected="root, for whom it is recorded what was made on this host",
            found="another user",
            remedy="Run the task with become: true; to remove a certificate that another user made, name it with state absent",
        )
    record = certificate_record.read()
    if record.is_empty:
        return RemovalState()
    places = {
        place: Place(certificate_record.digests(place), find_leftovers(place))
        for place in record.certificates
    }
    contents = {
        path: tuple(sorted(os.listdir(path)))
        for path in {*record.certificates, *record.directories}
        if os.path.isdir(path) and not os.path.islink(path)
    }
    return RemovalState(record, places, contents, _in_use(record, config_path))


def apply_removal(plan: Plan[RemovalAction]) -> None:
    """Carries out a plan. What was removed is forgotten at the end, so that a run that was cut off can be repeated.

    Raises:
        Refused: the engine would not start without one of the files; nothing was removed.
        ApplyFailed: something could not be removed.
    """
    for action in plan.actions:
        if isinstance(action, RemoveFiles) and action.in_use:
            raise Refused(
                action.directory,
                expected="a certificate that nothing names any more",
                found=f"it in {action.in_use}: the engine would not start again",
                remedy="Remove the listener first, by role wormhole.docker.listener with tasks_from: absent, "
                "or by playbook wormhole.docker.teardown; nothing was removed",
            )
    certificates, directories = [], []
    for action in plan.actions:
        if isinstance(action, RemoveFiles):
            for name in action.names:
                files.remove_file(os.path.join(action.directory, name))
            if action.leftovers:
                remove_leftovers(action.directory)
            certificates.append(action.directory)
        elif _remove_directory(action.path):
            directories.append(action.path)

    def forget(record: Record) -> Record:
        for place in certificates:
            record = record.without_certificate(place)
        return record.without_directories(directories)

    certificate_record.update(forget)


def _remove_directory(path: str) -> bool:
    """Whether it is gone; it stays if somebody has put something there in this moment.

    Raises:
        ApplyFailed: it cannot be removed for another reason, such as a mount.
    """
    try:
        os.rmdir(path)
        files.sync_directory(os.path.dirname(path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise ApplyFailed(path, expected="to be removed", found=error.strerror or str(error)) from error
    return True


def _in_use(record: Record, config_path: str) -> dict[str, str]:
    """By path of a recorded file, the key of the engine's configuration that names it."""
    config = parse_config(read_config_text(config_path), config_path)
    named = {os.path.realpath(str(config[key])): f"{config_path} as {key}" for key in _KEYS if key in config}
    paths = (f"{place}/{name}" for place in record.certificates for name in FILES)
    return {path: named[os.path.realpath(path)] for path in paths if os.path.realpath(path) in named}
