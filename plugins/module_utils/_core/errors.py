# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors of the collection, one small tree.

Every error says which object it is about, what was expected, what was found, and what to do::

    WormholeError
    ├── InvalidInput          the caller's parameters; raised before anything is touched
    ├── MissingRequirement    a library or program that the host lacks
    ├── Refused               the host's state is somebody else's; changing it could cost them something
    ├── EngineUnavailable     dockerd or systemd does not answer, or answers with an error
    ├── CommandFailed         a container that was waited for ended with an error
    ├── VerificationFailed    a proof (handshake, chain, traversal) did not hold
    └── ApplyFailed           a change could not be completed
        └── NotConverged      everything was applied, and yet the plan is not empty
"""

from __future__ import annotations

from typing import Any

_TOLD = 1000
"""Characters of an output that a message repeats."""


class WormholeError(Exception):
    """One failure, told completely.

    Args:
        subject: the object that the failure is about, such as a path, a container or an option.
        expected: what should have been the case (optional).
        found: what was the case instead (optional).
        remedy: one sentence that tells what to do (optional).
    """

    def __init__(self, subject: str, *, expected: str = "", found: str = "", remedy: str = "") -> None:
        super().__init__(subject)
        self.subject = subject
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def __str__(self) -> str:
        facts = []
        if self.expected:
            facts.append(f"expected {self.expected}")
        if self.found:
            facts.append(f"found {self.found}")
        text = f"{self.subject}: {', '.join(facts)}" if facts else self.subject
        return f"{text}. {self.remedy}" if self.remedy else text

    def as_dict(self) -> dict[str, str]:
        """The same as data, for a module's result."""
        return {
            "kind": type(self).__name__,
            "subject": self.subject,
            "expected": self.expected,
            "found": self.found,
            "remedy": self.remedy,
        }

    def facts(self) -> dict[str, Any]:
        """What a module returns beside the error."""
        return {}


class InvalidInput(WormholeError):
    """The caller's parameters are malformed or contradict each other."""


class MissingRequirement(WormholeError):
    """A library or a program that is needed is not there."""


class Refused(WormholeError):
    """What stands on the host belongs to somebody else, and changing it was not asked for."""


class EngineUnavailable(WormholeError):
    """dockerd, or systemd on its behalf, does not answer or answers with an error."""


class CommandFailed(WormholeError):
    """A container that was waited for ended with another exit code than 0.

    Args:
        subject: the container.
        status: its exit code.
        output: all that it has written.
    """

    def __init__(self, subject: str, *, status: int, output: str) -> None:
        told = (
            f"; its output ends with: {output.strip()[-_TOLD:]}" if output.strip() else "; it wrote nothing"
        )
        super().__init__(subject, expected="exit code 0", found=f"exit code {status}{told}")
        self.status = status
        self.output = output

    def facts(self) -> dict[str, Any]:
        return {"status": self.status, "output": self.output}


class VerificationFailed(WormholeError):
    """A proof did not hold: a handshake, a certificate chain, a traversal from inside."""


class ApplyFailed(WormholeError):
    """A change could not be completed; the text says whether the former state is back."""


class NotConverged(ApplyFailed):
    """Every action was applied, and what is observed still differs from what was asked for."""
