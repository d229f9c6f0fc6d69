# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resolves what one host decides: unfinished replacements, and what the specification omits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Optional

from .._base.plan import Reason
from .._container.attachments import hides_mac_addresses
from .._container.checks import with_identifiers
from .._container.inspection import config_of, docker_host_of, is_alive, is_running, state_of
from .._container.options import find_unsupported
from .._container.ports import DEFAULT_ADDRESS, with_default_address
from .._container.process import with_image_healthcheck
from .._wiring.spec import WiringSpec
from .._wiring.wire import Wiring, wire
from .found import read_wiring, read_wiring_spec
from .model import Action, RemoveContainer, RemovePrevious, RestorePrevious, Steps, WormholeState
from .spec import STOPPED, WormholeSpec

_PORTS = "published_ports"
_HEALTHCHECK = "healthcheck"
_NO_MAC_ADDRESS_OF_CONTAINERS = (1, 52)


def current_container(spec: WormholeSpec, state: WormholeState) -> Optional[Mapping[str, Any]]:
    """Return the container that the wormhole has after :func:`recover`; None without one."""
    return recover(spec, state)[1].container


def recover(spec: WormholeSpec, state: WormholeState) -> tuple[Steps, WormholeState]:
    """Plan what an unfinished replacement requires, and return the state after it.

    If the new container has the name of the wormhole and runs, the previous one is removed.
    Otherwise the new one is removed, and the previous one is restored. It is started if it ran
    until the new one was created.
    """
    if state.previous is None and state.successor is None:
        return Steps(), state
    text, done = "an earlier run was interrupted:", replace(state, previous=None, successor=None)
    if state.previous is not None and is_running(state.container):
        text = f"{text} the previous container still exists as {spec.previous_name}"
        actions = (*_removal(state.successor), RemovePrevious(str(state.previous["Id"])))
        return Steps((Reason("left_over", text, spec.name),), actions), done
    reason = Reason("left_over", f"{text} its new container is {spec.successor_name}", spec.name)
    kept, successor = state.container, state.successor
    if state.previous is not None:
        text = f"{text} the previous container is restored from {spec.previous_name}"
        reason = Reason("interrupted", text, spec.name)
        kept, successor = state.previous, state.container or state.successor
    if kept is None:
        return Steps((reason,), _removal(successor)), done
    surplus = state.successor if successor is not state.successor else None
    interrupted = _was_interrupted(kept, successor)
    # With detach: false, the container is started later, and only once.
    start = interrupted and spec.state != STOPPED and spec.detach
    restore = RestorePrevious(str(kept["Id"]), spec.name, start, str((successor or {}).get("Id") or ""))
    restored = replace(done, container={**kept, "Name": f"/{spec.name}"}, interrupted=interrupted)
    return Steps((reason,), (*_removal(surplus), restore)), restored


def _removal(container: Optional[Mapping[str, Any]]) -> tuple[Action, ...]:
    return () if container is None else (RemoveContainer(str(container["Id"])),)


def _was_interrupted(previous: Mapping[str, Any], successor: Optional[Mapping[str, Any]]) -> bool:
    """Report whether the previous container ran until the new one was created."""
    created = str((successor or {}).get("Created") or "")
    finished = str(state_of(previous).get("FinishedAt") or "")
    # RFC 3339 in UTC; the engine omits trailing zeros of the fraction of a second.
    return bool(created) and not is_alive(previous) and finished.rstrip("Z") >= created.rstrip("Z")


def resolve_spec(spec: WormholeSpec, state: WormholeState) -> WormholeSpec:
    """Complete the options with values from the host and the image."""
    options = with_identifiers(spec.options, state.referred)
    if spec.warn_of_limits:
        for name in find_unsupported(options, state.info):
            del options[name]
    if _PORTS in options:
        options[_PORTS] = with_default_address(options[_PORTS], _default_address(spec, state))
    if _HEALTHCHECK in options:
        options[_HEALTHCHECK] = with_image_healthcheck(options[_HEALTHCHECK], config_of(state.image))
    return replace(spec, options=options)


def wiring_of(spec: WormholeSpec, state: WormholeState) -> Wiring:
    """Return the container's wiring: a new one, or its own if the task names no image."""
    kept = _kept_container(spec, state)
    if kept is not None:
        if spec.isolated:
            # Raises an error if the container would have no way to its engine.
            wire(read_wiring_spec(spec.wiring, kept), state.wiring)
        return read_wiring(kept)
    anew = spec.recreate and not state.created_now
    wired_to = "" if anew else docker_host_of(state.container or state.previous)
    return wire(spec.wiring, replace(state.wiring, wired_to=wired_to))


def wiring_spec_of(spec: WormholeSpec, state: WormholeState) -> WiringSpec:
    """Return the specification that :func:`wiring_of` follows."""
    kept = _kept_container(spec, state)
    return spec.wiring if kept is None else read_wiring_spec(spec.wiring, kept)


def as_reported(
    options: Mapping[str, Any], container: Mapping[str, Any], api_version: tuple[int, ...]
) -> dict[str, Any]:
    """Return canonical values as an inspection states them, without those that it omits."""
    found = dict(options)
    if api_version >= _NO_MAC_ADDRESS_OF_CONTAINERS and hides_mac_addresses(container):
        found.pop("mac_address", None)
    return found


def _kept_container(spec: WormholeSpec, state: WormholeState) -> Optional[Mapping[str, Any]]:
    """Return the container that keeps its wiring, because the task names no image; or None."""
    return None if spec.image else current_container(spec, state)


def _default_address(spec: WormholeSpec, state: WormholeState) -> str:
    if spec.default_host_ip is not None:
        return spec.default_host_ip
    bindings, networks = state.wiring.topology.host_bindings, (item.network for item in spec.attachments)
    return next((bindings[name] for name in networks if name in bindings), DEFAULT_ADDRESS)
