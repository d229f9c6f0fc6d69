# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens to the siblings of a wormhole that is removed: the answer of the program to ``cleanup``.

The running gate removes siblings some time after their wormhole has ended, see :mod:`_gate.reaping`. A
module that removes a wormhole, or the gate, has the program do the same at once. Modules import this file,
so it imports little.
"""

from __future__ import annotations

from typing import Any, Iterable, NamedTuple

REMOVED, STOPPED, KEPT = "removed", "stopped", "kept"
ACTIONS = (REMOVED, STOPPED, KEPT)


class Ending(NamedTuple):
    """What happens to a sibling, or has happened to it.

    Attributes:
        identity: its owner.
        kind: ``container``, ``network`` or ``volume``.
        id: full ID; of a volume its name.
        name: its name.
        action: one of ACTIONS.
        reason: why it is kept, or only stopped; otherwise empty.
    """

    identity: str
    kind: str
    id: str
    name: str
    action: str
    reason: str = ""


def parse_endings(rows: Any) -> tuple[Ending, ...]:
    """Parse the rows in an answer of the program.

    Raises:
        ValueError: they are none.
    """
    found = []
    for row in rows if isinstance(rows, list) else [None]:
        texts = {name: row.get(name) for name in Ending._fields} if isinstance(row, dict) else {}
        if not texts or not all(isinstance(text, str) for text in texts.values()):
            raise ValueError("not an answer of the program")
        found.append(Ending(**{name: str(text) for name, text in texts.items()}))
    return tuple(found)


def describe_endings(endings: Iterable[Ending]) -> dict[str, list[dict[str, str]]]:
    """Return the values ``siblings_removed`` and ``siblings_kept`` of modules.

    What was only stopped still exists, so it is kept.
    """
    rows = [ending._asdict() for ending in endings]
    return {
        "siblings_removed": [
            {name: row[name] for name in ("identity", "kind", "id", "name")}
            for row in rows
            if row["action"] == REMOVED
        ],
        "siblings_kept": [row for row in rows if row["action"] != REMOVED],
    }


def name_endings(endings: Iterable[Ending], action: str) -> str:
    """Name the siblings with one action in a sentence, such as ``container web, network backend``."""
    return ", ".join(f"{ending.kind} {ending.name}" for ending in endings if ending.action == action)
