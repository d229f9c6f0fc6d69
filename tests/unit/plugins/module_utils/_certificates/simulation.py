# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulates the plan of certificates."""

from __future__ import annotations

import datetime
from dataclasses import replace

from ansible_collections.wormhole.docker.plugins.module_utils._base.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import (
    CA_FILE,
    DIRECTORY,
    KeyFacts,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.model import (
    CertificateAction,
    CertificateState,
    HostState,
    InstallTrustBundle,
    IssueCertificate,
    RecordCertificate,
    RemoveCertificate,
    RemoveLeftovers,
    expected_entries,
    leaf_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import (
    ISSUING,
    Authority,
)


def simulate_certificates(
    state: HostState, plan: Plan[CertificateAction], authority: Authority, now: datetime.datetime
) -> HostState:
    """The state that a plan leads to."""
    result = dict(state)
    for action in plan.actions:
        name = action.spec.name
        result[name] = _simulate_one(action, result[name], authority, now)
    return result


def _simulate_one(
    action: CertificateAction, state: CertificateState, authority: Authority, now: datetime.datetime
) -> CertificateState:
    spec = action.spec
    if isinstance(action, IssueCertificate):
        if authority.certificate is None:
            return state
        certificate = leaf_certificate(spec, authority.certificate, now)
        return CertificateState(
            entries=expected_entries(spec),
            trust_bundle=action.bundle.anchors,
            certificate=certificate,
            key=KeyFacts(spec.key_type, certificate.public_key_sha256),
            issued_by=ISSUING,
            other_files=state.other_files,
        )
    if isinstance(action, RemoveCertificate):
        kept = {DIRECTORY: state.entries[DIRECTORY]} if state.other_files else {}
        return CertificateState(entries=kept, other_files=state.other_files)
    if isinstance(action, RemoveLeftovers):
        return replace(state, leftovers=())
    if isinstance(action, RecordCertificate):
        return replace(state, unrecorded=())
    name = CA_FILE if isinstance(action, InstallTrustBundle) else action.name
    entries = {**state.entries, name: expected_entries(spec)[name]}
    if isinstance(action, InstallTrustBundle):
        unrecorded = tuple(unknown for unknown in state.unrecorded if unknown != CA_FILE)
        return replace(state, entries=entries, trust_bundle=action.bundle.anchors, unrecorded=unrecorded)
    return replace(state, entries=entries)
