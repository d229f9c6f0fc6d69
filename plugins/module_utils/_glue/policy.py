# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Give an identity access through the gate, for a container that others manage."""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace
from typing import Any, Mapping

from .._access import spec as access_spec
from .._access.io.changes import apply_access, require_access
from .._access.io.replay import with_replay
from .._access.io.state import observe_access
from .._access.model import AccessState
from .._access.plan import plan_access, plan_removal
from .._access.spec import AccessSpec
from .._base.errors import InvalidInput, MissingRequirement
from .._base.labels import LABEL_GATE, LABEL_IDENTITY
from .._base.plan import Plan
from .._gate import units
from .._listener.io.endpoints import is_served_by_gate
from .._wiring.spec import TLS, UNIX
from .execute import execute

ABSENT, PRESENT = "absent", "present"

ARGUMENTS: dict[str, Any] = {
    "identity": {"type": "str", "required": True},
    "state": {"type": "str", "choices": [PRESENT, ABSENT], "default": PRESENT},
    **access_spec.ARGUMENTS,
    "transport": {"type": "str", "choices": [UNIX, TLS], "default": UNIX},
    "user": {"type": "int", "default": 0},
    "certificate_paths": {"type": "list", "elements": "path"},
}


def parse_policy_task(params: Mapping[str, Any]) -> AccessSpec:
    """Parse the options of wormhole_policy.

    Raises:
        InvalidInput: options contradict each other, or the identity cannot have a policy.
    """
    identity, tls = params["identity"], params["transport"] == TLS
    found = access_spec.parse_access(params, identity)
    certificates = tuple(params.get("certificate_paths") or ())
    if params["state"] == ABSENT:
        found = found or access_spec.parse_access({"policy": access_spec.UNRESTRICTED}, identity)
    if found is None:
        problem = f"The identity {identity} needs a policy"
        raise InvalidInput("policy", problem=problem, remedy="Set policy to the name of a preset")
    if params["state"] != ABSENT and tls != bool(certificates):
        problem = (
            "transport tls requires certificate_paths" if tls else "certificate_paths requires transport tls"
        )
        remedy = "Name the client's certificate in it" if tls else "Remove it from the task"
        raise InvalidInput("certificate_paths", problem=problem, remedy=remedy)
    if not 0 <= params["user"] <= 0xFFFFFFFE:
        raise InvalidInput("user", expected="the number of a user", found=str(params["user"]))
    if not tls:
        access_spec.reject_long(identity)
    return replace(found, door=not tls, certificates=certificates)


def ensure_policy(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Bring an identity's access to its desired state; return the result of wormhole_policy.

    Raises:
        WormholeError: it failed, or something that it needs is missing.
    """
    spec, absent = parse_policy_task(params), params["state"] == ABSENT

    def plan(state: AccessState) -> Plan[Any]:
        if absent:
            return plan_removal({spec.identity: state})
        served_by_gate = spec.door or is_served_by_gate()
        return plan_access(spec, state, params["user"], served_by_gate=served_by_gate)

    def apply(planned: Plan[Any]) -> None:
        require_access(planned.actions)
        missing = next((path for path in spec.certificates if not os.path.isfile(path)), "")
        if missing:
            problem = f"The certificate {missing} does not exist on this host"
            raise MissingRequirement(missing, problem=problem, remedy="Issue it first")
        apply_access(planned.actions)

    return execute(
        check_mode=check_mode,
        subject=f"policy of {spec.identity}",
        observe=lambda: with_replay(spec, observe_access(spec.identity, spec.certificates)),
        plan=plan,
        apply=apply,
        describe=lambda state, planned: {} if absent else _describe(spec),
    )


def _describe(spec: AccessSpec) -> dict[str, Any]:
    """Return what a container needs to use the access."""
    if not spec.door:
        return {"docker_host": "", "directory": "", "compose": {}, "docker_run": [], "policy": spec.document}
    path = units.socket_path(spec.identity)
    directory, docker_host = posixpath.dirname(path), f"unix://{path}"
    volume = f"{directory}:{directory}:ro"
    labels = {LABEL_IDENTITY: spec.identity, LABEL_GATE: "true"}
    service = {"environment": {"DOCKER_HOST": docker_host}, "volumes": [volume], "labels": labels}
    arguments = ["--env", f"DOCKER_HOST={docker_host}", "--volume", volume]
    for name, value in labels.items():
        arguments += ["--label", f"{name}={value}"]
    return {
        "docker_host": docker_host,
        "directory": directory,
        "compose": {"services": {spec.identity: service}},
        "docker_run": arguments,
        "policy": spec.document,
    }
