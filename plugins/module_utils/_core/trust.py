# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom servers and clients trust: what belongs into ``ca.pem``, while one authority takes over from another as well.

A rotation has three stages. First a *successor* is trusted everywhere and issues nothing; then it issues, and its
*former* is trusted still; then the former is *retired*. A bundle that is there only grows, until the rotation's last
stage takes the former out of it, so that a host that missed a stage never has a client that distrusts its server.

A server trusts the issuing certificate alone, not the chain above it: whatever else a corporate root has issued must not
open an engine. Clients get the chain, since OpenSSL looks for its end (verify(1), -partial_chain).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import SERVER

ISSUING, SUCCESSOR, FORMER, RETIRED = "issuing", "successor", "former", "retired"
"""The parts that an authority can play in the life of a fleet."""


@dataclass(frozen=True)
class Anchor:
    """A certificate that is trusted.

    Attributes:
        fingerprint_sha256: of its DER form, in hexadecimal digits.
        pem: its PEM form, with a line feed at the end.
    """

    fingerprint_sha256: str
    pem: str


@dataclass(frozen=True)
class Bundle:
    """What ``ca.pem`` is to hold.

    Attributes:
        anchors: in order.
        only_grows: whether it loses none that it holds now. A server need not read it again until one of the new ones
            has issued something, which comes with a new certificate for the server itself.
    """

    anchors: tuple[Anchor, ...] = ()
    only_grows: bool = False

    @property
    def text(self) -> str:
        """The content of the file."""
        return "".join(anchor.pem for anchor in self.anchors)


@dataclass(frozen=True)
class Trust:
    """The authorities that a controller knows, each as its certificate and the chain above it.

    Attributes:
        issuing: who issues at present; empty if there is no authority yet.
        successor: who is going to.
        former: who did before, and is trusted still.
        retired: who did before that, and is trusted no more. Their chains are not kept apart.
    """

    issuing: tuple[Anchor, ...] = ()
    successor: tuple[Anchor, ...] = ()
    former: tuple[Anchor, ...] = ()
    retired: tuple[Anchor, ...] = ()

    def required(self, profile: str) -> tuple[Anchor, ...]:
        """What a bundle must hold."""
        return _distinct([*_of(profile, self.issuing), *_of(profile, self.successor)])

    def is_current(self, profile: str, present: Optional[Iterable[Anchor]]) -> bool:
        """Whether a bundle holds what it must, and nothing but what it may hold besides."""
        found = set(present or ())
        required = set(self.required(profile))
        return required <= found <= required | set(self._tolerated())

    def is_exact(self, profile: str, present: Optional[Iterable[Anchor]]) -> bool:
        """Whether a bundle holds what it must, and nothing else."""
        return set(self.required(profile)) == set(present or ())

    def renewed(self, profile: str, present: Optional[Iterable[Anchor]]) -> Bundle:
        """What to write in the place of a bundle: it keeps former authorities, and loses foreign ones.

        A bundle that is new, or that holds none of ours, gets the former one, too: its servers may not know better yet.
        """
        found = set(present or ())
        required = self.required(profile)
        kept = [anchor for anchor in self._tolerated() if anchor in found]
        if not kept and not found & set(required):
            kept = list(_of(profile, self.former))
        anchors = _distinct([*required, *kept])
        return Bundle(anchors, only_grows=bool(found) and found < set(anchors))

    def exact(self, profile: str) -> Bundle:
        """What to write once nothing is left of former authorities."""
        return Bundle(self.required(profile))

    def knows(self, present: Optional[Iterable[Anchor]]) -> bool:
        """Whether any of these authorities is, or was, ours."""
        ours = {*self.issuing, *self.successor, *self._tolerated()}
        return not ours.isdisjoint(present or ())

    def _tolerated(self) -> tuple[Anchor, ...]:
        return (*self.former, *self.retired)


def _of(profile: str, authority: tuple[Anchor, ...]) -> tuple[Anchor, ...]:
    return authority[:1] if profile == SERVER else authority


def _distinct(anchors: Iterable[Anchor]) -> tuple[Anchor, ...]:
    return tuple(dict.fromkeys(anchors))
