# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module is going to do and why, as data.

A planner is a pure function ``plan_x(spec, state, now) -> Plan``. It decides everything and does
nothing. Check mode and a real run therefore show the same, and every planner can be tested for one
law:

    plan(spec, simulate(state, plan(spec, state))) is empty
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Mapping, TypeVar

ActionT = TypeVar("ActionT")


@dataclass(frozen=True)
class Reason:
    """Why something has to change.

    Attributes:
        code: a stable identifier for programs, such as ``san_missing``.
        text: the reason in words, such as ``SAN missing: IP 172.18.0.1 (gateway of network ci)``.
        subject: the object concerned, such as a certificate's name or a file's path.
    """

    code: str
    text: str
    subject: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "text": self.text, "subject": self.subject}


@dataclass(frozen=True)
class Plan(Generic[ActionT]):
    """The whole decision of one run.

    Attributes:
        before: the observed state that the plan concerns, for the diff.
        after: the same after the actions, for the diff. Never holds a secret.
        reasons: one for each difference. Empty if and only if there are no actions.
        actions: what to do, in order; frozen dataclasses that an executor interprets.
    """

    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    actions: tuple[ActionT, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.reasons) != bool(self.actions):
            raise ValueError(
                f"a plan has reasons exactly if it has actions: {self.reasons!r}, {self.actions!r}"
            )

    @property
    def is_empty(self) -> bool:
        return not self.actions

    def texts(self) -> list[str]:
        """The texts of the reasons."""
        return [reason.text for reason in self.reasons]
