# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detects ways to start dockerd that conflict with the listener."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

from .._base.address import SocketAddress, split_url
from .._base.errors import Refused
from .._base.systemd_words import has_specifiers, split
from .._engine import command as engine_command
from .._engine import options
from .adoption import configured_hosts, is_served, kept_hosts, needs_override
from .model import ListenerState
from .spec import ENGINE_UNIT, ListenerSpec

SHOW = f"see systemctl cat {ENGINE_UNIT}"
_EVERYWHERE = ("", "0.0.0.0", "::")
_RESTART = f"Restart {ENGINE_UNIT} first, so that it runs as it is configured"


def find_failing_start(state: ListenerState) -> Iterator[Refused]:
    """What keeps systemd from starting dockerd again, although it may be running."""
    command = state.command
    if not command.configured:
        problem = f"{ENGINE_UNIT} has no valid ExecStart=, or more than one: systemd does not start it again"
        remedy = f"Repair it in {command.source or ENGINE_UNIT}, {SHOW}"
        yield Refused(command.source or ENGINE_UNIT, problem=problem, remedy=remedy)
    if command.missing:
        missing = f"needs environment files that do not exist: {', '.join(command.missing)}"
        problem = f"{ENGINE_UNIT} {missing}. systemd does not start it again"
        remedy = "Create them, or put a dash before the path in EnvironmentFile="
        yield Refused(ENGINE_UNIT, problem=problem, remedy=remedy)
    if state.config_missing and "config-file" in _option_names(command.effective_words):
        problem = f"{command.source} names a configuration file that does not exist: {state.config_file}"
        remedy = f"Restore the file, or remove --config-file, {SHOW}"
        yield Refused(command.source, problem=f"{problem}. dockerd does not start again", remedy=remedy)


def find_unclear_start(state: ListenerState) -> Iterator[Refused]:
    """What keeps the configuration from being known with which dockerd starts."""
    command = state.command
    running, program = command.running_words, "".join(command.words[:1])
    if (
        program
        and not command.starts_dockerd
        and not (_is_dockerd(running) and running[1:] == command.words[1:])
    ):
        problem = (
            f"{command.source} starts {program} instead of dockerd, so the options of dockerd are unknown"
        )
        remedy = f"Start dockerd itself in ExecStart= of {ENGINE_UNIT}, with all of its options"
        yield Refused(command.source, problem=f"{problem}: {command.running}", remedy=remedy)
        return
    file, remedy = command.config_file, f"Name a file with --config-file, or remove the option, {SHOW}"
    if not file:
        problem = (
            f"{command.source} starts dockerd with an empty --config-file: it reads no configuration file"
        )
        yield Refused(command.source, problem=problem, remedy=remedy)
    elif has_specifiers(file):
        problem = f"{command.source} names a configuration file by a specifier of systemd: {file}"
        yield Refused(command.source, problem=problem, remedy=remedy)
    elif re.search(r"\s", file):
        # systemctl shows command lines without quotes to the guard.
        problem = f"{command.source} names a configuration file with white space: {file!r}"
        yield Refused(command.source, problem=problem, remedy=f"Rename the file, {SHOW}")
    elif command.running_config_file != file:
        reads = f"dockerd reads its configuration from {command.running_config_file or 'no file'}"
        problem = f"{reads}, but will read {file} at its next start"
        yield Refused(ENGINE_UNIT, problem=problem, remedy=_RESTART)


def find_host_obstacles(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any], endpoints: set[SocketAddress]
) -> Iterator[Refused]:
    """The listeners of an administrator that may not be adopted, or that this task does not serve."""
    hidden = _options_of_variables(state, options.hosts_of)
    for place, hosts in hidden.items():
        problem = f"{place} sets listeners of dockerd: {', '.join(hosts)}"
        remedy = (
            "Remove them there: existing_listeners: adopt covers only the options -H in ExecStart= itself"
        )
        yield Refused(place, problem=problem, remedy=remedy)
    way = "" if hidden else _render_adoption(spec, state, config, endpoints)
    if spec.existing_listeners == "refuse":
        yield from _find_hosts_to_adopt(spec, state, config, way, bool(hidden))
        return
    for place, hosts in configured_hosts(state, config).items():
        elsewhere = {host for found in hidden.values() for host in found}
        lost = [host for host in hosts if host not in elsewhere and not is_served(host, spec, endpoints)]
        if lost:
            where = f"{place} (key hosts)" if place == state.config_file else place
            problem = f"{where} configures listeners that this task does not serve: {', '.join(lost)}"
            remedy = f"Remove them there{f', or set {way}' if way else ''}"
            yield Refused(place, problem=problem, remedy=remedy)


def _find_hosts_to_adopt(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any], way: str, hidden: bool
) -> Iterator[Refused]:
    command, problems, remedies = state.command, [], []
    if "hosts" in config:
        problems.append(
            f"{state.config_file} sets hosts to {config['hosts']!r}, but the listener needs "
            "dockerd's option -H fd://, and dockerd does not start with both"
        )
        remedies.append("remove the key hosts")
    if needs_override(spec, state, config) and not hidden:
        listeners = " ".join(
            f"-H {host}" for host in (options.SYSTEMD_SOCKETS, *kept_hosts(spec, state, config))
        )
        needed = f"{command.source} has to start dockerd with {listeners} and no other listener"
        problems.append(f"{needed}, but starts {command.configured}")
        remedies.append(f"give ExecStart= these options -H only ({SHOW})")
    if problems:
        remedy = " and ".join(remedies) + (f", or set {way}" if way else "")
        subject = f"{state.config_file}: hosts" if "hosts" in config else command.source
        yield Refused(subject, problem=". ".join(problems), remedy=remedy[:1].upper() + remedy[1:])


