# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Computes the original content of files, as if this collection had never changed them.

Units and drop-ins belong to the listener as a whole. daemon.json is shared: others write keys to it
as well.
"""

from __future__ import annotations

import dataclasses
import posixpath
from typing import Optional

from .._base import systemd_units
from .._engine import daemon_json
from . import guard
from .journal import Journal, Origin
from .model import ListenerState
from .spec import LIVE_RESTORE, ListenerSpec, tls_keys
from .units import SINGLE_UNIT, is_listener_unit, unit_path


def original_config(spec: ListenerSpec, state: ListenerState) -> Optional[str]:
    """The original content of daemon.json, with later changes of others; None for no file."""
    if state.config_missing:
        return None
    entry = state.origin.files.get(state.config_path)
    if entry is None and not is_record_incomplete(state, Journal({})):
        # The record is complete and does not name the file: this collection has never changed it.
        return state.config_text
    if entry is not None:
        original = None if entry.original is None else entry.original.content.decode()
        if entry.written == state.config_text.encode():
            return original
        # A removal that was killed has restored the file already, except for live-restore.
        restored = [set_live_restore(original, value) for value in (True, False)] if state.interrupted else []
        if state.config_text in restored:
            return original
    path = state.config_path
    stripped = strip_managed(spec, state.origin, path, path, state.config_text.encode())
    return None if stripped is None else stripped.decode()


def former_originals(spec: ListenerSpec, state: ListenerState) -> dict[str, Optional[str]]:
    """The original contents of the configuration files that dockerd no longer reads, by path."""
    found = {}
    for path, text in sorted(state.former_configs.items()):
        former = dataclasses.replace(state, config_path=path, config_text=text, config_missing=False)
        original = original_config(spec, former)
        if original != text:
            found[path] = original
    return found


def is_former_config(path: str, origin: Origin, config_path: str) -> bool:
    """Whether the record names a configuration file, other than the present one, with our changes."""
    entry = origin.files.get(path)
    if entry is None or entry.written is None or path == config_path or _is_ours(path):
        return False
    return entry.original is None or entry.original.content != entry.written


def _is_ours(path: str) -> bool:
    """Whether a file belongs to the listener as a whole."""
    return path == guard.PROGRAM or path.startswith(systemd_units.UNIT_DIRECTORY + "/")


def set_live_restore(text: Optional[str], value: bool) -> str:
    """A configuration with this value of live-restore."""
    return daemon_json.edit_keys(text or "", {LIVE_RESTORE: value})


def is_record_incomplete(state: ListenerState, journal: Journal) -> bool:
    """Whether files may hold changes of ours that are not recorded.

    The listener may be older than the record, or the record may have been lost. Units that the
    journal of the present transaction creates are not on record yet.
    """
    recorded = set(state.origin.files)
    untouched = {unit_path(name) for name in state.units} - set(journal.files)
    existing = [path for path, previous in journal.files.items() if previous is not None]
    changed = {path for path in existing if is_listener_unit(posixpath.basename(path))}
    return unit_path(SINGLE_UNIT) in recorded or not (untouched | changed) <= recorded


def strip_managed(
    spec: ListenerSpec, origin: Origin, config_path: str, path: str, content: bytes, incomplete: bool = True
) -> Optional[bytes]:
    """Removes from a file what this collection wrote; None if nothing remains.

    Args:
        config_path: the real path of daemon.json.
        incomplete: whether the record may lack changes of ours. If not, unrecorded keys with our
            values are kept.
    """
    if path != config_path and _is_ours(path):
        return None
    text = content.decode()
    entry = origin.files.get(path)
    if entry is None and not incomplete:
        return content
    if entry is None or entry.written is None:
        # No original is recorded: remove the TLS keys that have our values.
        config = daemon_json.parse_config(text)
        ours = [key for key, value in tls_keys(spec).items() if config.get(key) == value]
        return daemon_json.edit_keys(text, {}, ours).encode()
    original = "" if entry.original is None else entry.original.content.decode()
    stripped = undo_keys(text, entry.written.decode(), original)
    empty = entry.original is None and not daemon_json.parse_config(stripped)
    return None if empty else stripped.encode()


def undo_keys(current: str, written: str, original: str) -> str:
    """Reverts our changes of a configuration, except for keys that others have changed since."""
    ours, theirs = daemon_json.parse_config(written), daemon_json.parse_config(original)
    now = daemon_json.parse_config(current)
    changed = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    unchanged_since = [key for key in changed if now.get(key) == ours.get(key)]
    restored = {key: theirs[key] for key in unchanged_since if key in theirs}
    return daemon_json.edit_keys(current, restored, [key for key in unchanged_since if key not in theirs])
