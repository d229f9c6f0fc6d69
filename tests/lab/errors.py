# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The exception of the lab."""

from __future__ import annotations


class LabError(Exception):
    """An error of the lab: what is wrong, expected and found, and what to do."""

    def __init__(self, what: str, *, expected: str = "", found: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.what]
        for label, text in (("expected", self.expected), ("found", self.found), ("remedy", self.remedy)):
            if text:
                parts.append(f"  {label}: {text}")
        return "\n".join(parts)

    def to_json(self) -> dict[str, str]:
        """Return the parts as JSON for the control socket."""
        return {
            "what": self.what,
            "expected": self.expected,
            "found": self.found,
            "remedy": self.remedy,
        }

    @classmethod
    def from_json(cls, data: dict[str, str]) -> LabError:
        """Create the exception from the value of `to_json`."""
        return cls(data["what"], expected=data["expected"], found=data["found"], remedy=data["remedy"])
