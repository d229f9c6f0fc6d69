# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set our openings in ufw, by its own command; restore its original files once ours are removed.

ufw rewrites the whole file when one rule changes. If the original text is not as ufw writes it (a
fresh installation, or a file edited by hand), deleting our rule does not restore it; it is then
kept as a backup.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Iterable, Mapping

from ..._base.errors import ApplyFailed, Refused
from ..._base.io.commands import failure_of, run
from ..._base.io.files import make_directory, read_file, read_text, remove_file, write_file
from .. import ufw as firewall_ufw
from ..model import Opening

SAVED_PATH = "/var/lib/wormhole/firewall/ufw.json"
_TIMEOUT = 60.0


def has_saved() -> bool:
    """Whether a backup of ufw's files exists."""
    return os.path.exists(SAVED_PATH)


def set_ufw_openings(openings: Iterable[Opening]) -> None:
    """Makes our openings in ufw exactly these.

    Raises:
        Refused: a rule of the administrator does something else with exactly this port.
        ApplyFailed: ufw rejected a rule.
    """
    desired = set(openings)
    before = {path: read_text(path) or "" for path in firewall_ufw.RULES_PATHS.values()}
    present = {opening for text in before.values() for opening in firewall_ufw.our_openings(text)}
    for opening in desired:
        verdict = firewall_ufw.contradiction(before[firewall_ufw.RULES_PATHS[opening.family]], opening)
        if verdict:
            port = f"{opening.address} port {opening.port} on {opening.interface}"
            problem = f"ufw has a rule ({verdict}) for {port}, which containers need to reach"
            raise Refused(f"ufw: {port}", problem=problem, remedy="Delete that rule, or set firewall: ignore")
    for opening in sorted(present - desired):
        _ufw(firewall_ufw.delete_command(opening))
    for opening in sorted(desired - present):
        _ufw(firewall_ufw.allow_command(opening))
    if desired and not present:
        _back_up(before)
    if not desired and has_saved():
        _restore()


def _back_up(before: Mapping[str, str]) -> None:
    """Keeps each text that ufw would not restore, with the text that ufw will leave instead."""
    kept = {path: (text, firewall_ufw.without_ours(read_text(path) or "")) for path, text in before.items()}
    kept = {path: (text, left) for path, (text, left) in kept.items() if text != left}
    if kept:
        make_directory(os.path.dirname(SAVED_PATH), mode=0o700)
        write_file(SAVED_PATH, json.dumps(kept).encode(), mode=0o600)


def _restore() -> None:
    """Restores the original texts, except where a rule has been changed in the meantime."""
    saved = read_file(SAVED_PATH)
    for path, (text, left) in json.loads(saved.content if saved else b"{}").items():
        found = read_file(path)
        if found and found.text == left:
            write_file(path, text.encode(), mode=found.mode, uid=found.uid, gid=found.gid)
    remove_file(SAVED_PATH)
    for directory in (os.path.dirname(SAVED_PATH), os.path.dirname(os.path.dirname(SAVED_PATH))):
        with contextlib.suppress(OSError):
            os.rmdir(directory)


def _ufw(argv: list[str]) -> None:
    answer = run(argv, _TIMEOUT)
    if answer.returncode:
        command = " ".join(argv)
        raise ApplyFailed(command, problem=f"{command} failed: {failure_of(answer)}")
