# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configure and remove dockerd's listener."""

from __future__ import annotations

from typing import Any, Mapping

from .._base.plan import Plan
from .._listener import model, removal
from .._listener import spec as listener_spec
from .._listener.io.change import ListenerHost
from .._listener.outlook import compute_outlook
from .._listener.parts import render_opening, render_restriction
from .._listener.plan import plan_listener
from .._listener.warnings import listener_warnings
from . import connection
from .execute import execute


def ensure_listener(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Bring dockerd's listener to its desired state; return the result of dockerd_listener.

    Args:
        params: options of the module, with defaults.

    Raises:
        WormholeError: it failed, and the previous state is restored; or the task is rejected.
    """
    spec = listener_spec.parse_spec(params)
    host = ListenerHost(spec, lambda: connection.open_engine(params))
    plan = plan_listener if spec.present else removal.plan_removal

    with host.reserved():
        if spec.state == "recovered":
            return execute(
                check_mode=check_mode,
                subject="an interrupted change",
                observe=host.observe_recovery,
                plan=removal.plan_recovery,
                apply=host.recover,
            )
        planned = spec.state == "planned"
        result = execute(
            check_mode=check_mode,
            subject="dockerd's listener",
            observe=host.observe,
            plan=lambda state: plan(spec, state),
            apply=host.apply,
            describe=lambda state, first: _describe(spec, state, first, host.lost),
            prepare=host.prepare,
            give_up=host.give_up,
            plans_only=planned,
        )
    if planned:
        # The task that carries out the plan reports it.
        return {**result, "changed": True} if host.undone else {"changed": False}
    return result


def _describe(
    spec: listener_spec.ListenerSpec, state: model.ListenerState, plan: Plan[Any], lost: tuple[str, ...]
) -> dict[str, Any]:
    """The return values of the module, except for state recovered."""
    outlook = compute_outlook(spec, state) if spec.present else None
    insecure = outlook.insecure_endpoints if outlook else ()
    restarts = [action for action in plan.actions if isinstance(action, model.RestartEngine)]
    unguarded = spec.present and spec.tls and spec.drops_neighbours and not state.firewall.restricts
    warnings = listener_warnings(insecure, lost, neighbours=unguarded)
    return {
        "served_by": spec.served_by if spec.present and spec.tls else "",
        "endpoints": list(map(str, outlook.endpoints)) if outlook else [],
        "unix_socket": spec.unix_socket if spec.present else "",
        "insecure_endpoints": list(map(str, insecure)),
        "unreachable_networks": [
            {"network": network.network, "reason": network.reason, "instead": network.instead}
            for network in state.topology.unreachable
        ],
        "firewall": {
            "manager": state.firewall.manager,
            "openings": list(map(render_opening, outlook.openings)) if outlook else [],
            "drops": render_restriction(outlook.restriction) if outlook else [],
        },
        "reloaded": any(isinstance(action, model.ReloadEngine) for action in plan.actions),
        "gate_reloaded": any(isinstance(action, model.ReloadGate) for action in plan.actions),
        "restarted": bool(restarts),
        "removed": [name for action in restarts for name in action.removed],
        "interrupted": [name for action in restarts for name in (*action.containers, *lost)],
        **({"warnings": warnings} if warnings else {}),
    }
