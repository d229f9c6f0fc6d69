# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The public part of an authority as JSON."""

from __future__ import annotations

import datetime
from typing import Any, Mapping

from .._base.errors import InvalidInput
from .._certificates.io import decoding
from .._certificates.trust import PARTS, Authority, Trust


def pack_authority(authority: Authority, host: str = "") -> dict[str, str]:
    """The public part of an authority as JSON. It does not hold the key.

    Args:
        host: name of the task's host in the inventory; empty if several hosts read it.
    """
    trust = authority.trust
    parts = {name: getattr(trust, name) for name in PARTS}
    return {
        **{name: "".join(anchor.pem for anchor in anchors) for name, anchors in parts.items()},
        "obstacle": authority.obstacle,
        "clock": "" if authority.clock is None else authority.clock.isoformat(),
        "names_hosts": "true" if authority.names_hosts else "",
        "host": host,
    }


def unpack_authority(packed: Mapping[str, Any], *, replaces: bool = False) -> Authority:
    """Parse the output of :func:`pack_authority`.

    Args:
        replaces: whether the task replaces another authority that still works.

    Raises:
        InvalidInput: it has unknown keys.
        VerificationFailed: a certificate in it is invalid.
    """
    unknown = ", ".join(sorted(set(packed) - {*PARTS, "obstacle", "clock", "names_hosts", "host"}))
    if unknown:
        expected = "the return value of wormhole.docker.certificate_signature"
        raise InvalidInput("authority", expected=expected, found=unknown)
    anchors = {
        name: decoding.read_bundle(packed[name].encode()) if packed.get(name) else () for name in PARTS
    }
    chain = [decoding.read_certificate(anchor.pem.encode()) for anchor in anchors["issuing"]]
    clock = packed.get("clock") or ""
    return Authority(
        trust=Trust(**anchors),
        certificate=chain[0] if chain else None,
        chain=tuple(chain[1:]),
        obstacle=packed.get("obstacle") or "",
        clock=datetime.datetime.fromisoformat(clock) if clock else None,
        replaces=replaces,
        names_hosts=bool(packed.get("names_hosts")),
        host=packed.get("host") or "",
    )
