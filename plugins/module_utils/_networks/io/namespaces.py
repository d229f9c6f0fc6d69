# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Call a function in another network namespace, such as a container's, and read its routes.

Only the network differs; files, and so certificates, are the host's. The function runs in a forked
child, because setns(2) and unshare(2) move the calling thread. Source: setns(2), unshare(2),
network_namespaces(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from typing import Any, Callable

from ..._base.errors import WormholeError
from ..._base.io.children import call_in_child, libc
from ..routes import Route, parse_ipv4_routes, parse_ipv6_routes

_CLONE_NEWNET = 0x40000000  # linux/sched.h


def call_in_network_namespace(pid: int, function: Callable[[], Any], *, timeout: float) -> Any:
    """Calls a function in the network namespace of a process; see call_in_child.

    The process of a container is ``State.Pid`` of its inspection. Raises WormholeError if this
    process may not enter the namespace.
    """
    subject = f"network namespace of process {pid}"

    def enter_and_call() -> Any:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _not_entered(subject, error) from error
        try:
            enter_network(namespace, subject)
        finally:
            os.close(namespace)
        return function()

    return call_in_child(enter_and_call, timeout=timeout, subject=subject)


def read_routes() -> tuple[Route, ...]:
    """The main routing table of the network namespace of this process."""
    found: list[Route] = []
    for path, parse in (
        ("/proc/self/net/route", parse_ipv4_routes),
        ("/proc/self/net/ipv6_route", parse_ipv6_routes),
    ):
        # A kernel without IPv6 has no such table.
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as table:
            found.extend(parse(table.read()))
    return tuple(found)


def enter_own_network() -> int:
    """Moves this process to a new network namespace; returns a descriptor of the previous one.

    A namespace and its interfaces exist as long as a process or a descriptor refers to it.

    Raises:
        WormholeError: this process is not root.
    """
    left = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if libc().unshare(_CLONE_NEWNET) != 0:
        os.close(left)
        raise _not_entered("a network namespace", _last_error())
    return left


def enter_network(namespace: int, subject: str = "a network namespace") -> None:
    """Moves this process, which must be a forked child, to a network namespace (a descriptor).

    Raises:
        WormholeError: this process may not enter it.
    """
    # os.setns exists only in Python 3.12 and later.
    if libc().setns(namespace, _CLONE_NEWNET) != 0:
        raise _not_entered(subject, _last_error())


def _not_entered(subject: str, error: OSError) -> WormholeError:
    remedy = ""
    if error.errno in (errno.ENOENT, errno.ESRCH):
        remedy = "The process has ended: is the container still running?"
    elif error.errno in (errno.EACCES, errno.EPERM):
        remedy = "Run the task with become: true"
    problem = f"Cannot enter {subject}: {error.strerror or error}"
    return WormholeError(subject, problem=problem, remedy=remedy)


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
