# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Container options that contradict each other, although each is valid by itself."""

from __future__ import annotations

from itertools import chain
from typing import Any, Iterator, Mapping

from .._base.errors import InvalidInput
from .values import split_bind

Values = Mapping[str, Any]

CONTAINER = "container:"
NAMESPACES = ("network_mode", "pid_mode", "ipc_mode")

_NEEDS_OWN_NETWORK = (
    "hostname", "links", "dns_servers", "etc_hosts", "mac_address", "published_ports",
    "publish_all_ports", "exposed_ports",
)  # fmt: skip
"""Options that the engine rejects for a container in another's network (moby's validateNetMode)."""


def reject_contradictions(values: Values) -> None:
    """Check canonical values against each other.

    Raises:
        InvalidInput: names the first contradiction.
    """
    finders = (_find_in_limits, _find_in_process, _find_in_mounts, _find_in_network)
    for error in chain.from_iterable(find(values) for find in finders):
        raise error


def mount_targets(values: Values) -> tuple[str, ...]:
    """Return every path in the container at which the options mount something."""
    volumes = (split_bind(item)[1] for item in values.get("volumes", ()))
    return (*volumes, *values.get("mounts", ()), *values.get("tmpfs", ()))


def named_containers(values: Values) -> dict[str, str]:
    """Return the containers whose namespaces are to be joined, by option."""
    modes = {option: str(values.get(option) or "") for option in NAMESPACES}
    return {option: mode[len(CONTAINER) :] for option, mode in modes.items() if mode.startswith(CONTAINER)}


def with_identifiers(values: Values, identifiers: Mapping[str, str]) -> dict[str, Any]:
    """Return the values with the IDs of these containers instead of their names."""
    named = named_containers(values)
    return {**values, **{option: CONTAINER + identifiers.get(name, name) for option, name in named.items()}}


def _contradiction(subject: str, problem: str, remedy: str = "Leave one of them out") -> InvalidInput:
    return InvalidInput(subject, problem=problem, remedy=remedy)


def _find_in_limits(values: Values) -> Iterator[InvalidInput]:
    swap, memory = values.get("memory_swap", -1), values.get("memory", 0)
    if swap > 0 and (not memory or swap < memory):
        limit = f"{memory} bytes" if memory else "without limit"
        problem = f"memory_swap is {swap} bytes and includes memory, but memory is {limit}"
        yield _contradiction("memory_swap", problem, "Set memory to memory_swap or less")
    reservation = values.get("memory_reservation", 0)
    if memory and reservation > memory:
        problem = f"memory_reservation is {reservation} bytes, but memory is {memory} bytes"
        yield _contradiction("memory_reservation", problem, "Set memory_reservation to memory or less")
    other = next((name for name in ("cpu_period", "cpu_quota") if values.get(name)), "")
    if values.get("cpus") and other:
        yield _contradiction("cpus", f"cpus and {other} both limit processor time")


def _find_in_process(values: Values) -> Iterator[InvalidInput]:
    policy = (values.get("restart_policy") or {}).get("Name", "no")
    if values.get("auto_remove") and policy != "no":
        problem = f"auto_remove contradicts restart_policy {policy}: a removed container cannot be restarted"
        yield _contradiction("auto_remove", problem)
    if values.get("log_options") and not values.get("log_driver"):
        yield _contradiction("log_options", "log_options is set without log_driver", "Set log_driver")


def _find_in_mounts(values: Values) -> Iterator[InvalidInput]:
    targets = mount_targets(values)
    for target in targets:
        if targets.count(target) > 1:
            names = ("volumes", "mounts", "tmpfs")
            found = [name for name in names if target in mount_targets({name: values.get(name, ())})]
            problem = f"{target} is mounted more than once, by {' and '.join(found)}"
            yield _contradiction(f"mount at {target}", problem)


def _find_in_network(values: Values) -> Iterator[InvalidInput]:
    if values.get("publish_all_ports") is False and "all" in values.get("published_ports", ()):
        problem = "publish_all_ports is false, but published_ports contains all"
        yield _contradiction("publish_all_ports", problem)
    for name in ("hostname", "domainname"):
        if values.get(name) and values.get("uts") == "host":
            problem = f"{name} {values[name]} contradicts uts host: the container has the host's name"
            yield _contradiction(name, problem)
    mode = str(values.get("network_mode") or "")
    found = next((name for name in _NEEDS_OWN_NETWORK if values.get(name)), "")
    if mode.startswith(CONTAINER) and found:
        problem = f"{found} contradicts network_mode {mode}: it is a setting of that container"
        yield _contradiction(found, problem, f"Leave {found} out")
