# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether to create an authority, correct its modes, or run a stage of its rotation."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any, Dict, Optional, Tuple

from .._base.errors import Refused
from .._base.plan import Plan, Reason
from . import authority as ca
from .facts import DIRECTORY, ONE_DAY, CertificateFacts, timestamp

_Step = Tuple[Reason, ca.AuthorityAction, Dict[str, str]]
"""The next action of a rotation, its reason, and the described fields that it changes."""


def plan_authority(
    spec: ca.AuthoritySpec, state: ca.AuthorityState, now: datetime.datetime
) -> Plan[ca.AuthorityAction]:
    """Decide about one authority.

    Raises:
        Refused: the directory holds no usable authority, or one that cannot be rotated.
    """
    if state.key is None and state.certificate is None:
        return _plan_creation(spec, state)
    rotating = spec.stage is not None
    is_replaced = rotating or state.successor is not None
    certificate = ca.check_authority(spec.directory, state, now, needs_key=rotating, is_replaced=is_replaced)
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reasons: list[Reason] = []
    actions: list[ca.AuthorityAction] = []
    for name, mode in ca.MODES.items():
        found = state.modes.get(name, mode)
        if found != mode:
            path = f"{spec.directory}/{name}".rstrip("/")
            text = f"mode of {path}: expected {mode:04o}, found {found:04o}"
            before[_mode_label(name)], after[_mode_label(name)] = f"{found:04o}", f"{mode:04o}"
            reasons.append(Reason("mode_drift", text, path))
            actions.append(ca.SetMode(name, mode))
    step = _plan_rotation(spec, state, certificate)
    if step is not None:
        reason, action, changes = step
        reasons.append(reason)
        actions.append(action)
        before["rotation"] = _describe_rotation(state)
        after["rotation"] = {**before["rotation"], **changes}
    return Plan(before=before, after=after, reasons=tuple(reasons), actions=tuple(actions))


def missing_key_text(spec: ca.AuthoritySpec, state: ca.AuthorityState) -> str:
    """The warning that the key is missing; empty if it exists, or if there is no authority."""
    if state.certificate is None or state.key is not None:
        return ""
    return str(ca.missing_key(spec.directory))


def _plan_creation(spec: ca.AuthoritySpec, state: ca.AuthorityState) -> Plan[ca.AuthorityAction]:
    if state.other_files:
        raise Refused(
            spec.directory,
            problem=f"{spec.directory} holds other files, such as {state.other_files[0]}",
            remedy="Set a directory that is empty or does not exist",
        )
    if spec.stage is not None and not (spec.stage == ca.TRUST and spec.replaces):
        raise Refused(
            spec.directory,
            problem=f"{spec.directory} holds no authority to rotate",
            remedy="Check the directory. The playbook wormhole.docker.provision creates an authority",
        )
    return Plan(
        before={},
        after=_describe_new(spec),
        reasons=(Reason("missing", f"no certificate authority in {spec.directory}", spec.directory),),
        actions=(ca.CreateAuthority(),),
    )


def _plan_rotation(
    spec: ca.AuthoritySpec, state: ca.AuthorityState, certificate: CertificateFacts
) -> Optional[_Step]:
    """The next step. A stage states what must hold, so an interrupted run can be repeated."""

    def step(code: str, text: str, action: ca.AuthorityAction, **changes: str) -> _Step:
        return Reason(code, text, spec.directory), action, changes

    subject, successor, former = certificate.subject, state.successor, state.former
    if state.unfinished:
        text = f"an interrupted run has not completed the change to {subject}"
        return step("rotation_unfinished", text, ca.Promote())
    if spec.stage == ca.TRUST and successor is None and former is None:
        if state.chain or not certificate.is_self_issued:
            raise Refused(
                spec.directory,
                problem=f"{spec.directory}: {subject} is issued by {certificate.issuer}, "
                "so this module cannot create its successor",
                remedy="Ask its issuer for a successor, and save it there "
                f"as {ca.NEXT_KEY_FILE} and {ca.NEXT_CERTIFICATE_FILE}",
            )
        name = ca.successor_name(certificate.common_name or spec.common_name)
        text = f"{subject} has no successor; CN={name} is created"
        action = ca.CreateSuccessor(replace(spec, common_name=name))
        return step("no_successor", text, action, stage=ca.TRUST, successor=f"CN={name}")
    if spec.stage == ca.REISSUE and successor is not None:
        text = f"{successor.subject} is trusted and replaces {subject} as the issuing authority"
        changes = {"stage": ca.REISSUE, "issuing": successor.subject, "successor": "", "former": subject}
        return step("not_issuing", text, ca.Promote(), **changes)
    if spec.stage == ca.DROP and former is not None and not spec.waits_for:
        text = f"{former.subject} has been replaced, but is still trusted"
        stage = ca.TRUST if successor else "none"
        return step("former_trusted", text, ca.DropFormer(), stage=stage, former="")
    return None


def waiting_text(spec: ca.AuthoritySpec, state: ca.AuthorityState) -> str:
    """Why stage ``drop`` keeps the previous authority; empty if it does not."""
    if spec.stage != ca.DROP or not spec.waits_for or state.former is None:
        return ""
    return (
        f"{spec.directory}: the rotation is not complete. {state.former.subject} is still trusted, because these hosts have "
        f"not completed the previous stage: {', '.join(spec.waits_for)}. "
        "Run the playbook wormhole.docker.rotate again when they are reachable"
    )


def describe_authority(place: str, state: ca.AuthorityState, now: datetime.datetime) -> dict[str, object]:
    """The module's return values. Without a certificate, only its directory."""
    if state.certificate is None:
        return {"directory": place}
    return {
        "directory": place,
        "subject": state.certificate.subject,
        "fingerprint_sha256": state.certificate.fingerprint_sha256,
        "not_before": timestamp(state.certificate.not_before),
        "not_after": timestamp(state.certificate.not_after),
        "days_left": state.certificate.days_left(now),
        "key_type": state.certificate.key_type,
        "rotation": _describe_rotation(state),
    }


def _describe_rotation(state: ca.AuthorityState) -> dict[str, str]:
    """The state of the rotation, for results and diffs."""
    stage = ca.TRUST if state.successor else ca.REISSUE if state.former else "none"
    return {
        "stage": stage,
        "issuing": state.certificate.subject if state.certificate else "",
        "successor": state.successor.subject if state.successor else "",
        "former": state.former.subject if state.former else "",
    }


def _describe_new(spec: ca.AuthoritySpec) -> dict[str, object]:
    created = (DIRECTORY, ca.KEY_FILE, ca.CERTIFICATE_FILE)
    return {
        "directory": spec.directory,
        "subject": f"CN={spec.common_name}",
        "key_type": spec.key_type,
        "validity_days": spec.validity // ONE_DAY,
        **{_mode_label(name): f"{ca.MODES[name]:04o}" for name in created},
    }


def _mode_label(name: str) -> str:
    return f"mode of {name or 'directory'}"
