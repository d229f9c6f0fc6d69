# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Distinguish what a task may replace from files of others, and from an authority that works.

The record of the host says which files this collection has created. Without a record, only the
authority of the task tells: its certificates are adopted, other files stay.

An authority that still works is never replaced by accident. Another controller would otherwise cut
off every client of the engine.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Optional

from .._base.errors import Refused
from .._base.plan import Reason
from .deviations import make_reason
from .facts import FILES
from .model import CertificateState
from .spec import CertificateSpec
from .trust import Anchor, Authority

_BRING = (
    "Use the authority of this host: copy its directory to where certificates are signed, or set certificate_authority_directory, "
    "certificate_authority_host or certificate_authority_scope"
)
REPLACED = "authority_replaced"
"""Code of the reason that another authority, which still works, is replaced."""


@dataclass(frozen=True)
class Accepted:
    """The authorities whose clients an engine accepts.

    Attributes:
        path: its trust bundle.
        anchors: content of the bundle.
    """

    path: str
    anchors: tuple[Anchor, ...]

    def have_expired(self, now: datetime.datetime) -> bool:
        """Whether the engine accepts no client any more, so that the next provision replaces them."""
        return all(anchor.not_after is not None and now > anchor.not_after for anchor in self.anchors)


def check_managed(spec: CertificateSpec, state: CertificateState, authority: Authority) -> None:
    """Check that the files in a certificate's directory may be replaced or removed.

    Raises:
        Refused: this collection has not created them.
    """
    present = [name for name in FILES if name in state.entries]
    if not present or state.recorded or _is_adoptable(spec, state, authority):
        return
    certificate = state.certificate
    whose = f" ({certificate.subject}, issued by {certificate.issuer})" if certificate else ""
    raise Refused(
        spec.directory,
        problem=f"{spec.directory} holds {', '.join(present)}, which this collection did not create{whose}",
        remedy=f"Nothing was changed. Set another directory for certificate {spec.name!r}, "
        "or move these files away if nothing uses them",
    )


def find_replaced(
    spec: CertificateSpec, state: CertificateState, authority: Authority, now: datetime.datetime
) -> Optional[Reason]:
    """The reason for the result if another authority, which still works, is replaced.

    Raises:
        Refused: the task does not say that it replaces this authority.
    """
    other = _working_authority(state, authority, now)
    if not other:
        return None
    if authority.replaces:
        text = f"{spec.directory} has valid certificates of {other}, which ca_replace replaces"
        return make_reason(spec, REPLACED, text)
    ours = authority.trust.issuing[:1]
    own = _describe(ours[0]) if ours else "which does not exist yet"
    raise Refused(
        spec.directory,
        problem=f"{spec.directory} has valid certificates of {other}, but this task uses another authority, {own}",
        remedy=f"Nothing was changed. {_BRING}. To change the authority without interruption, run the playbook wormhole.docker.rotate with the "
        "present one. To replace it at once, although its clients cannot connect until they have new certificates, set "
        "certificate_authority_replace: true (option ca_replace)",
    )


def check_accepted(name: str, accepted: Optional[Accepted], authority: Authority) -> None:
    """Check that an engine accepts a client certificate, before it is issued.

    Args:
        name: name of the certificate.
        accepted: None if it is unknown whom the engine accepts.

    Raises:
        Refused: the engine does not trust the issuing authority.
    """
    issuing = authority.trust.issuing[:1]
    if accepted is None or not issuing or any(map(issuing[0].is_same_authority, accepted.anchors)):
        return
    others = ", ".join(_describe(anchor) for anchor in accepted.anchors)
    raise Refused(
        f"certificate {name!r}",
        problem=f"certificate {name!r} would be issued by {_describe(issuing[0])}, but the engine of this host accepts only "
        f"clients of {others} ({accepted.path})",
        remedy=f"Nothing was changed. {_BRING}. If the authority is being rotated, run the playbook wormhole.docker.rotate for this "
        "host. If the engine is to change to the new authority at once, run the playbook wormhole.docker.provision first",
    )


def replacement_warnings(reasons: tuple[Reason, ...]) -> list[str]:
    """Warnings about authorities that a plan replaces."""
    return [
        f"{reason.text}. Clients with its certificates cannot connect until they have new ones"
        for reason in reasons
        if reason.code.endswith(REPLACED)
    ]


def _is_adoptable(spec: CertificateSpec, state: CertificateState, authority: Authority) -> bool:
    """Whether unrecorded files are of the requested certificate, by its authority and its name."""
    certificate = state.certificate
    if certificate is None:
        return authority.trust.knows(state.trust_bundle)
    # Without a record, another name may be the one that an earlier run requested.
    same = certificate.common_name == spec.common_name or state.recorded is None
    return bool(state.issued_by) and same


def _working_authority(state: CertificateState, authority: Authority, now: datetime.datetime) -> str:
    """Another authority by whose certificates clients connect; empty without one."""
    unknown = authority.trust.unknown(state.trust_bundle)
    living = [anchor for anchor in unknown if anchor.not_after is None or now <= anchor.not_after]
    certificate = state.certificate
    issued = certificate is not None and not state.issued_by and now <= certificate.not_after
    if issued and certificate is not None and (living or not unknown):
        named = [anchor for anchor in living if anchor.subject == certificate.issuer]
        return _describe(named[0]) if named else certificate.issuer
    if living and not authority.trust.knows(state.trust_bundle):
        return _describe(living[0])
    return ""


def _describe(anchor: Anchor) -> str:
    """Name and fingerprint, because two authorities may have the same name."""
    return f"{anchor.subject} (SHA-256 {anchor.fingerprint_sha256[:16]}…)"
