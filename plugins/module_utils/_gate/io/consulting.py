# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the program on this host, for modules: about policies and recorded calls (see questions.py), and to
remove what a wormhole has created (see sweeping.py).
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple

from ..._base.errors import EngineUnavailable, InvalidInput
from ..._base.io import commands
from ..ending import Ending, parse_endings
from ..units import COMMAND, PROGRAM

_SECONDS = 60
_CLEANUP_SECONDS = 900
"""The engine kills a container that does not end some seconds after it was told to."""


def is_installed(program: str = PROGRAM) -> bool:
    """Whether this host has the program."""
    return os.path.isfile(program)


def ask(
    command: str, question: Mapping[str, Any], program: str = PROGRAM, seconds: float = _SECONDS
) -> Dict[str, Any]:
    """Return the program's answer.

    Raises:
        InvalidInput: the question is malformed.
        EngineUnavailable: the program does not answer, or is too old to know the question.
    """
    try:
        argv = [*COMMAND, program, command]
        done = commands.run(argv, seconds, text=json.dumps(question))
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise EngineUnavailable(
            program,
            problem=f"{program} does not answer the question {command}: {type(error).__name__}",
            remedy="Run the role gate, which installs the program of this version of the collection",
        ) from error
    if not isinstance(answer, dict) or "error" in answer:
        raise InvalidInput(command, problem=str(answer.get("error")) if isinstance(answer, dict) else command)
    return answer


def clean_up(
    identities: Optional[Collection[str]], *, carry_out: bool, program: str = PROGRAM
) -> Tuple[Ending, ...]:
    """Stop and remove what wormholes have created, as their policies say.

    Args:
        identities: the wormholes' identities; None for all owners.
        carry_out: whether to do it; otherwise return what would happen.
        program: path of the program.

    Raises:
        InvalidInput: the engine does not answer.
        EngineUnavailable: the program does not answer.
    """
    names = None if identities is None else sorted(identities)
    answer = ask("cleanup", {"identities": names, "carry_out": carry_out}, program, _CLEANUP_SECONDS)
    try:
        return parse_endings(answer.get("siblings"))
    except ValueError as error:
        raise EngineUnavailable(program, problem=f"{program} does not answer the question cleanup") from error


def replay(policy: Mapping[str, Any], program: str = PROGRAM) -> List[Dict[str, Any]]:
    """Return the recorded calls that another policy would refuse; none if nothing was recorded.

    Args:
        policy: the other policy, as the file of its identity holds it.
        program: path of the program.

    Returns:
        One mapping for each kind of call: ``title``, ``count``, ``code``, ``sentence`` and ``setting``.
    """
    if not is_installed(program):
        return []
    refused: List[Dict[str, Any]] = ask("replay", {"policy": policy}, program)["refused"]
    return refused


def describe_replay(refused: List[Dict[str, Any]]) -> str:
    """Return the result of a replay in one line; empty if nothing would be refused.

    .. code-block:: text

        This change would have refused 3 calls: POST /containers/create (2 calls), GET /info (1 call)
    """
    if not refused:
        return ""
    total = sum(int(row["count"]) for row in refused)
    shown = [f"{row['title']} ({_calls(int(row['count']))})" for row in refused[:5]]
    more = [f"and {len(refused) - 5} more kinds"] if len(refused) > 5 else []
    return f"This change would have refused {_calls(total)}: {', '.join([*shown, *more])}"


def _calls(number: int) -> str:
    return f"{number} call" if number == 1 else f"{number} calls"
