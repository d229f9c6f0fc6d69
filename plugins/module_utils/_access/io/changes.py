# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives identities their access through the gate, and takes it away.

The gate reads a policy when its file is renamed into place. A door is a socket unit, so adding or
removing one disturbs no other.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Iterable

from ..._base.errors import MissingRequirement
from ..._base.io import files, systemd
from ..._gate import places, units
from ..._gate.ending import Ending
from ..._gate.io import consulting
from ..model import (
    AccessAction,
    AccessState,
    CloseDoor,
    EndSiblings,
    OpenDoor,
    RemovePolicy,
    RequireGate,
    WritePolicy,
)
from ..spec import render_policy
from .state import POLICY_MODE, gate_group, observe_access, read_fingerprints

_ROOT = 0


def require_access(actions: Iterable[AccessAction]) -> None:
    """Check, before anything is changed, whether the gate that a plan needs exists.

    Raises:
        MissingRequirement: it does not.
    """
    for action in actions:
        if isinstance(action, RequireGate):
            raise MissingRequirement(
                f"identity {action.identity}", problem=action.problem, remedy=action.remedy
            )


def apply_access(actions: Iterable[AccessAction]) -> tuple[Ending, ...]:
    """Carry out the actions of a plan, in their order; return what has happened to siblings.

    Raises:
        WormholeError: a step failed. The next run continues.
    """
    endings: list[Ending] = []
    for action in actions:
        if isinstance(action, EndSiblings):
            endings += consulting.clean_up([action.identity], carry_out=True)
        else:
            _apply(action)
    return tuple(endings)


def restore_access(identity: str, previous: AccessState) -> None:
    """Restore the access that an identity had before a run which failed.

    Raises:
        WormholeError: it could not be restored.
    """
    found = observe_access(identity)
    if previous.policy is None:
        # Without its policy, nobody gets in by the door.
        _remove_policy(identity)
    elif previous.policy != found.policy:
        _write(identity, previous.policy)
    if not previous.has_door and found.has_door:
        _close(identity)


def give_door(identity: str, user: int) -> None:
    """Let an identity's socket belong to a user, given by number; open connections stay.

    Raises:
        WormholeError: a step failed.
    """
    unit, path, text = (
        units.unix_unit(identity),
        units.socket_path(identity),
        units.render_unix(identity, user),
    )
    changed = files.read_text(units.unit_path(unit)) != text
    if changed:
        files.write_file(units.unit_path(unit), text.encode(), mode=0o644)
        systemd.daemon_reload()
    if not all(map(os.path.lexists, units.wants_links(unit))):
        systemd.enable(unit)
    if not os.path.lexists(path):
        systemd.restart_units(unit)
    try:
        os.chown(path, user, _ROOT, follow_symlinks=False)
        os.chmod(path, 0o600)
    except OSError as error:
        raise files.failure("set the owner of", path, error) from error


def _apply(action: AccessAction) -> None:
    if isinstance(action, RequireGate):
        require_access([action])
    elif isinstance(action, WritePolicy):
        _write(action.identity, render_policy(action.document, read_fingerprints(action.certificates)))
    elif isinstance(action, OpenDoor):
        give_door(action.identity, action.user)
    elif isinstance(action, CloseDoor):
        _close(action.identity)
    elif isinstance(action, RemovePolicy):
        _remove_policy(action.identity)


def _write(identity: str, text: str) -> None:
    group = gate_group() or _ROOT
    if not os.path.isdir(places.POLICIES):
        files.make_directory(places.POLICIES, mode=0o750, gid=group)
    files.write_file(places.policy_path(identity), text.encode(), mode=POLICY_MODE, gid=group)


def _remove_policy(identity: str) -> None:
    # Before: a run that is killed in between is continued. After: the gate may have written it again.
    _remove_record(identity)
    path = places.policy_path(identity)
    for leftover in files.leftovers(path):
        files.remove_file(leftover)
    files.remove_file(path)
    _remove_record(identity)


def _remove_record(identity: str) -> None:
    """Remove what the gate has recorded of an identity's calls."""
    directory, name = f"{units.STATE}/{places.RECORDS}", identity + places.SUFFIX
    # The directory belongs to the gate, which must not lead root anywhere else.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        number = os.open(directory, flags)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return
        raise files.failure("open", directory, error) from error
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=number)
    except OSError as error:
        raise files.failure("remove", f"{directory}/{name}", error) from error
    finally:
        os.close(number)


def _close(identity: str) -> None:
    """Remove a door: its socket ends with its unit."""
    unit, path = units.unix_unit(identity), units.socket_path(identity)
    systemd.stop(unit)
    files.remove_file(units.unit_path(unit))
    for link in units.wants_links(unit):
        files.remove_file(link)
    systemd.daemon_reload()
    # A unit whose file somebody has removed leaves its socket.
    files.remove_file(path)
    files.remove_directory(os.path.dirname(path))
