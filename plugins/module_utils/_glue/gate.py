# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install and remove the gate of a host."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any, Callable, Mapping, Optional

from .._base.errors import InvalidInput
from .._base.plan import Plan
from .._gate.ending import describe_endings
from .._gate.program_file import program_hash
from .._gate_host.io.apply import GateHost, reserved
from .._gate_host.io.observe import observe_gate_host
from .._gate_host.model import EndSiblings, GateHostState, InstallProgram, RestartGate
from .._gate_host.plan import plan_gate
from .._gate_host.removal import plan_removal
from .._gate_host.spec import GateHostSpec, parse_spec
from . import connection
from .execute import execute

REQUIRED = "program_required"
"""Key of an answer: the host has another program, and the controller has to send it."""
_LARGEST = 16 << 20


class ProgramNeeded(Exception):
    """Not a failure: the plan is carried out once the program was sent."""


def ensure_gate(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Bring the gate to its desired state; return the result of wormhole_gate.

    Args:
        params: options of the module, with defaults.

    Returns:
        The result, or REQUIRED if the program has to be sent first; nothing was changed then.

    Raises:
        WormholeError: it failed, and the previous gate is restored; or the task is rejected.
    """
    spec = parse_spec(params)
    program = _unpack(params.get("program_content"), spec)
    host = GateHost(program)

    def apply(plan: Plan[Any]) -> None:
        if program is None and _installs(plan):
            raise ProgramNeeded
        host.apply(plan)

    with reserved():
        try:
            result = _execute(spec, params, apply, [], check_mode=check_mode)
        except ProgramNeeded:
            return {"changed": True, REQUIRED: True}
    if host.endings is not None:
        # What was planned may have been in use.
        result.update(describe_endings(host.endings))
    return result


def plan_ahead(params: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Predict the result of ensure_gate(), and whether the program has to be sent before.

    Raises:
        WormholeError: the gate is rejected.
    """
    plans: list[Plan[Any]] = []
    result = _execute(parse_spec(params), params, lambda plan: None, plans, check_mode=True)
    return result, not params.get("program_content") and _installs(plans[0])


def _execute(
    spec: GateHostSpec,
    params: Mapping[str, Any],
    apply: Callable[[Plan[Any]], None],
    plans: list[Plan[Any]],
    *,
    check_mode: bool,
) -> dict[str, Any]:
    """Execute the plan, and note every plan that is made."""

    unknown: list[str] = []

    def plan(state: GateHostState) -> Plan[Any]:
        unknown.append(state.unknown)
        plans.append(plan_gate(spec, state) if spec.present else plan_removal(spec, state))
        return plans[-1]

    return execute(
        check_mode=check_mode,
        subject="the gate",
        observe=lambda: observe_gate_host(spec, lambda: connection.open_engine(params)),
        plan=plan,
        apply=apply,
        describe=lambda state, first: _describe(spec, state, first, unknown[0]),
    )


def _installs(plan: Plan[Any]) -> bool:
    return any(isinstance(action, InstallProgram) for action in plan.actions)


def _unpack(content: Optional[str], spec: GateHostSpec) -> Optional[bytes]:
    """The program as the action plugin has packed it.

    Raises:
        InvalidInput: it is not the program with the hash of the task.
    """
    if not content:
        return None
    try:
        unpacked = zlib.decompressobj()
        program = unpacked.decompress(base64.b64decode(content, validate=True), _LARGEST)
    except (binascii.Error, ValueError, zlib.error):
        program = b""
    if program_hash(program) != spec.program:
        problem = "The program that was sent is not the one with this hash"
        raise InvalidInput(
            "option program_content", problem=problem, remedy="Remove the option from the task"
        )
    return program


def _describe(spec: GateHostSpec, state: GateHostState, plan: Plan[Any], unknown: str) -> dict[str, Any]:
    """The return values of the module."""
    ends = (action for action in plan.actions if isinstance(action, EndSiblings))
    endings = [ending for action in ends for ending in action.siblings]
    text = f"What wormholes have created is not removed, because it is not known: {unknown}"
    return {
        **({} if spec.present else describe_endings(endings)),
        **({"warnings": [text]} if unknown else {}),
        "program_sha256": spec.program if spec.present else "",
        "identities": list(state.policies),
        "restarted": any(isinstance(action, RestartGate) for action in plan.actions),
    }
