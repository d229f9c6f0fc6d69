# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows for limits of memory, processors, block devices and processes.

To add an option, follow the six steps in docs/development.md.

Sources: the API reference; moby's ``UpdateContainer`` for what an update accepts; ``GET /info`` for
what the kernel can limit.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping, Optional

from .._base.errors import InvalidInput
from . import rows
from .names import LIMITS
from .option import Body, ContainerOption, Kind
from .values import malformed, parse_bytes

_LEAST_MEMORY = 6 * 2**20
"""Minimum of the engine (moby's ``linuxMinMemory``, since 20.10)."""
_CPUS = re.compile(r"\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*")
_LIMIT = re.compile(r"-1|\d+")


def _parse_memory(name: str, value: str) -> int:
    size = parse_bytes(name, value)
    if 0 < size < _LEAST_MEMORY:
        raise InvalidInput(name, expected="at least 6m, or 0 for no limit", found=repr(value))
    return size


def _memory_option(name: str, key: str, **fields: Any) -> ContainerOption:
    return rows.value_option(
        name,
        f"HostConfig.{key}",
        {"type": "str"},
        read=lambda found: found or 0,
        in_place=True,
        **{"parse": _parse_memory, "lacking": rows.lacks("MemoryLimit"), **fields},
    )


def _update_memory(value: int, values: Mapping[str, Any], host_config: Mapping[str, Any]) -> Optional[Body]:
    # The default of MemorySwap is that of a creation.
    return {"Memory": value, "MemorySwap": values.get("memory_swap", 2 * value)} if value else None


def _unless_set(key: str, *others: str) -> Any:
    # The engine updates one way to limit processor time only if the other one is not set.
    def update(value: int, values: Mapping[str, Any], host_config: Mapping[str, Any]) -> Optional[Body]:
        return {key: value} if value and not any(host_config.get(other) for other in others) else None

    return update


def _parse_swap(name: str, value: str) -> Optional[int]:
    # For the engine, 0 means "not set".
    return -1 if str(value).strip() in ("-1", "unlimited") else parse_bytes(name, value) or None


def _parse_cpus(name: str, value: float) -> int:
    if not 0 <= value < 2**20:
        raise InvalidInput(name, expected="a number of processors, such as 1.5", found=str(value))
    return round(value * 10**9)


def _parse_cpuset(name: str, value: str) -> Optional[str]:
    if not value:
        return None
    ranges = [part.split("-") for part in value.split(",")] if _CPUS.fullmatch(value) else []
    if not ranges or any(int(part[0]) > int(part[-1]) for part in ranges):
        raise InvalidInput(name, expected="numbers such as 0-3 or 0,1", found=repr(value))
    return value


def _parse_ulimits(name: str, items: Iterable[str]) -> Dict[str, str]:
    parsed: Dict[str, str] = {}
    for item in items:
        subject = f"{name} {item}"
        limit, *numbers = re.split("[:=]", item, maxsplit=1) if ":" in item or "=" in item else (item,)
        numbers = numbers[0].split(":") if numbers else []
        if limit not in LIMITS:
            raise malformed(subject, f"{limit!r} is not a limit", f"Use one of {', '.join(sorted(LIMITS))}")
        if not numbers or len(numbers) > 2:
            what = f"{len(numbers)} numbers follow {limit}" if numbers else f"no number follows {limit}"
            raise malformed(subject, what, "Give the soft limit, and optionally the hard one after a colon")
        wrong = next((number for number in numbers if not _LIMIT.fullmatch(number)), None)
        if wrong is not None:
            raise malformed(subject, f"{wrong!r} is neither a number nor -1")
        soft, hard = int(numbers[0]), int(numbers[-1])
        if hard != -1 and (soft > hard or soft == -1):
            raise malformed(subject, f"the soft limit {soft} is above the hard one, {hard}")
        if limit in parsed:
            raise InvalidInput(f"{name} {limit}", problem=f"{name} {limit}: set twice")
        parsed[limit] = f"{soft}:{hard}"
    return parsed


def _render_ulimits(value: Mapping[str, str]) -> list[dict[str, Any]]:
    split = {limit: value[limit].split(":") for limit in sorted(value)}
    return [{"Name": name, "Soft": int(soft), "Hard": int(hard)} for name, (soft, hard) in split.items()]


