# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""List and revoke what an authority has issued."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any, Mapping

from .._base.errors import Refused
from .._base.plan import Plan
from .._certificates import issued as record
from .._certificates import revocation
from .._certificates.facts import ONE_DAY, timestamp
from .._certificates.io import authority as store
from .._certificates.io import decoding
from .._certificates.io import issued as record_store
from .execute import execute
from .material import load_material

DIRECTORY_ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "str", "required": True},
    "passphrase": {"type": "str", "no_log": True},
}
INFO_ARGUMENTS: dict[str, Any] = {
    **DIRECTORY_ARGUMENTS,
    "expires_within_days": {"type": "int", "default": 30},
}
REVOCATION_ARGUMENTS: dict[str, Any] = {
    **DIRECTORY_ARGUMENTS,
    "identity": {"type": "str"},
    "host": {"type": "str"},
    "authority": {"type": "str"},
    "reason": {"type": "str", "default": "unspecified"},
}


def list_issued(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of certificate_authority_info.

    Raises:
        WormholeError: the authority or its record cannot be read.
    """
    directory, material = load_material(params, "")
    ledger = record_store.read(directory) if material.state.modes else record.Ledger()
    state = _state(material, ledger)
    if state.issuing is None:
        raise Refused(
            directory,
            problem=f"there is no authority in {directory}",
            remedy="Set the directory of an authority. Another one by path or content has no record",
        )
    now = datetime.datetime.now(datetime.timezone.utc)
    window = params["expires_within_days"] * ONE_DAY
    trusted = frozenset(facts.public_key_sha256 for facts in state.trusted)
    listed = [record.describe_issued(ledger, one, now, window, trusted) for one in ledger.issued.values()]
    listed.sort(key=lambda one: (one["host"], one["directory"], one["time"]))
    begin = ledger.begun.get(state.issuing.public_key_sha256)
    seen = record_store.read_seen(directory)
    hosts = sorted({one["host"] for one in listed} | set(seen))
    return {
        "changed": False,
        "directory": directory,
        "subject": state.issuing.subject,
        "not_after": timestamp(state.issuing.not_after),
        "days_left": state.issuing.days_left(now),
        "record": {
            "path": record_store.path_of(directory),
            "complete": begin is not None and begin.complete,
            "begun": "" if begin is None else timestamp(begin.time),
        },
        "certificates": listed,
        "expiring": [one for one in listed if one["state"] == record.EXPIRING],
        "revoked": [one for one in listed if one["state"] == record.REVOKED],
        "hosts": [
            {
                "host": host,
                "alive": sum(
                    one["host"] == host and one["state"] in (record.ALIVE, record.EXPIRING) for one in listed
                ),
                "last_seen": timestamp(seen[host]) if host in seen else "",
                "days_since_seen": (now - seen[host]) // ONE_DAY if host in seen else None,
            }
            for host in hosts
        ],
    }


def revoke(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Mark certificates as revoked; return the result of certificate_revocation.

    Raises:
        WormholeError: an option is invalid, the record is incomplete, or it could not be changed.
    """
    named = {name: params[name] for name in ("identity", "host", "authority", "reason")}
    spec = revocation.parse_revocation(params["directory"], **named)
    directory, material = load_material(params, "")
    spec = replace(spec, directory=directory)
    now = datetime.datetime.now(datetime.timezone.utc)

    def observe() -> revocation.RevocationState:
        return _state(material, record_store.read(directory))

    def apply(plan: Plan[record.Revoked]) -> None:
        with store.locked(directory):
            # Another process may have done the same meanwhile.
            left = revocation.plan_revocation(spec, observe(), now)
            record_store.append(directory, left.actions)

    def describe(state: revocation.RevocationState, plan: Plan[record.Revoked]) -> dict[str, Any]:
        # In check mode, as if the plan had been carried out.
        marked = replace(state, ledger=state.ledger.with_events(plan.actions))
        return revocation.describe(spec, marked, now)

    return execute(
        check_mode=check_mode,
        subject=directory,
        observe=observe,
        plan=lambda state: revocation.plan_revocation(spec, state, now),
        apply=apply,
        describe=describe,
    )


def _state(material: store.Material, ledger: record.Ledger) -> revocation.RevocationState:
    found = material.state
    retired = (decoding.read_certificate(anchor.pem.encode()) for anchor in material.trust.retired)
    return revocation.RevocationState(
        ledger,
        found.certificate,
        found.successor,
        found.former,
        tuple(facts.common_name for facts in retired),
    )
