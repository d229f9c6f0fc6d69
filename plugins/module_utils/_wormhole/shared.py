# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the wormholes of one list share: what they must not, and what makes them wait."""

from __future__ import annotations

from collections import Counter
from typing import AbstractSet, Any, Iterator, Mapping, Optional, Sequence, Tuple

from .._access.spec import AccessSpec
from .._base.errors import InvalidInput
from .._base.labels import LABEL_DISCOVER
from .._base.plan import Plan
from .._certificates.spec import CertificateSpec
from .._container.checks import named_containers
from .._container.inspection import labels_of
from .._container.ports import split_port
from .._gate import units
from .._wiring.program import PROGRAM, InstallProgram, RemoveProgram
from .._wiring.spec import RUNTIME, TLS
from .access import identity_of
from .identity import made_for
from .model import WormholeState
from .spec import ABSENT, WormholeSpec

Wanted = Tuple[WormholeSpec, Optional[CertificateSpec]]
"""A wormhole, and the identity that is managed with it; None if there is none."""

_EVERYWHERE = frozenset({"0.0.0.0", "::"})


def reject_contradictions(wormholes: Sequence[Wanted]) -> None:
    """Reject a list whose wormholes cannot exist together.

    Raises:
        InvalidInput: two have the same name, publish the same port of the host, or want different
            identities in the same directory.
    """
    for number, (spec, identity) in enumerate(wormholes):
        for other, others in wormholes[:number]:
            if (other.name, other.wiring.socket_path) == (spec.name, spec.wiring.socket_path):
                subject = f"wormhole {spec.name}"
                problem = f"The {subject} is listed more than once"
                raise InvalidInput(subject, problem=problem, remedy="List it once")
            names = f"The wormholes {other.name} and {spec.name}"
            if identity and others and identity.directory == others.directory and identity != others:
                subject = f"identity directory {identity.directory}"
                problem = f"{names} set different options for the identity in {identity.directory}"
                remedy = "Give them the same identity options, or another identity_directory"
                raise InvalidInput(subject, problem=problem, remedy=remedy)
            _reject_policies(other, spec)
    published = [(spec.name, port) for spec, _identity in wormholes for port in _published(spec)]
    for number, (name, (address, port)) in enumerate(published):
        for other_name, (other_address, other_port) in published[:number]:
            same = address == other_address or {address, other_address} & _EVERYWHERE
            if port == other_port and same and name != other_name:
                subject = f"port {port}"
                problem = f"The wormholes {other_name} and {name} publish the same {subject} of the host"
                raise InvalidInput(subject, problem=problem, remedy="Give one of them another port")


def find_dependent(specs: Sequence[WormholeSpec], plans: Sequence[Optional[Plan[Any]]]) -> list[int]:
    """Return the numbers of the wormholes that must not be changed at the same time as the others.

    These are wormholes to be changed that refer to another one of the list, share its identity, or
    change the program for ``discover: runtime``.

    Args:
        plans: the plan of each; None if there is none.
    """
    names = [spec.name for spec in specs]
    identities = [_identity_place(spec) for spec in specs]
    found = []
    for number, (spec, plan) in enumerate(zip(specs, plans)):
        if plan is None or plan.is_empty:
            continue
        refers = set(_referred(spec)) & {name for name in names if name != spec.name}
        shares = bool(identities[number]) and identities.count(identities[number]) > 1
        program = any(isinstance(action, (InstallProgram, RemoveProgram)) for action in plan.actions)
        if refers or shares or program:
            found.append(number)
    return found


def holdings_of(spec: WormholeSpec, state: WormholeState) -> frozenset[str]:
    """Return what the containers of a wormhole have, and those of others may have as well.

    These are directories of identities, and the path of the program for ``discover: runtime``. The
    last one that goes takes them along.
    """
    found = {made_for(container) for container in state.existing}
    found.add(spec.wiring.identity_directory if spec.wiring.transport == TLS else "")
    # Whoever of two with one socket of the gate goes last takes it along.
    found.update(
        f"identity {identity_of(container)}" for container in state.existing if identity_of(container)
    )
    if any(labels_of(container).get(LABEL_DISCOVER) == RUNTIME for container in state.existing):
        found.add(PROGRAM)
    return frozenset(found - {""})


def find_companions(holdings: Mapping[int, AbstractSet[str]]) -> list[int]:
    """Return the numbers of those that go and share something with another one that goes.

    Side by side, each would leave it to the other.

    Args:
        holdings: what each of them has; see :func:`holdings_of`.
    """
    owners = Counter(thing for things in holdings.values() for thing in things)
    return [number for number, things in holdings.items() if any(owners[thing] > 1 for thing in things)]


def _published(spec: WormholeSpec) -> Iterator[tuple[str, str]]:
    """Return the ports of the host that a wormhole publishes: address, and port with protocol."""
    for item in (spec.options.get("published_ports") or ()) if spec.state != ABSENT else ():
        address, host, port = split_port(item)
        if host and "-" not in host:
            protocol = port.partition("/")[2] or "tcp"
            yield address or spec.default_host_ip or "0.0.0.0", f"{host}/{protocol}"


def _identity_place(spec: WormholeSpec) -> str:
    """Return where the identity of a wormhole is: its directory, or its socket; empty without one."""
    if spec.state == ABSENT:
        return ""
    if spec.wiring.gated:
        return units.socket_path(spec.wiring.identity)
    return spec.wiring.identity_directory if spec.wiring.transport == TLS else ""


def _reject_policies(one: WormholeSpec, other: WormholeSpec) -> None:
    """Reject different policies of one identity: a host has one file for it, whatever its engines."""
    first, second = _policy_of(one), _policy_of(other)
    if first is None or second is None:
        return
    if first.identity != second.identity:
        return
    subject, names = f"identity {first.identity}", f"The wormholes {one.name} and {other.name}"
    remedy = "or give each an identity of its own with the option identity"
    if not first.same_policy(second):
        problem = f"{names} set different policies for the {subject}"
        raise InvalidInput(subject, problem=problem, remedy=f"Give them the same policy, {remedy}")
    if one.wiring.gated != other.wiring.gated:
        problem = f"{names} have the {subject} with a policy, one by transport unix and one by tls"
        raise InvalidInput(subject, problem=problem, remedy=f"Give them the same transport, {remedy}")
    # The file admits the certificate of one directory.
    directories = {wormhole.wiring.identity_directory for wormhole in (one, other)}
    if first.restricts and not one.wiring.gated and len(directories) > 1:
        problem = (
            f"{names} have the {subject} with a policy in two directories: {', '.join(sorted(directories))}"
        )
        raise InvalidInput(
            subject, problem=problem, remedy=f"Give them the same identity_directory, {remedy}"
        )


def _policy_of(spec: WormholeSpec) -> Optional[AccessSpec]:
    wiring = spec.wiring
    if spec.state == ABSENT or wiring.engine or not (wiring.gated or wiring.transport == TLS):
        return None
    return wiring.policy or AccessSpec(wiring.identity)


def _referred(spec: WormholeSpec) -> Iterator[str]:
    """Return the names of the containers that a wormhole refers to."""
    options = spec.options
    yield from named_containers(options).values()
    yield from (item.partition(":")[0] for item in options.get("volumes_from") or ())
    links = [*(options.get("links") or ()), *(link for item in spec.attachments for link in item.links)]
    yield from (link.partition(":")[0] for link in links)
