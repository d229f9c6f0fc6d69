# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about a certificate authority in a directory: make it, mend its modes, or let another one take over."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.authority import (
    CERTIFICATE_FILE,
    DIRECTORY,
    DROP,
    FORMER_CERTIFICATE_FILE,
    FORMER_KEY_FILE,
    KEY_FILE,
    MODES,
    NEXT_CERTIFICATE_FILE,
    NEXT_KEY_FILE,
    REISSUE,
    RETIRED_FILE,
    TRUST,
    AuthorityAction,
    AuthoritySpec,
    AuthorityState,
    CreateAuthority,
    CreateSuccessor,
    DropFormer,
    Promote,
    SetMode,
    authority_certificate,
    check_authority,
    check_issuer,
    lost_key,
    successor_name,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import (
    ONE_DAY,
    CertificateFacts,
    KeyFacts,
    timestamp,
)


def plan_authority(
    spec: AuthoritySpec, state: AuthorityState, now: datetime.datetime
) -> Plan[AuthorityAction]:
    """Decides whether an authority has to be made, its modes mended, or a rotation taken a stage further.

    Raises:
        Refused: what is there is no usable authority, or cannot be rotated.
    """
    if state.key is None and state.certificate is None:
        return _plan_creation(spec, state)
    certificate = _check(spec, state, now)
    observed = {name: state.modes.get(name) for name in MODES}
    drift = [SetMode(name, mode) for name, mode in MODES.items() if observed[name] not in (None, mode)]
    reasons = [_drift_reason(spec.directory, action, observed[action.name]) for action in drift]
    before: dict[str, Any] = {_mode_label(action.name): _octal(observed[action.name]) for action in drift}
    after: dict[str, Any] = {_mode_label(action.name): _octal(action.mode) for action in drift}
    actions: list[AuthorityAction] = list(drift)
    step = _plan_rotation(spec, state, certificate)
    if step is not None:
        reason, action = step
        reasons.append(reason)
        actions.append(action)
        before["rotation"] = _describe_rotation(state)
        after["rotation"] = _describe_rotation(_simulate_step(state, action, certificate))
    return Plan(before=before, after=after, reasons=tuple(reasons), actions=tuple(actions))


def _check(spec: AuthoritySpec, state: AuthorityState, now: datetime.datetime) -> CertificateFacts:
    """A lost key is an obstacle to whoever has to issue something, and to a rotation; hosts are mended without it."""
    if state.certificate is None or state.key is not None or spec.stage is not None:
        return check_authority(spec.directory, state, now)
    check_issuer(spec.directory, state, now)
    return state.certificate


def lost_key_text(spec: AuthoritySpec, state: AuthorityState) -> str:
    """What to do about a key that is lost; empty if it is there, or if there is no authority."""
    if state.certificate is None or state.key is not None:
        return ""
    return str(lost_key(spec.directory))


def _plan_creation(spec: AuthoritySpec, state: AuthorityState) -> Plan[AuthorityAction]:
    if state.foreign:
        raise Refused(
            spec.directory,
            expected="a directory of the authority's own",
            found=f"other files, such as {state.foreign[0]}",
            remedy="Name a directory that is empty or does not exist",
        )
    if spec.stage is not None:
        raise Refused(
            spec.directory,
            expected="an authority that another one can take over from",
            found="none",
            remedy="Check the directory; the playbook wormhole.docker.provision makes an authority where there is none",
        )
    return Plan(
        before={},
        after=_describe_new(spec),
        reasons=(Reason("missing", f"no certificate authority in {spec.directory}", spec.directory),),
        actions=(CreateAuthority(),),
    )


def _plan_rotation(
    spec: AuthoritySpec, state: AuthorityState, certificate: CertificateFacts
) -> Optional[tuple[Reason, AuthorityAction]]:
    """The next step, and why.

    Each stage says what has to hold, not what to do: a run that was interrupted can be repeated as a whole.
    """
    if state.unfinished:
        text = f"an interrupted run left the hand-over to {certificate.subject} unfinished"
        return Reason("rotation_unfinished", text, spec.directory), Promote()
    if spec.stage == TRUST and state.successor is None and state.former is None:
        if state.chain or not certificate.is_self_issued:
            raise Refused(
                spec.directory,
                expected="an authority that is its own issuer, so that its successor can be one, too",
                found=f"{certificate.subject}, issued by {certificate.issuer}",
                remedy=f"Have its successor issued, and put it there as {NEXT_KEY_FILE} and {NEXT_CERTIFICATE_FILE}",
            )
        name = successor_name(certificate.common_name)
        successor = replace(spec, common_name=name)
        text = f"{certificate.subject} has no successor: CN={name} is going to be one"
        return Reason("no_successor", text, spec.directory), CreateSuccessor(successor)
    if spec.stage == REISSUE and state.successor is not None:
        text = f"{state.successor.subject} is trusted and takes over from {certificate.subject}"
        return Reason("not_issuing", text, spec.directory), Promote()
    if spec.stage == DROP and state.former is not None and not spec.waits_for:
        text = f"{state.former.subject} has handed over and is trusted still"
        return Reason("former_trusted", text, spec.directory), DropFormer()
    return None


