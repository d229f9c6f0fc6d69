# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What wormholes with a policy have created, by the label of the owner; see :mod:`_gate.reaping`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any, Iterable, Mapping

from .._certificates.facts import timestamp
from .._container.inspection import names_of
from .._gate.reaping import Memory
from .._policy.decision import LABEL_OWNER

_LATEST = 9999999999


def siblings_of(
    identity: str,
    containers: Iterable[Mapping[str, Any]],
    networks: Iterable[Mapping[str, Any]],
    memory: Memory,
) -> dict[str, Any]:
    """Return the siblings of one identity, as wormhole_container_info documents them.

    Args:
        identity: their owner; nobody owns anything if it is empty.
        containers, networks: of the engine, as it lists them.
        memory: what the gate remembers.
    """
    owned = [row for row in containers if _is_owned(row, identity)]
    joined = [row for row in networks if _is_owned(row, identity)]
    removed = [row for row in memory.removed if identity and row.identity == identity]
    return {
        "siblings": sorted((_sibling(row) for row in owned), key=lambda row: (row["name"], row["id"])),
        "siblings_used": {
            "containers": len(owned),
            "running": sum(row.get("State") == "running" for row in owned),
            "networks": len(joined),
        },
        "siblings_removed": [
            {
                **{key: value for key, value in asdict(row).items() if key != "identity"},
                "time": _moment(row.time),
            }
            for row in removed
        ],
    }


def _is_owned(row: Mapping[str, Any], identity: str) -> bool:
    return bool(identity) and (row.get("Labels") or {}).get(LABEL_OWNER) == identity


def _sibling(row: Mapping[str, Any]) -> dict[str, str]:
    names = names_of(row)
    return {
        "name": names[0] if names else "",
        "id": str(row.get("Id") or ""),
        "state": str(row.get("State") or ""),
        "created": _moment(row.get("Created")),
    }


def _moment(seconds: Any) -> str:
    known = isinstance(seconds, int) and 0 < seconds <= _LATEST
    return timestamp(datetime.fromtimestamp(seconds, timezone.utc)) if known else ""
