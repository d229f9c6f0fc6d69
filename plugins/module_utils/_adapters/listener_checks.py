# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the listener depends on and does not manage: its certificate, dockerd's own judgement, other listeners."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from typing import Iterator

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.commands import run
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.x509 import read_certificate
from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused

_VALIDATION_TIMEOUT = 60.0
"""Seconds; dockerd only reads the file."""
_UNKNOWN_OPTION = "unknown flag: --validate"
_REJECTED = "unable to configure the Docker daemon with file"
_NOBODY = 65534


def check_material(directory: str, addresses: list[str]) -> None:
    """Makes sure that a server could serve these addresses with what is in its directory.

    Raises:
        Refused: a file is missing, the key does not belong to the certificate, or an address is not named.
    """
    remedy = "Issue it by the module wormhole.docker.tls_certificates or the role wormhole.docker.listener"
    for name in ("ca.pem", "cert.pem", "key.pem"):
        if not os.path.isfile(f"{directory}/{name}"):
            raise Refused(
                f"{directory}/{name}", expected="the server's material", found="no file", remedy=remedy
            )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(f"{directory}/ca.pem")
        context.load_cert_chain(f"{directory}/cert.pem", f"{directory}/key.pem")
    except (ssl.SSLError, OSError) as error:
        raise Refused(
            directory, expected="a CA, and a certificate with its key", found=str(error), remedy=remedy
        ) from error
    with open(f"{directory}/cert.pem", "rb") as stream:
        names = read_certificate(stream.read()).subject_alternative_names
    missing = [address for address in addresses if f"IP:{address}" not in {str(name) for name in names}]
    if missing:
        raise Refused(
            f"{directory}/cert.pem",
            expected="a certificate that names " + ", ".join(f"IP:{address}" for address in missing),
            found=", ".join(map(str, names)) or "no subject alternative name",
            remedy=remedy,
        )


def validate_config(text: str) -> None:
    """Lets dockerd judge a configuration before it is installed, or before a restart depends on it.

    Docker 23 and later have an option for that. An older one reads and judges its configuration first, and ends then
    if it is not root, before it makes any file (moby 20.10, cmd/dockerd/daemon.go, start).

    Raises:
        Refused: dockerd would not start with it.
    """
    with _temporary_file(text) as path, contextlib.suppress(FileNotFoundError):
        answer = run(["dockerd", "--validate", "--config-file", path], _VALIDATION_TIMEOUT)
        said, accepted = answer.stderr.strip(), answer.returncode == 0
        if _UNKNOWN_OPTION in said:
            answer = run(["dockerd", "--config-file", path], _VALIDATION_TIMEOUT, user=_NOBODY)
            said = answer.stderr.strip()
            # What is about something else, such as a program that nobody may run, is no judgement.
            accepted = _REJECTED not in said
        if not accepted:
            raise Refused(
                daemon_json.PATH,
                expected="a configuration that dockerd accepts",
                found=said.replace(path, daemon_json.PATH),
                remedy="Mend the file: dockerd runs only because it has not been started with it yet",
            )


def engine_command_line(pid: int) -> str:
    """The running dockerd's command line: what its unit, its drop-ins and its environment made of it."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as stream:
        return stream.read().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


@contextlib.contextmanager
def _temporary_file(text: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as stream:
        # For root, and for nobody in the group of root: it may hold the password of a proxy.
        os.fchmod(stream.fileno(), 0o640)
        stream.write(text)
        stream.flush()
        yield stream.name
