# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a TLS handshake in memory: handshake.py SERVER CLIENT ADDRESS.

SERVER and CLIENT are directories with Docker's file names (or "none"). Prints "accepted: " and the
client's common name, or why one side rejected the other.
"""

from __future__ import annotations

import ssl
import sys


def contexts(server, client):
    """What both sides require. All Python versions except the newest are not strict by default."""
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.verify_mode = ssl.CERT_REQUIRED
    listening.load_verify_locations("server/ca.pem")
    listening.load_cert_chain(f"{server}/cert.pem", f"{server}/key.pem")
    calling = ssl.create_default_context(cafile="client/ca.pem")
    if client != "none":
        calling.load_cert_chain(f"{client}/cert.pem", f"{client}/key.pem")
    for context in (listening, calling):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return listening, calling


def shake_hands(server, client, address):
    """Return the certificate that the server receives."""
    listening, calling = contexts(server, client)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = listening.wrap_bio(to_server, to_client, server_side=True)
    waiting = [calling.wrap_bio(to_client, to_server, server_hostname=address), server_side]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    return server_side.getpeercert()


def main():
    try:
        subject = shake_hands(*sys.argv[1:])["subject"]
    except ssl.SSLError as error:
        # OpenSSL's reasons differ in case and punctuation between releases.
        print(
            f"refused: {error}".replace("_", " ")
            .replace("PEER DID NOT RETURN", "peer did not return")
            .replace("A CERTIFICATE", "a certificate")
        )
    else:
        print(f"accepted: {dict(pair for names in subject for pair in names)['commonName']}")


if __name__ == "__main__":
    main()
