# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove recorded certificates. This requires no authority and no cryptography library."""

from __future__ import annotations

import errno
import os

from ..._base.errors import Refused
from ..._base.io import files
from ..._base.plan import Plan
from ..._engine.io.daemon_config import read_config
from ..._gate.io import admitted
from ..facts import CERTIFICATE_FILE, FILES
from ..record import Record
from ..removal import Place, RemovalAction, RemovalState, RemoveDirectory, RemoveFiles
from . import record as certificate_record
from .store import find_leftovers, remove_leftovers

_KEYS = ("tlscacert", "tlscert", "tlskey")


def observe_removal() -> RemovalState:
    """Read the host's record, the files that it lists, and the engine's configuration.

    Raises:
        Refused: the record or the configuration is invalid, or the process is not root's.
        WormholeError: a file or directory cannot be read.
    """
    if not certificate_record.is_kept():
        raise Refused(
            certificate_record.directory(),
            problem="only root has a record of the certificates that were created on this host",
            remedy="Run the task with become: true. To remove the certificate of another user, list it with state: absent",
        )
    record = certificate_record.read()
    if record.is_empty:
        return RemovalState()
    listed = record.certificates
    places = {place: Place(certificate_record.digests(place), find_leftovers(place)) for place in listed}
    contents = {
        path: tuple(sorted(os.listdir(path)))
        for path in {*listed, *record.directories}
        if os.path.isdir(path) and not os.path.islink(path)
    }
    read_only = tuple(path for path in _changed(record) if not files.is_writable(path))
    return RemovalState(record, places, contents, _in_use(record), read_only)


def _changed(record: Record) -> list[str]:
    """The existing directories that a removal of everything would change."""
    parents = map(os.path.dirname, filter(os.path.isdir, record.directories))
    return sorted({*filter(os.path.isdir, record.certificates), *parents})


def apply_removal(plan: Plan[RemovalAction]) -> None:
    """Carry out a plan. The record is updated last, so an interrupted run can be repeated.

    Raises:
        Refused: the engine would not start without one of the files. Nothing was removed.
        ApplyFailed: a file or directory could not be removed.
    """
    for action in plan.actions:
        if isinstance(action, RemoveFiles) and action.in_use:
            raise Refused(
                action.directory,
                problem=f"the certificate in {action.directory} is still named in {action.in_use}: "
                "the engine would not start again without it",
                remedy="Remove the listener first, with role wormhole.docker.listener and tasks_from: absent, "
                "or with playbook wormhole.docker.teardown. Nothing was removed",
            )
    done = [action for action in plan.actions if _remove(action)]

    def forget(record: Record) -> Record:
        for action in done:
            record = action.forget(record)
        return record

    certificate_record.update(forget)


def _remove(action: RemovalAction) -> bool:
    """Carry out an action. Return whether nothing is left."""
    if isinstance(action, RemoveDirectory):
        return _remove_directory(action.path)
    certificate = files.read_file(os.path.join(action.directory, CERTIFICATE_FILE))
    if certificate is not None and CERTIFICATE_FILE in action.names:
        admitted.dismiss(certificate.content)
    for name in action.names:
        files.remove_file(os.path.join(action.directory, name))
    if action.leftovers:
        remove_leftovers(action.directory)
    return True


def _remove_directory(path: str) -> bool:
    """Remove a directory if it is empty. Return whether it no longer exists.

    Raises:
        ApplyFailed: it cannot be removed for another reason, such as a mount.
    """
    try:
        os.rmdir(path)
        files.sync_directory(os.path.dirname(path))
    except OSError as error:
        # A read-only file system fails without a look at the path.
        if not os.path.isdir(path):
            return True
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise files.failure("remove", path, error) from error
    return True


def _in_use(record: Record) -> dict[str, str]:
    """The keys of the engine's configuration that name recorded files, by the files' paths."""
    found = read_config()
    named = {
        os.path.realpath(str(found.keys[key])): f"{found.path} as {key}" for key in _KEYS if key in found.keys
    }
    paths = (f"{place}/{name}" for place in record.certificates for name in FILES)
    return {path: named[os.path.realpath(path)] for path in paths if os.path.realpath(path) in named}
