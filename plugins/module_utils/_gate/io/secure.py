# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS of the gate: certificates of the host, and what identifies a client.

The fingerprint of the client's certificate names the identity, by the files of the policies. The
chain is verified too. A session is never resumed: that would skip the verification.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from typing import Optional

from ..config import CA, CERTIFICATE, KEY
from ..identities import Peer

_SERIAL = "serialNumber"


def make_context(directory: str) -> Optional[ssl.SSLContext]:
    """The settings of the gate's TLS; None if there is no certificate.

    Args:
        directory: of the gate's copies (see certificate.py).

    Raises:
        OSError, ValueError: a file is missing, or none of what it should be.
    """
    authority, certificate, key = (os.path.join(directory, name) for name in (CA, CERTIFICATE, KEY))
    if not os.path.exists(certificate):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key, password=lambda: "")
    context.load_verify_locations(authority)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    if hasattr(ssl, "OP_NO_RENEGOTIATION"):
        context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    return context


def peer_of(sock: ssl.SSLSocket) -> Peer:
    """Who has the key of the certificate that the client has presented.

    Raises:
        ssl.SSLError: it has presented none.
    """
    content = sock.getpeercert(binary_form=True)
    described = sock.getpeercert()
    if not content or not described:
        raise ssl.SSLError("no certificate")
    return Peer(
        identity="",
        serial=str(described.get(_SERIAL, "")),
        fingerprint=hashlib.sha256(content).hexdigest(),
        expires=float(ssl.cert_time_to_seconds(str(described["notAfter"]))),
    )
