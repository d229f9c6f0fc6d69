# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker SDK for Python, with the strict checks that Python 3.13's default context has
(VERIFY_X509_STRICT).

urllib3 creates such contexts since 2.4. Debian 13's is older, so it gets one.
"""

from __future__ import annotations

import ssl
import sys

import docker
from docker.tls import TLSConfig
from requests.adapters import HTTPAdapter


class StrictAdapter(HTTPAdapter):
    """Verifies like ``ssl.create_default_context`` of this Python."""

    def init_poolmanager(self, *args, **kwargs):
        context = ssl.create_default_context()
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname
        super().init_poolmanager(*args, ssl_context=context, **kwargs)


def main() -> None:
    _address, endpoint, certificates = sys.argv[1:]
    tls = TLSConfig(
        client_cert=(f"{certificates}/cert.pem", f"{certificates}/key.pem"),
        ca_cert=f"{certificates}/ca.pem",
        verify=True,
    )
    client = docker.APIClient(base_url=f"tcp://{endpoint}", tls=tls, version="1.41", timeout=20)
    client.mount("https://", StrictAdapter())
    try:
        print(client._result(client.get(f"{client.base_url}/version")))
    except Exception as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
