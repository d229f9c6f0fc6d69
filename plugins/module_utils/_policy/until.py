# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time at which mode ``learn`` ends by itself."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from .._base.errors import InvalidInput

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)


def parse_until(value: Any, where: str) -> int:
    """Return a time in seconds since the epoch.

    Args:
        value: date, time and zone, as ISO 8601 writes them: ``2026-12-24T18:00:00+01:00``.
        where: the option, for messages.

    Raises:
        InvalidInput: it is something else. A time without a zone could mean several.
    """
    match = _TIME.match(value) if isinstance(value, str) else None
    if match is not None:
        zone = "+00:00" if match[4] in "Zz" else match[4]
        try:
            return int(datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3] or ':00'}{zone}").timestamp())
        except (ValueError, OverflowError):
            pass
    shown = repr(value) if isinstance(value, (str, int)) else type(value).__name__
    raise InvalidInput(
        where,
        expected="a date and a time with its zone, such as 2026-12-24T18:00:00+01:00",
        found=shown[:100],
        remedy=f"Correct {where}",
    )


def render_time(seconds: float) -> str:
    """Return a time as ISO 8601 writes it, in UTC."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
