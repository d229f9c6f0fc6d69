# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The authorities that servers and clients trust in ``ca.pem``, also during a rotation.

A rotation has three stages. First, a *successor* is trusted everywhere, but does not issue
certificates. Then it issues, and the previous authority, the *former* one, is still trusted. Then
the former one is *retired*, that is, no longer trusted. A bundle only grows before the last stage,
so that a host that missed a stage still has clients that trust their server.

A server trusts only the issuing certificate, not its chain, because nothing else that a corporate
root has issued may access an engine. Clients get the chain, because OpenSSL requires the root
(verify(1), -partial_chain).
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from typing import Final, Iterable, Literal, Optional, get_args

from .facts import SERVER, CertificateFacts, Profile

Part = Literal["issuing", "successor", "former", "retired"]
"""The parts of an authority in a rotation; also the fields of :class:`Trust`."""

ISSUING: Final = "issuing"
SUCCESSOR: Final = "successor"
FORMER: Final = "former"
RETIRED: Final = "retired"
PARTS: tuple[Part, ...] = get_args(Part)

IssuedBy = Literal[Part, ""]
"""The part of the authority that issued a certificate; empty if it is none of these."""


@dataclass(frozen=True)
class Anchor:
    """A certificate that is trusted.

    Attributes:
        fingerprint_sha256: of its DER form, in hexadecimal digits.
        pem: its PEM form, with a line feed at the end.
        subject: distinguished name of its authority.
        public_key_sha256: digest of the authority's key.
        not_after: end of its validity; None if unknown.
    """

    fingerprint_sha256: str
    pem: str
    subject: str = field(default="", compare=False)
    public_key_sha256: str = field(default="", compare=False)
    not_after: Optional[datetime.datetime] = field(default=None, compare=False)

    def is_same_authority(self, other: Anchor) -> bool:
        """Whether both are certificates of one authority: a renewed one has the name and the key."""
        named = bool(self.public_key_sha256) and self.subject == other.subject
        return self == other or (named and self.public_key_sha256 == other.public_key_sha256)


@dataclass(frozen=True)
class Bundle:
    """The requested content of ``ca.pem``.

    Attributes:
        anchors: certificates in order.
        only_grows: whether all present certificates stay. A server then need not be restarted: it
            gets a new certificate, and is restarted for it, before a new authority issues client
            certificates.
    """

    anchors: tuple[Anchor, ...] = ()
    only_grows: bool = False

    @property
    def text(self) -> str:
        """The content of the file."""
        return "".join(anchor.pem for anchor in self.anchors)


@dataclass(frozen=True)
class Trust:
    """The authorities of a rotation, each as its certificate and the chain above it.

    Attributes:
        issuing: issues now; empty if there is no authority yet.
        successor: will issue.
        former: issued before, and is still trusted.
        retired: all that issued before, and are no longer trusted, with their chains.
    """

    issuing: tuple[Anchor, ...] = ()
    successor: tuple[Anchor, ...] = ()
    former: tuple[Anchor, ...] = ()
    retired: tuple[Anchor, ...] = ()

    def required(self, profile: Profile) -> tuple[Anchor, ...]:
        """The certificates that a bundle must hold."""
        return _distinct([*_of(profile, self.issuing), *_of(profile, self.successor)])

    def is_current(self, profile: Profile, present: Optional[Iterable[Anchor]]) -> bool:
        """Whether a bundle holds what is required, and otherwise only former or retired ones."""
        found = set(present or ())
        required = set(self.required(profile))
        return required <= found <= required | set(self._tolerated())

    def is_exact(self, profile: Profile, present: Optional[Iterable[Anchor]]) -> bool:
        """Whether a bundle holds the required certificates and no others."""
        return set(self.required(profile)) == set(present or ())

    def renewed(self, profile: Profile, present: Optional[Iterable[Anchor]]) -> Bundle:
        """The bundle to write: former and retired authorities are kept, unknown ones are dropped.

        A bundle that holds none of these authorities also gets the former one, because servers may
        still use it.
        """
        found = set(present or ())
        required = self.required(profile)
        kept = [anchor for anchor in self._tolerated() if anchor in found]
        if not kept and not found & set(required):
            kept = list(_of(profile, self.former))
        anchors = _distinct([*required, *kept])
        return Bundle(anchors, only_grows=bool(found) and found < set(anchors))

    def exact(self, profile: Profile) -> Bundle:
        """The bundle without former and retired authorities."""
        return Bundle(self.required(profile))

    def replacing(self, previous: Trust) -> Trust:
        """This trust, as that of an authority which replaces another one.

        While certificates of the previous authority are in use, they are known and may be reissued.
        """
        others = [
            a for part in PARTS for a in getattr(previous, part) if a not in (*self.issuing, *self.successor)
        ]
        former = self.former or tuple(anchor for anchor in previous.issuing if anchor in others)
        retired = _distinct([*self.retired, *(anchor for anchor in others if anchor not in former)])
        return replace(self, former=former, retired=retired)

    def knows(self, present: Optional[Iterable[Anchor]]) -> bool:
        """Whether a bundle holds any of these authorities."""
        found = tuple(present or ())
        return len(self.unknown(found)) < len(found)

    def unknown(self, present: Optional[Iterable[Anchor]]) -> tuple[Anchor, ...]:
        """The certificates in a bundle that are of none of these authorities."""
        ours = (*self.issuing, *self.successor, *self._tolerated())
        return tuple(a for a in present or () if not any(map(a.is_same_authority, ours)))

    def _tolerated(self) -> tuple[Anchor, ...]:
        return (*self.former, *self.retired)


@dataclass(frozen=True)
class Authority:
    """The public part of an authority, as the host knows it.

    Attributes:
        trust: certificates to trust: of the issuing authority, and of others in a rotation.
        certificate: certificate of the issuing authority; None if it does not exist yet.
        chain: certificates above it.
        obstacle: why it cannot sign; empty if it can.
        clock: the time where it signs; None if unknown.
        replaces: whether the task replaces another authority that still works.
        names_hosts: whether its certificates name the host of the inventory, because hosts share it.
        host: name of the task's host in the inventory; empty if unknown.
    """

    trust: Trust = Trust()
    certificate: Optional[CertificateFacts] = None
    chain: tuple[CertificateFacts, ...] = ()
    obstacle: str = ""
    clock: Optional[datetime.datetime] = None
    replaces: bool = False
    names_hosts: bool = False
    host: str = ""

    @property
    def named_host(self) -> str:
        """The host that its certificates name, see :mod:`_certificates.host_uri`; empty for none."""
        return self.host if self.names_hosts else ""


def _of(profile: Profile, authority: tuple[Anchor, ...]) -> tuple[Anchor, ...]:
    return authority[:1] if profile == SERVER else authority


def _distinct(anchors: Iterable[Anchor]) -> tuple[Anchor, ...]:
    return tuple(dict.fromkeys(anchors))
