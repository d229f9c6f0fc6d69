# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors of the collection, one small tree.

Every error names the object, what is wrong with it, and what to do::

    WormholeError
    ├── InvalidInput          an option is malformed, or contradicts another one
    ├── MissingRequirement    the host lacks a library or a program
    ├── Refused               the change would touch what this collection does not manage
    ├── EngineUnavailable     dockerd or systemd does not answer, or answers with an error
    ├── CommandFailed         a container whose end the task awaits exited with an error
    ├── VerificationFailed    a check of a connection, a chain or a container failed
    └── ApplyFailed           a change could not be completed
        └── NotConverged      every action was applied, but differences remain
"""

from __future__ import annotations

from typing import Any

_QUOTED = 1000  # characters of an output in a message


class WormholeError(Exception):
    """One failure. Its message is two sentences: what is wrong with which object, and what to do.

    Args:
        subject: the object, such as a path, a container or an option.
        expected: what should be the case (optional).
        found: what is the case instead (optional).
        remedy: one sentence that says what to do, without a full stop (optional).
        problem: the first sentence, without a full stop (optional). By default,
            ``SUBJECT: expected EXPECTED, found FOUND``.
    """

    def __init__(
        self, subject: str, *, expected: str = "", found: str = "", remedy: str = "", problem: str = ""
    ) -> None:
        super().__init__(subject)
        self.subject, self.expected, self.found = subject, expected, found
        self.remedy, self.problem = remedy, problem

    def __str__(self) -> str:
        facts = [f"expected {self.expected}"] if self.expected else []
        facts += [f"found {self.found}"] if self.found else []
        text = self.problem or (f"{self.subject}: {', '.join(facts)}" if facts else self.subject)
        return f"{text}. {self.remedy}" if self.remedy else text

    def as_dict(self) -> dict[str, str]:
        """The error as data, for a module's result."""
        values = {name: getattr(self, name) for name in ("subject", "expected", "found", "remedy")}
        return {"kind": type(self).__name__, **values}

    def put_in(self, place: str) -> None:
        """Name also the place of the object, such as a file, before the error is raised again."""
        self.subject, self.problem = f"{place}: {self.subject}", self.problem and f"{place}: {self.problem}"

    def facts(self) -> dict[str, Any]:
        """What a module returns in addition to the error."""
        return {}


class InvalidInput(WormholeError):
    """An option is malformed, or contradicts another one. Raised before any change."""


class MissingRequirement(WormholeError):
    """The host lacks a library or a program."""


class Refused(WormholeError):
    """The change affects what this collection does not manage, and the task does not allow that."""


class EngineUnavailable(WormholeError):
    """dockerd, or systemd on its behalf, does not answer, or answers with an error."""


class CommandFailed(WormholeError):
    """A container whose end the task awaits exited with another code than 0.

    Args:
        subject: the container.
        status: its exit code.
        output: everything that it wrote.
    """

    def __init__(self, subject: str, *, status: int, output: str) -> None:
        end = output.strip()[-_QUOTED:]
        quoted = f"its output ends with: {end}" if end else "it wrote nothing"
        super().__init__(
            subject,
            expected="exit code 0",
            found=f"exit code {status}; {quoted}",
            problem=f"The {subject} ended with exit code {status}; {quoted}",
        )
        self.status, self.output = status, output

    def facts(self) -> dict[str, Any]:
        return {"status": self.status, "output": self.output}


class VerificationFailed(WormholeError):
    """A connection, a certificate chain, or a container's view of the engine failed its check."""


class ApplyFailed(WormholeError):
    """A change could not be completed; the message says whether the previous state is restored."""


class NotConverged(ApplyFailed):
    """Every action was applied, but what is observed still differs from what the task asks for."""
