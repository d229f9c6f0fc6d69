# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw, by its own command; and its files as they were, for the day on which ours is gone again.

ufw writes a whole file anew when one rule changes. Where the former text was not as ufw writes it (a fresh
installation's, or one edited by hand), deleting our rule would not give it back. It is kept beside our state then.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.commands import run
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.files import (
    make_directory,
    read_file,
    remove_file,
    write_file,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core import firewall_ufw
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import ApplyFailed, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import Opening

SAVED_PATH = "/var/lib/wormhole/firewall/ufw.json"
_TIMEOUT = 60.0


def has_saved() -> bool:
    """Whether a file of ufw's is kept."""
    return os.path.exists(SAVED_PATH)


def set_ufw_openings(openings: Iterable[Opening]) -> None:
    """Makes ours among ufw's rules be exactly these.

    Raises:
        Refused: the administrator has decided otherwise about exactly this port.
        ApplyFailed: ufw refused.
    """
    wanted = set(openings)
    before = {path: _text(path) for path in firewall_ufw.RULES_PATHS.values()}
    present = {opening for text in before.values() for opening in firewall_ufw.our_openings(text)}
    for opening in wanted:
        verdict = firewall_ufw.contradiction(before[firewall_ufw.RULES_PATHS[opening.family]], opening)
        if verdict:
            raise Refused(
                f"ufw: {opening.address} port {opening.port} on {opening.interface}",
                expected="no rule of the administrator's about it",
                found=verdict,
                remedy="Delete that rule, or leave the packet filter alone with firewall: ignore",
            )
    for opening in sorted(present - wanted):
        _ufw(firewall_ufw.delete_command(opening))
    for opening in sorted(wanted - present):
        _ufw(firewall_ufw.allow_command(opening))
    if wanted and not present:
        _keep(before)
    if not wanted and has_saved():
        _give_back()


def _keep(before: Mapping[str, str]) -> None:
    """Keeps each text that ufw would not give back by itself, with the one that it will leave."""
    kept = {path: (text, firewall_ufw.without_ours(_text(path))) for path, text in before.items()}
    kept = {path: (text, left) for path, (text, left) in kept.items() if text != left}
    if kept:
        make_directory(os.path.dirname(SAVED_PATH), mode=0o700)
        write_file(SAVED_PATH, json.dumps(kept).encode(), mode=0o600)


def _give_back() -> None:
    """Puts the former texts back, except where somebody has changed a rule in the meantime."""
    saved = read_file(SAVED_PATH)
    for path, (text, left) in json.loads(saved.content if saved else b"{}").items():
        found = read_file(path)
        if found and found.content.decode("utf-8", "replace") == left:
            write_file(path, text.encode(), mode=found.mode, uid=found.uid, gid=found.gid)
    remove_file(SAVED_PATH)
    for directory in (os.path.dirname(SAVED_PATH), os.path.dirname(os.path.dirname(SAVED_PATH))):
        with contextlib.suppress(OSError):
            os.rmdir(directory)


def _text(path: str) -> str:
    found = read_file(path)
    return found.content.decode("utf-8", "replace") if found else ""


def _ufw(argv: list[str]) -> None:
    answer = run(argv, _TIMEOUT)
    if answer.returncode:
        raise ApplyFailed(
            " ".join(argv),
            expected="success",
            found=(answer.stderr or answer.stdout).strip() or f"exit status {answer.returncode}",
        )
