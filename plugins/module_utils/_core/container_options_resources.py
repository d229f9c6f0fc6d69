# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container may use up.

Source, beside the API reference: moby's ``UpdateContainer`` (what an update takes) and ``GET /info`` (what a kernel
can limit).
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_names import LIMITS
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Body,
    ContainerOption,
    Kind,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_rows import (
    LIST_OF_STRINGS,
    NO_LIMIT,
    find,
    flag_option,
    given,
    lacks,
    number_option,
    text_option,
    value_option,
    warns,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import parse_bytes
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

_LEAST_MEMORY = 6 * 2**20
"""No engine takes less (moby's ``linuxMinMemory``, since 20.10)."""
_CPUS = re.compile(r"\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*")
_ULIMIT = re.compile(r"([a-z]+)[:=](-1|\d+)(?::(-1|\d+))?")


def _bytes(name: str, key: str, field: str, **further: Any) -> ContainerOption:
    return value_option(
        name,
        f"HostConfig.{key}",
        {"type": "str"},
        **{
            "parse": _parse_memory,
            "lacking": lacks(field),
            "update": _unless_zero(key),
            "read": lambda value: value or 0,
            **further,
        },
    )


def _parse_memory(name: str, value: str) -> int:
    size = parse_bytes(name, value)
    if 0 < size < _LEAST_MEMORY:
        raise InvalidInput(name, expected="6m at least, or 0 for no limit", found=repr(value))
    return size


def _unless_zero(key: str) -> Any:
    # To an update, 0 and an empty string mean "as before", not "no limit".
    return lambda value, values: {key: value} if value else None


def _update_memory(value: int, values: Mapping[str, Any]) -> Optional[Body]:
    # The swap is what the engine chooses at creation.
    return {"Memory": value, "MemorySwap": values.get("memory_swap", 2 * value)} if value else None


def _parse_swap(name: str, value: str) -> Optional[int]:
    # To the engine, 0 means that it is not set.
    return -1 if str(value).strip() in ("-1", "unlimited") else parse_bytes(name, value) or None


def _parse_cpus(name: str, value: float) -> int:
    if not 0 <= value < 2**20:
        raise InvalidInput(name, expected="a number of processors, such as 1.5", found=str(value))
    return round(value * 10**9)


def _parse_cpuset(name: str, value: str) -> str:
    ranges = [part.split("-") for part in value.split(",")] if _CPUS.fullmatch(value) else []
    if not ranges or any(int(part[0]) > int(part[-1]) for part in ranges):
        raise InvalidInput(name, expected="numbers such as 0-3 or 0,1", found=repr(value))
    return value


def _parse_ulimits(name: str, items: Iterable[str]) -> Dict[str, str]:
    parsed: Dict[str, str] = {}
    for item in items:
        found = _ULIMIT.fullmatch(item)
        if not found:
            raise InvalidInput(
                f"{name} {item}", expected="name:soft or name:soft:hard, such as nofile:1024:2048"
            )
        if found.group(1) not in LIMITS:
            raise InvalidInput(
                f"{name} {item}", expected=f"one of {', '.join(sorted(LIMITS))}", found=found.group(1)
            )
        limit, soft, hard = found.group(1), int(found.group(2)), int(found.group(3) or found.group(2))
        if hard != -1 and (soft > hard or soft == -1):
            raise InvalidInput(f"{name} {item}", expected="a soft limit that is not above the hard one")
        if limit in parsed:
            raise InvalidInput(f"{name} {limit}", expected="to be limited once", found="twice")
        parsed[limit] = f"{soft}:{hard}"
    return parsed


def _render_ulimits(value: Mapping[str, str]) -> Body:
    split = {limit: value[limit].split(":") for limit in sorted(value)}
    limits = [{"Name": name, "Soft": int(soft), "Hard": int(hard)} for name, (soft, hard) in split.items()]
    return {"HostConfig": {"Ulimits": limits}}


def _device_rate(name: str, key: str, warning: str) -> ContainerOption:
    """A limit of bytes or operations per second, by device."""
    in_bytes = name.endswith("bps")

    def parse(name: str, items: Iterable[Mapping[str, Any]]) -> Dict[str, int]:
        parsed: Dict[str, int] = {}
        for item in items:
            path, rate = item["path"], item["rate"]
            if not path.startswith("/"):
                raise InvalidInput(f"{name} {path}", expected="the absolute path of a device")
            if path in parsed:
                raise InvalidInput(f"{name} {path}", expected="to be limited once", found="twice")
            parsed[path] = parse_bytes(f"{name} {path}", rate) if in_bytes else rate
            if parsed[path] <= 0:
                raise InvalidInput(f"{name} {path}", expected="a rate above 0", found=str(rate))
        return parsed

    return ContainerOption(
        name,
        {
            name: {
                "type": "list",
                "elements": "dict",
                "options": {
                    "path": {"type": "str", "required": True},
                    "rate": {"type": "str" if in_bytes else "int", "required": True},
                },
            }
        },
        parse=given(name, parse),
        render=lambda value: {"HostConfig": {key: [{"Path": p, "Rate": value[p]} for p in sorted(value)]}},
        read=lambda container: {i["Path"]: i["Rate"] for i in find(container, f"HostConfig.{key}") or ()},
        kind=Kind.MAPPING,
        lacking=warns(*warning.split("|")),
    )


def limits_processors_otherwise(body: Body, container: Mapping[str, Any]) -> bool:
    """Whether an update limits processors in the one way and the container in the other, which the engine refuses.

    Args:
        body: of ``POST /containers/{id}/update``.
        container: the inspection of the container.
    """
    found = find(container, "HostConfig") or {}
    sides = ((body, found), (found, body))
    return any(
        (one.get("NanoCpus") or 0) > 0 and (other.get(key) or 0) > 0
        for one, other in sides
        for key in ("CpuPeriod", "CpuQuota")
    )


RESOURCES: tuple[ContainerOption, ...] = (
    _bytes("memory", "Memory", "MemoryLimit", update=_update_memory),
    _bytes("memory_reservation", "MemoryReservation", "MemoryLimit"),
    _bytes(
        "memory_swap",
        "MemorySwap",
        "SwapLimit",
        parse=_parse_swap,
        lacking=lambda value, info: value > 0 and info.get("SwapLimit") is False,
    ),
    number_option(
        "memory_swappiness",
        "HostConfig.MemorySwappiness",
        0,
        100,
        read=lambda value: -1 if value is None else value,
        # It is one of the limits that cgroup v2 has no more.
        lacking=lambda value, info: info.get("CgroupVersion") == "2",
    ),
    value_option(
        "cpus",
        "HostConfig.NanoCpus",
        {"type": "float"},
        parse=_parse_cpus,
        read=lambda value: value or 0,
        update=_unless_zero("NanoCpus"),
        lacking=lacks("CpuCfsQuota"),
    ),
    number_option(
        "cpu_period",
        "HostConfig.CpuPeriod",
        1000,
        1000000,
        0,
        update=_unless_zero("CpuPeriod"),
        lacking=lacks("CpuCfsPeriod"),
    ),
    number_option(
        "cpu_quota",
        "HostConfig.CpuQuota",
        1000,
        NO_LIMIT,
        0,
        -1,
        update=_unless_zero("CpuQuota"),
        lacking=lacks("CpuCfsQuota"),
    ),
    number_option(
        "cpu_shares",
        "HostConfig.CpuShares",
        2,
        262144,
        0,
        update=_unless_zero("CpuShares"),
        lacking=lacks("CPUShares"),
    ),
    text_option(
        "cpuset_cpus",
        "HostConfig.CpusetCpus",
        parse=_parse_cpuset,
        update=_unless_zero("CpusetCpus"),
        lacking=lacks("CPUSet"),
    ),
    text_option(
        "cpuset_mems",
        "HostConfig.CpusetMems",
        parse=_parse_cpuset,
        update=_unless_zero("CpusetMems"),
        lacking=lacks("CPUSet"),
    ),
    number_option(
        "pids_limit",
        "HostConfig.PidsLimit",
        1,
        NO_LIMIT,
        -1,
        read=lambda value: value if value and value > 0 else -1,
        update=lambda value, values: {"PidsLimit": value},
        lacking=lambda value, info: value > 0 and info.get("PidsLimit") is False,
    ),
    number_option(
        "blkio_weight",
        "HostConfig.BlkioWeight",
        10,
        1000,
        0,
        update=_unless_zero("BlkioWeight"),
        lacking=warns("io.weight support", "blkio weight support"),
    ),
    _device_rate("device_read_bps", "BlkioDeviceReadBps", "io.max (rbps)|blkio throttle.read_bps_device"),
    _device_rate("device_write_bps", "BlkioDeviceWriteBps", "io.max (wbps)|blkio throttle.write_bps_device"),
    _device_rate("device_read_iops", "BlkioDeviceReadIOps", "io.max (riops)|blkio throttle.read_iops_device"),
    _device_rate(
        "device_write_iops", "BlkioDeviceWriteIOps", "io.max (wiops)|blkio throttle.write_iops_device"
    ),
    flag_option("oom_killer", "HostConfig.OomKillDisable", lacking=lacks("OomKillDisable")),
    number_option("oom_score_adj", "HostConfig.OomScoreAdj", -1000, 1000),
    ContainerOption(
        "ulimits",
        {"ulimits": LIST_OF_STRINGS},
        parse=given("ulimits", _parse_ulimits),
        render=_render_ulimits,
        read=lambda container: {
            limit["Name"]: f"{limit['Soft']}:{limit['Hard']}"
            for limit in find(container, "HostConfig.Ulimits") or ()
        },
        kind=Kind.MAPPING,
    ),
    text_option("cgroup_parent", "HostConfig.CgroupParent"),
)