def _device_rate(name: str, key: str, limit: str) -> ContainerOption:
    """A row for a limit of bytes or operations per second, by device."""
    in_bytes = name.endswith("bps")

    def parse(name: str, items: Iterable[Mapping[str, Any]]) -> Dict[str, int]:
        parsed: Dict[str, int] = {}
        for item in items:
            path, rate = item["path"], item["rate"]
            if not path.startswith("/"):
                raise InvalidInput(f"{name} {path}", expected="the absolute path of a device")
            if path in parsed:
                raise InvalidInput(f"{name} {path}", problem=f"{name} {path}: set twice")
            parsed[path] = parse_bytes(f"{name} {path}", rate) if in_bytes else rate
            if parsed[path] <= 0:
                raise InvalidInput(f"{name} {path}", expected="a rate above 0", found=str(rate))
        return parsed

    return rows.value_option(
        name,
        f"HostConfig.{key}",
        {
            "type": "list",
            "elements": "dict",
            "options": {
                "path": {"type": "str", "required": True},
                "rate": {"type": "str" if in_bytes else "int", "required": True},
            },
        },
        parse=parse,
        render=lambda value: [{"Path": path, "Rate": value[path]} for path in sorted(value)],
        read=lambda found: {item["Path"]: item["Rate"] for item in found or ()},
        kind=Kind.MAPPING,
        lacking=rows.warns(f"io.max ({limit})", f"blkio throttle.{name.partition('_')[2]}_device"),
    )


RESOURCES: tuple[ContainerOption, ...] = (
    _memory_option("memory", "Memory", update=_update_memory),
    _memory_option("memory_reservation", "MemoryReservation"),
    _memory_option(
        "memory_swap",
        "MemorySwap",
        parse=_parse_swap,
        lacking=lambda value, info: value > 0 and info.get("SwapLimit") is False,
    ),
    rows.number_option(
        "memory_swappiness",
        "HostConfig.MemorySwappiness",
        (0, 100),
        -1,
        read=lambda found: -1 if found is None else found,
        # cgroup v2 does not have this limit.
        lacking=lambda value, info: value != -1 and info.get("CgroupVersion") == "2",
    ),
    rows.value_option(
        "cpus",
        "HostConfig.NanoCpus",
        {"type": "float"},
        parse=_parse_cpus,
        read=lambda found: found or 0,
        update=_unless_set("NanoCpus", "CpuPeriod", "CpuQuota"),
        lacking=rows.lacks("CpuCfsQuota"),
    ),
    rows.number_option(
        "cpu_period",
        "HostConfig.CpuPeriod",
        (1000, 1000000),
        0,
        update=_unless_set("CpuPeriod", "NanoCpus"),
        lacking=rows.lacks("CpuCfsPeriod"),
    ),
    rows.number_option(
        "cpu_quota",
        "HostConfig.CpuQuota",
        (1000, rows.NO_LIMIT),
        0,
        -1,
        update=_unless_set("CpuQuota", "NanoCpus"),
        lacking=rows.lacks("CpuCfsQuota"),
    ),
    rows.number_option(
        "cpu_shares", "HostConfig.CpuShares", (2, 262144), 0, in_place=True, lacking=rows.lacks("CPUShares")
    ),
    *(
        rows.text_option(name, path, parse=_parse_cpuset, in_place=True, lacking=rows.lacks("CPUSet"))
        for name, path in (("cpuset_cpus", "HostConfig.CpusetCpus"), ("cpuset_mems", "HostConfig.CpusetMems"))
    ),
    rows.number_option(
        "pids_limit",
        "HostConfig.PidsLimit",
        (1, rows.NO_LIMIT),
        0,
        -1,
        convert=lambda value: value or -1,
        read=lambda found: found if found and found > 0 else -1,
        in_place=True,
        lacking=lambda value, info: value > 0 and info.get("PidsLimit") is False,
    ),
    rows.number_option(
        "blkio_weight",
        "HostConfig.BlkioWeight",
        (10, 1000),
        0,
        in_place=True,
        lacking=rows.warns("io.weight support", "blkio weight support"),
    ),
    _device_rate("device_read_bps", "BlkioDeviceReadBps", "rbps"),
    _device_rate("device_write_bps", "BlkioDeviceWriteBps", "wbps"),
    _device_rate("device_read_iops", "BlkioDeviceReadIOps", "riops"),
    _device_rate("device_write_iops", "BlkioDeviceWriteIOps", "wiops"),
    rows.flag_option("oom_killer", "HostConfig.OomKillDisable", lacking=rows.lacks("OomKillDisable")),
    rows.number_option("oom_score_adj", "HostConfig.OomScoreAdj", (-1000, 1000)),
    rows.value_option(
        "ulimits",
        "HostConfig.Ulimits",
        rows.LIST_OF_STRINGS,
        parse=_parse_ulimits,
        render=_render_ulimits,
        read=lambda found: {limit["Name"]: f"{limit['Soft']}:{limit['Hard']}" for limit in found or ()},
        kind=Kind.MAPPING,
    ),
    rows.text_option("cgroup_parent", "HostConfig.CgroupParent"),
)