def find_unknown_options(state: ListenerState) -> Iterator[Refused]:
    """Options of the running dockerd that its configuration does not name."""
    running, configured = state.command.running_words, state.command.effective_words
    ours = engine_command.hosts_of_override(state.command)
    hosts = set(options.listens_otherwise(running)) - {*options.listens_otherwise(configured), *ours}
    tls = set(options.tls_options_of(running)) - set(options.tls_options_of(configured))
    if hosts or tls:
        found = ", ".join([*(f"-H {host}" for host in sorted(hosts)), *sorted(tls)])
        problem = f"dockerd runs with options that the unit files of {ENGINE_UNIT} do not name: {found}"
        remedy = (
            f"{_RESTART}, or remove these options from where they are set, such as systemctl show-environment"
        )
        yield Refused(ENGINE_UNIT, problem=problem, remedy=remedy)


def find_tls_options(state: ListenerState) -> Iterator[Refused]:
    """TLS options on the command line, which daemon.json has to set."""
    found = {state.command.source: options.tls_options_of(state.command.written_words)}
    found.update(_options_of_variables(state, options.tls_options_of))
    for place, names in found.items():
        if names:
            problem = f"{place} starts dockerd with TLS options, but {state.config_file} has to set them"
            remedy = (
                f"Remove these options from the command line, {SHOW}. Their clients then need certificates "
                "of this collection's authority"
            )
            yield Refused(ENGINE_UNIT, problem=f"{problem}: {', '.join(names)}", remedy=remedy)


def raise_all(obstacles: Sequence[Refused]) -> None:
    """Raises all obstacles as one error, so that no remedy leads to the next obstacle."""
    if len(obstacles) < 2:
        for obstacle in obstacles:
            raise obstacle
        return
    problems = [f"({number}) {obstacle.problem}" for number, obstacle in enumerate(obstacles, 1)]
    numbers: dict[str, list[str]] = {}
    for number, obstacle in enumerate(obstacles, 1):
        numbers.setdefault(obstacle.remedy, []).append(str(number))
    remedies = [f"({', '.join(found)}) {remedy}" for remedy, found in numbers.items()]
    raise Refused(
        obstacles[0].subject,
        problem=f"{len(obstacles)} obstacles: {' '.join(problems)}",
        remedy=f"Remove all of them: {' '.join(remedies)}",
    )


def _options_of_variables(
    state: ListenerState, find: Callable[[Sequence[str]], tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The options of a kind that variables add to the command line, by the place that sets each."""
    command = state.command
    written = find(command.written_words)
    added = [option for option in find(command.effective_words) if option not in written]
    found: dict[str, tuple[str, ...]] = {}
    for name, value in command.environment.items():
        words = _words(value)
        inside = tuple(option for option in find(["dockerd", *words]) if option in added)
        if inside and f"${name}" in command.configured.split():
            found[f"The variable {name} in {command.variable_sources.get(name, ENGINE_UNIT)}"] = inside
    return found


def _render_adoption(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any], endpoints: set[SocketAddress]
) -> str:
    """The options by which a task adopts all listeners; empty if none can, because it has one port."""
    hosts = [host for hosts in configured_hosts(state, config).values() for host in hosts]
    tcp = [host for host in hosts if not host.startswith("unix:")]
    found = [address for address in map(_parse_tcp, tcp) if address is not None]
    ports = {address.port for address in found}
    if len(found) < len(tcp) or len(ports) > 1:
        return ""
    values = ["existing_listeners: adopt"] if spec.existing_listeners == "refuse" else []
    if ports - {spec.port}:
        values.append(f"port: {min(ports)}")
    present = sorted(endpoint.host for endpoint in endpoints)
    lost = {address.host for address in found if address.host not in present}
    everywhere = lost & set(_EVERYWHERE)
    near = [host for host in sorted(lost - everywhere) if _is_near(host, state)]
    far = sorted(lost - everywhere - set(near))
    if near:
        kept = [host for host in present if host not in spec.host_addresses]
        values.append(f"addresses: [{', '.join([*kept, *near])}]")
    if far:
        values.append(f"host_addresses: [{', '.join([*spec.host_addresses, *far])}]")
    elif everywhere and not spec.host_addresses:
        values.append("host_addresses with the addresses of this host")
    return ", ".join(values)


def _is_near(host: str, state: ListenerState) -> bool:
    """Whether an address belongs into the option addresses."""
    return state.topology.find(host) is not None or ipaddress.ip_address(host).is_loopback


def _parse_tcp(host: str) -> Optional[SocketAddress]:
    """A listener's numeric TCP address; None if it is anything else."""
    scheme, authority = split_url(host)
    address = SocketAddress.parse(authority, 2376) if scheme in ("", "tcp") else None
    if address is None or address.host in _EVERYWHERE:
        return address
    try:
        return address._replace(host=str(ipaddress.ip_address(address.host)))
    except ValueError:
        return None


def _is_dockerd(words: Sequence[str]) -> bool:
    return posixpath.basename(words[0] if words else "") == "dockerd"


def _words(line: str) -> list[str]:
    return [word.text for word in split(line) or ()]


def _option_names(words: Sequence[str]) -> set[str]:
    return {option.name for option in options.parse_options(words)}
