# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Call functions in forked children: one with a time limit, or several side by side.

A child ends with its parent, as in a cancelled task. Source: fork(2), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import select
import signal
import time
from typing import Any, Callable, NoReturn, Sequence

from .. import errors
from ..errors import VerificationFailed, WormholeError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CHUNK = 65536


def call_in_child(
    function: Callable[[], Any],
    *,
    timeout: float,
    subject: str,
    clean_up: Callable[[int], None] = lambda _child: None,
) -> Any:
    """Calls a function in a child process, which ends with this one; returns its result.

    Args:
        function: takes no argument; returns what JSON can hold (tuples arrive as lists).
        timeout: seconds until the child is killed.
        subject: the name of the child in messages.
        clean_up: called with the child's process ID after the child has ended in any way.

    Raises:
        WormholeError: the error of the function, of the same class.
        VerificationFailed: the function took too long, died, or raised another exception.
    """
    child, reader = _start(function)
    try:
        answer = _read_until_closed(reader, time.monotonic() + timeout)
    except TimeoutError as error:
        raise VerificationFailed(subject, expected=f"an answer within {timeout:g} s", found="none") from error
    finally:
        os.close(reader)
        _end(child)
        clean_up(child)
    return _unpack(subject, answer)


def call_side_by_side(functions: Sequence[Callable[[], Any]], *, limit: int, subject: str) -> list[Any]:
    """Calls functions in children, several at a time; returns their results in the same order.

    Args:
        functions: each takes no argument, and returns what JSON can hold (tuples arrive as lists).
        limit: how many children run at the same time.
        subject: the name of a child in messages.

    Returns:
        For each function its result, or the WormholeError that it raised. A function that raised
        another exception, or whose child died, has a VerificationFailed.
    """
    results: list[Any] = [None] * len(functions)
    waiting = iter(enumerate(functions))
    running: dict[int, tuple[int, int, list[bytes]]] = {}
    try:
        while True:
            for number, function in itertools.islice(waiting, limit - len(running)):
                child, reader = _start(function)
                running[reader] = (number, child, [])
            if not running:
                return results
            for reader in select.select(list(running), [], [])[0]:
                number, child, chunks = running[reader]
                chunk = os.read(reader, _CHUNK)
                if chunk:
                    chunks.append(chunk)
                    continue
                del running[reader]
                os.close(reader)
                os.waitpid(child, 0)
                try:
                    results[number] = _unpack(subject, b"".join(chunks))
                except WormholeError as error:
                    results[number] = error
    finally:
        for reader, (_number, child, _chunks) in running.items():
            os.close(reader)
            _end(child)


def libc() -> ctypes.CDLL:
    """The C library; its functions set :func:`ctypes.get_errno`."""
    return ctypes.CDLL(None, use_errno=True)


def _start(function: Callable[[], Any]) -> tuple[int, int]:
    """Starts a child; returns its process ID, and a descriptor from which its answer is read."""
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_child(parent, function, writer)
    os.close(writer)
    return child, reader


def _end(child: int) -> None:
    # The answer is complete before the child ends: nothing is lost by killing it.
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _run_child(parent: int, function: Callable[[], Any], writer: int) -> NoReturn:
    """Runs the child to its end. It must not return, nor run the exit handlers of the parent."""
    try:
        try:
            _die_with(parent)
            message = json.dumps({"value": function()})
        except WormholeError as error:
            message = json.dumps({"error": {**error.as_dict(), "problem": error.problem}})
        except Exception as error:  # only the parent can report it, of any kind
            message = json.dumps({"defect": f"{type(error).__name__}: {error}"})
        remaining = memoryview(message.encode())
        while remaining:
            remaining = remaining[os.write(writer, remaining) :]
    finally:
        os._exit(0)


def _die_with(parent: int) -> None:
    """Makes the kernel kill this process when its parent ends, as in a cancelled task."""
    libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _read_until_closed(reader: int, deadline: float) -> bytes:
    chunks: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            raise TimeoutError
        chunk = os.read(reader, _CHUNK)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _unpack(subject: str, answer: bytes) -> Any:
    try:
        message = json.loads(answer)
    except ValueError as error:
        raise VerificationFailed(subject, expected="an answer", found="the child process died") from error
    if "value" in message:
        return message["value"]
    if "defect" in message:
        raise VerificationFailed(subject, expected="an answer", found=message["defect"])
    facts = dict(message["error"])
    kind: type[WormholeError] = getattr(errors, facts.pop("kind"), WormholeError)
    raise kind(facts.pop("subject"), **facts)
