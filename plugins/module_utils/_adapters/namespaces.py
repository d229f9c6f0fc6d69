# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running a function inside another network namespace, such as a container's.

Only the network is another one; files, and so certificates, are still the host's. A child process is forked for
it, because setns(2) and unshare(2) move the thread that calls them and the caller has to stay where it is. Source:
setns(2), unshare(2), network_namespaces(7), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import time
from typing import Any, Callable, NoReturn

from ansible_collections.wormhole.docker.plugins.module_utils._core import errors
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    VerificationFailed,
    WormholeError,
)

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CHUNK = 65536


def call_in_network_namespace(pid: int, function: Callable[[], Any], *, timeout: float) -> Any:
    """Calls a function in a process's network namespace and returns what it returned.

    Args:
        pid: the process; for a container, ``State.Pid`` of its inspection.
        function: takes nothing, returns what JSON can hold (tuples arrive as lists).
        timeout: seconds until the child is killed.

    Raises:
        WormholeError: what the function raised, of the same class; or the namespace could not be entered.
        VerificationFailed: it took too long, died, or raised something else.
    """

    def enter_and_call() -> Any:
        _enter(pid)
        return function()

    return call_in_child(enter_and_call, timeout=timeout, subject=f"network namespace of process {pid}")


def call_in_child(
    function: Callable[[], Any],
    *,
    timeout: float,
    subject: str,
    clean_up: Callable[[int], None] = lambda _child: None,
) -> Any:
    """Calls a function in a child process, which ends with this one however that ends, and returns what it returned.

    Args:
        function: takes nothing, returns what JSON can hold (tuples arrive as lists).
        timeout: seconds until the child is killed.
        subject: what messages call it.
        clean_up: given the child's process id, once the child has ended, however it did.

    Raises:
        WormholeError: what the function raised, of the same class.
        VerificationFailed: it took too long, died, or raised something else.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_child(parent, function, writer)
    os.close(writer)
    try:
        answer = _read_until_closed(reader, time.monotonic() + timeout)
    except TimeoutError as error:
        raise VerificationFailed(subject, expected=f"an answer within {timeout:g} s", found="none") from error
    finally:
        os.close(reader)
        # An answer is complete before the child ends, so this ends at most a child that is of no more use.
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        clean_up(child)
    return _unpack(subject, answer)


def enter_own_network() -> int:
    """Gives this process an empty network namespace of its own; returns the one that it leaves, as a descriptor.

    The namespace lasts as long as a process or a descriptor holds it, and its interfaces with it.

    Raises:
        WormholeError: this takes root.
    """
    left = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if _libc().unshare(_CLONE_NEWNET) != 0:
        os.close(left)
        raise _not_entered("a network namespace", _last_error())
    return left


def enter_network(namespace: int) -> None:
    """Moves this process to a network namespace; for a forked child only.

    Args:
        namespace: a descriptor of it.

    Raises:
        WormholeError: it may not.
    """
    if _libc().setns(namespace, _CLONE_NEWNET) != 0:
        raise _not_entered("a network namespace", _last_error())


def _run_child(parent: int, function: Callable[[], Any], writer: int) -> NoReturn:
    """The child's whole life. It must not return, nor run what the parent has registered for its own end."""
    try:
        try:
            _die_with(parent)
            message = json.dumps({"value": function()})
        except WormholeError as error:
            message = json.dumps({"error": error.as_dict()})
        except Exception as error:  # whatever it is, only the parent can tell anybody
            message = json.dumps({"defect": f"{type(error).__name__}: {error}"})
        remaining = memoryview(message.encode())
        while remaining:
            remaining = remaining[os.write(writer, remaining) :]
    finally:
        os._exit(0)


def _die_with(parent: int) -> None:
    """Ends this process when its parent does; otherwise a cancelled task would leave it behind."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _enter(pid: int) -> None:
    subject = f"network namespace of process {pid}"
    try:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _not_entered(subject, error) from error
    try:
        # os.setns exists from Python 3.12 on only.
        if _libc().setns(namespace, _CLONE_NEWNET) != 0:
            raise _not_entered(subject, _last_error())
    finally:
        os.close(namespace)


def _not_entered(subject: str, error: OSError) -> WormholeError:
    remedy = {
        errno.ENOENT: "The process has ended: is the container still running?",
        errno.ESRCH: "The process has ended: is the container still running?",
        errno.EACCES: "Run the task with become: true",
        errno.EPERM: "Run the task with become: true",
    }.get(error.errno or 0, "")
    return WormholeError(subject, expected="to be entered", found=error.strerror or str(error), remedy=remedy)


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


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
    kind = getattr(errors, facts.pop("kind"), WormholeError)
    raise _as_error(kind, facts)


def _as_error(kind: type[WormholeError], facts: dict[str, str]) -> WormholeError:
    return kind(facts.pop("subject"), **facts)
