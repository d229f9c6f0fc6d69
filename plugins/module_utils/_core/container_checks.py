# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that contradict each other: each is right by itself, and the engine would refuse or ignore them together."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_namespaces import CONTAINER
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import split_bind
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

Values = Mapping[str, Any]


def refuse_contradictions(values: Values) -> None:
    """Looks at canonical values together.

    Raises:
        InvalidInput: names the first contradiction.
    """
    for check in _CHECKS:
        error = check(values)
        if error is not None:
            raise error


def mount_targets(values: Values) -> tuple[str, ...]:
    """Every path in the container at which the options mount something."""
    volumes = (split_bind(item)[1] for item in values.get("volumes", ()))
    return (*volumes, *values.get("mounts", ()), *values.get("tmpfs", ()))


def _swap_without_memory(values: Values) -> Optional[InvalidInput]:
    swap, memory = values.get("memory_swap", -1), values.get("memory", 0)
    if swap > 0 and (not memory or swap < memory):
        found = f"{swap} bytes, and memory {memory or 'without limit'}"
        return InvalidInput("memory_swap", expected="memory beside it, and not more than this", found=found)
    return None


def _reservation_above_memory(values: Values) -> Optional[InvalidInput]:
    reservation, memory = values.get("memory_reservation", 0), values.get("memory", 0)
    if memory and reservation > memory:
        return InvalidInput(
            "memory_reservation", expected="no more than memory", found=f"{reservation} bytes"
        )
    return None


def _two_ways_to_limit_processors(values: Values) -> Optional[InvalidInput]:
    other = next((name for name in ("cpu_period", "cpu_quota") if values.get(name)), "")
    if values.get("cpus") and other:
        return InvalidInput("cpus", expected=f"no {other} beside it, which says the same", found="both")
    return None


def _gone_before_it_can_start_again(values: Values) -> Optional[InvalidInput]:
    policy = (values.get("restart_policy") or {}).get("Name", "no")
    if values.get("auto_remove") and policy != "no":
        return InvalidInput("auto_remove", expected="no restart_policy beside it", found=policy)
    return None


def _options_for_no_driver(values: Values) -> Optional[InvalidInput]:
    if values.get("log_options") and not values.get("log_driver"):
        return InvalidInput("log_options", expected="log_driver beside it", found="no log_driver")
    return None


def _one_mount_each(values: Values) -> Optional[InvalidInput]:
    targets = mount_targets(values)
    for target in targets:
        if targets.count(target) > 1:
            found = " and ".join(
                name for name in ("volumes", "mounts", "tmpfs") if target in _targets(values, name)
            )
            return InvalidInput(
                f"mount at {target}", expected="one of volumes, mounts and tmpfs", found=found
            )
    return None


def _targets(values: Values, name: str) -> tuple[str, ...]:
    return mount_targets({name: values.get(name, ())})


def _all_ports_and_not(values: Values) -> Optional[InvalidInput]:
    if values.get("publish_all_ports") is False and "all" in values.get("published_ports", ()):
        return InvalidInput("publish_all_ports", expected="not to be false", found="all in published_ports")
    return None


def _names_of_another_host(values: Values) -> Optional[InvalidInput]:
    for name in ("hostname", "domainname"):
        if values.get(name) and values.get("uts") == "host":
            return InvalidInput(name, expected="not to be set beside uts: host", found=values[name])
    return None


def _in_the_network_of_another(values: Values) -> Optional[InvalidInput]:
    mode = str(values.get("network_mode") or "")
    found = next((name for name in _OF_ITS_OWN_NETWORK if values.get(name)), "")
    if mode.startswith(CONTAINER) and found:
        return InvalidInput(
            found, expected=f"not to be set beside network_mode {mode}, whose container decides it"
        )
    return None


# What the engine refuses there (moby's validateNetMode).
_OF_ITS_OWN_NETWORK = (
    "hostname",
    "links",
    "dns_servers",
    "etc_hosts",
    "mac_address",
    "published_ports",
    "publish_all_ports",
    "exposed_ports",
)

_CHECKS: tuple[Callable[[Values], Optional[InvalidInput]], ...] = (
    _swap_without_memory,
    _reservation_above_memory,
    _two_ways_to_limit_processors,
    _gone_before_it_can_start_again,
    _options_for_no_driver,
    _one_mount_each,
    _all_ports_and_not,
    _names_of_another_host,
    _in_the_network_of_another,
)
