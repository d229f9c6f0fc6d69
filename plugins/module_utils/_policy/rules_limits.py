# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of limits: what a container may use of the host's memory, CPUs and processes.

What a rule is: :mod:`_policy.rules`.
"""

from __future__ import annotations

import re
from typing import Optional

from .call import Json
from .decision import Refusal
from .scope import DROP, RuleResult, Scope

CPU_PERIOD = 100_000  # microseconds, the kernel's default
MAX_SHARES = 1024
"""The weight of a container that sets none."""
OTHER_ULIMITS = ("memlock", "nice", "rtprio", "rttime")
"""Limits that give a container a larger share of what all containers use."""
INTERVAL = 1_000_000_000  # nanoseconds
TMPFS_FLAGS = ("rw", "ro", "exec", "noexec", "nosuid", "nodev", "suid", "noatime")
_TMPFS_VALUE = re.compile(r"(?:mode=[0-7]{1,4}|uid=[0-9]{1,10}|gid=[0-9]{1,10}|nr_inodes=[0-9]{1,10})\Z")
_SIZE = re.compile(r"([0-9]{1,15})([bkmgt]?)(?:i?b)?\Z", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def too_much(where: str, limit: str) -> Refusal:
    """A value above a limit of the policy."""
    return Refusal("limit", f"{where} exceeds the limit", allowed=f"At most {limit}", setting="limits")


def _at_most(value: Json, limit: Optional[int], where: str, unit: str = " bytes") -> RuleResult:
    """Check a value of the client; a negative one means no limit."""
    if limit is not None and (value < 0 or value > limit):
        raise too_much(where, f"{limit}{unit}")
    return value


def memory(scope: Scope, value: Json, where: str) -> RuleResult:
    limit = scope.policy.limits.memory
    if value is None:
        return DROP if limit is None or not scope.filling else limit
    return _at_most(value, limit, where)


def memory_swap(scope: Scope, value: Json, where: str) -> RuleResult:
    limit = scope.policy.limits.memory
    return _at_most(value, None if limit is None else 2 * limit, where)


def memory_reservation(scope: Scope, value: Json, where: str) -> RuleResult:
    return _at_most(value, scope.policy.limits.memory, where)


def nano_cpus(scope: Scope, value: Json, where: str) -> RuleResult:
    limit = scope.policy.limits.cpus
    if value is None:
        # The engine rejects NanoCpus with a quota, which its own rule holds to the limit.
        filled = scope.filling and limit is not None and not scope.resources.get("CpuQuota")
        return limit if filled else DROP
    return _at_most(value, limit, where, " billionths of a CPU")


def cpu_quota(scope: Scope, value: Json, where: str) -> RuleResult:
    limit = scope.policy.limits.cpus
    period = scope.resources.get("CpuPeriod") or CPU_PERIOD
    if limit is not None and not scope.filling and not scope.resources.get("CpuPeriod"):
        # The container may have another period than the default.
        raise too_much(f"{where} without CpuPeriod", "a quota with its period")
    if limit is not None and (value <= 0 or value * 1_000_000_000 > limit * period):
        raise too_much(where, f"{limit * period // 1_000_000_000} in a period of {period}")
    return value


def cpu_period(scope: Scope, value: Json, where: str) -> RuleResult:
    # A period without a quota would raise what an earlier quota allows.
    if scope.policy.limits.cpus is not None and not scope.resources.get("CpuQuota"):
        raise too_much(f"{where} without CpuQuota", "a period with a quota")
    return value


def cpu_shares(scope: Scope, value: Json, where: str) -> RuleResult:
    return _at_most(value, MAX_SHARES if scope.policy.limits.cpus is not None else None, where, "")


def pids_limit(scope: Scope, value: Json, where: str) -> RuleResult:
    limit = scope.policy.limits.pids
    if value is None:
        return DROP if limit is None or not scope.filling else limit
    return _at_most(value, limit, where, " processes")


def shm_size(scope: Scope, value: Json, where: str) -> RuleResult:
    return _at_most(value, scope.policy.limits.shm, where)


def tmpfs_size(scope: Scope, value: Json, where: str) -> RuleResult:
    return _at_most(value, scope.policy.limits.tmpfs, where)


def ulimits(scope: Scope, value: Json, where: str) -> RuleResult:
    for row in value:
        if row.get("Name", "").lower() in OTHER_ULIMITS:
            raise Refusal(
                "limit",
                f"{where} sets {row['Name'].lower()}",
                allowed="Other limits, such as nofile and nproc",
            )
    return value


def oom_score(scope: Scope, value: Json, where: str) -> RuleResult:
    if value < 0:
        raise Refusal("limit", f"{where} is negative", allowed="0 to 1000")
    return value


def interval(scope: Scope, value: Json, where: str) -> RuleResult:
    if value < INTERVAL:
        raise Refusal("limit", f"{where} is below one second", allowed="1000000000 nanoseconds and more")
    return value


def storage_options(scope: Scope, value: Json, where: str) -> RuleResult:
    for key, text in value.items():
        if key != "size":
            raise Refusal("value", f"{where} has an option other than size", allowed="size")
        check_size(text, scope.policy.limits.storage, f"{where}.size")
    return value


def check_size(text: str, limit: Optional[int], where: str) -> None:
    """Check a size that is written like ``64m``. Percentages are rejected: they are of the host.

    Raises:
        Refusal: malformed, or above the limit.
    """
    match = _SIZE.match(text)
    if not match:
        raise Refusal("value", f"{where} is not a size", allowed="A size such as 64m", setting="limits")
    _at_most(int(match[1]) * _UNITS[match[2].lower()], limit, where)


def check_tmpfs_options(scope: Scope, text: str, where: str) -> None:
    """Check mount options of a tmpfs, separated by commas.

    Raises:
        Refusal: an option that is not known, or a size above the limit.
    """
    for option in filter(None, text.split(",")):
        if option.startswith("size="):
            check_size(option[5:], scope.policy.limits.tmpfs, f"{where}: size")
        elif option not in TMPFS_FLAGS and not _TMPFS_VALUE.match(option):
            raise Refusal(
                "value", f"{where} has a mount option that is not allowed",
                allowed=", ".join(TMPFS_FLAGS) + ", size=, mode=, uid=, gid=",
            )  # fmt: skip


def tmpfs(scope: Scope, value: Json, where: str) -> RuleResult:
    for options in value.values():
        check_tmpfs_options(scope, options, where)
    return value


def tmpfs_options(scope: Scope, value: Json, where: str) -> RuleResult:
    for words in value:
        check_tmpfs_options(scope, "=".join(words), where)
    return value