def waiting_text(spec: AuthoritySpec, state: AuthorityState) -> str:
    """Why a former authority is not dropped yet although it was asked for; empty if that is not so."""
    if spec.stage != DROP or not spec.waits_for or state.former is None:
        return ""
    return (
        f"{spec.directory}: the rotation is not over, {state.former.subject} is remembered for the hosts that have not been "
        f"through it: {', '.join(spec.waits_for)}. Run the playbook wormhole.docker.rotate again when they can be reached"
    )


def simulate_authority(
    spec: AuthoritySpec, state: AuthorityState, plan: Plan[AuthorityAction], now: datetime.datetime
) -> AuthorityState:
    """The state that a plan leads to."""
    for action in plan.actions:
        if isinstance(action, CreateAuthority):
            certificate = authority_certificate(spec, now)
            key = KeyFacts(spec.key_type, certificate.public_key_sha256)
            names = (DIRECTORY, KEY_FILE, CERTIFICATE_FILE)
            state = AuthorityState({name: MODES[name] for name in names}, key, certificate)
        elif isinstance(action, SetMode):
            state = replace(state, modes={**state.modes, action.name: action.mode})
        elif state.certificate is not None:
            state = _simulate_step(state, action, state.certificate, now)
    return state


def _simulate_step(
    state: AuthorityState,
    action: AuthorityAction,
    certificate: CertificateFacts,
    now: Optional[datetime.datetime] = None,
) -> AuthorityState:
    if isinstance(action, CreateSuccessor):
        successor = authority_certificate(action.spec, now or certificate.not_before)
        return replace(state, successor=successor, modes=_with(state, NEXT_KEY_FILE, NEXT_CERTIFICATE_FILE))
    if isinstance(action, DropFormer):
        kept = {
            name: mode
            for name, mode in state.modes.items()
            if name not in (FORMER_KEY_FILE, FORMER_CERTIFICATE_FILE)
        }
        return replace(state, former=None, modes={**kept, RETIRED_FILE: MODES[RETIRED_FILE]})
    if state.unfinished or state.successor is None:
        return replace(state, unfinished=False)
    return replace(
        state,
        key=KeyFacts(state.successor.key_type, state.successor.public_key_sha256),
        certificate=state.successor,
        chain=(),
        former=certificate,
        successor=None,
        modes=_with(state, FORMER_KEY_FILE, FORMER_CERTIFICATE_FILE),
    )


def _with(state: AuthorityState, *names: str) -> dict[str, int]:
    return {**state.modes, **{name: MODES[name] for name in names}}


def describe_authority(place: str, state: AuthorityState, now: datetime.datetime) -> dict[str, object]:
    """The module's return values; those of a certificate that is not there are left out."""
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


def _describe_rotation(state: AuthorityState) -> dict[str, str]:
    """Who takes over from whom, for results and diffs: the same in a prediction and afterwards."""
    stage = TRUST if state.successor else REISSUE if state.former else "none"
    return {
        "stage": stage,
        "issuing": state.certificate.subject if state.certificate else "",
        "successor": state.successor.subject if state.successor else "",
        "former": state.former.subject if state.former else "",
    }


def _describe_new(spec: AuthoritySpec) -> dict[str, object]:
    return {
        "directory": spec.directory,
        "subject": f"CN={spec.common_name}",
        "key_type": spec.key_type,
        "validity_days": spec.validity // ONE_DAY,
        **{_mode_label(name): _octal(MODES[name]) for name in (DIRECTORY, KEY_FILE, CERTIFICATE_FILE)},
    }


def _mode_label(name: str) -> str:
    return f"mode of {name or 'directory'}"


def _octal(mode: Optional[int]) -> str:
    return "none" if mode is None else f"{mode:04o}"


def _drift_reason(directory: str, action: SetMode, found: Optional[int]) -> Reason:
    path = f"{directory}/{action.name}".rstrip("/")
    return Reason(
        "mode_drift", f"mode of {path}: expected {_octal(action.mode)}, found {_octal(found)}", path
    )
