# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the server's certificate and the gate, and let dockerd check its configuration."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from typing import Iterator

from ..._base.errors import Refused, VerificationFailed, WormholeError
from ..._base.io import files, systemd
from ..._base.io.commands import run
from ..._base.io.opening import opened_path, read_regular
from ..._certificates.io.decoding import read_certificate
from ..._engine.command import EngineCommand
from ..._engine.options import without_options
from ..._gate import config as gate_config
from ..._gate import units as gate_units

_VALIDATION_TIMEOUT = 60.0
"""Seconds; dockerd only reads the file."""
_UNKNOWN_OPTION = "unknown flag: --validate"
_REJECTED = "unable to configure the Docker daemon with file"
_NOBODY = 65534
_INSTALL_GATE = "Run the role wormhole.docker.gate for this host first"


def check_material(directory: str, addresses: list[str]) -> None:
    """Raises Refused if a server could not serve these addresses with the files in a directory."""
    for name in ("ca.pem", "cert.pem", "key.pem"):
        path = f"{directory}/{name}"
        if not os.path.isfile(path):
            raise _unsuitable(path, f"The server certificate is incomplete: {path} does not exist")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        with contextlib.ExitStack() as opened:
            paths = (f"{directory}/{name}" for name in ("ca.pem", "cert.pem", "key.pem"))
            authority, *pair = [opened.enter_context(opened_path(path)) for path in paths]
            context.load_verify_locations(authority)
            context.load_cert_chain(*pair)
    except (ssl.SSLError, OSError, WormholeError) as error:
        raise _unsuitable(
            directory, f"The server certificate in {directory} is not usable ({error})"
        ) from error
    try:
        names = read_certificate(read_regular(f"{directory}/cert.pem")).subject_alternative_names
    except VerificationFailed as error:
        error.put_in(f"{directory}/cert.pem")
        raise
    missing = [address for address in addresses if f"IP:{address}" not in {str(name) for name in names}]
    if missing:
        expected, path = ", ".join(f"IP:{address}" for address in missing), f"{directory}/cert.pem"
        raise _unsuitable(path, f"The server certificate {path} does not name {expected}")


def check_gate(directory: str) -> None:
    """Raises Refused unless the gate is installed and serves the certificate in a directory."""
    if systemd.show(gate_units.SERVICE, ["LoadState"]).get("LoadState") != "loaded":
        problem = "served_by is gate, but the gate is not installed on this host"
        raise Refused(gate_units.SERVICE, problem=problem, remedy=_INSTALL_GATE)
    found = files.read_file(gate_config.PATH)
    served = "" if found is None else gate_config.parse_config(found.content).tls or ""
    if served != directory:
        says = f"the certificate in {served}" if served else "no TLS"
        problem = f"served_by is gate, but {gate_config.PATH} makes the gate serve {says}, and not that in {directory}"
        raise Refused(gate_config.PATH, problem=problem, remedy=_INSTALL_GATE)


def _unsuitable(subject: str, problem: str) -> Refused:
    remedy = "Issue it with the module wormhole.docker.tls_certificates or the role wormhole.docker.listener"
    return Refused(subject, problem=problem, remedy=remedy)


def validate_config(text: str, command: EngineCommand) -> None:
    """Raises Refused if dockerd would not start with a configuration, as dockerd itself says.

    It is asked with the options of its command line, because no option may set a key of the file.

    Docker 23 and later have an option for this. An older dockerd checks its configuration first,
    and then exits if it is not root, before it creates any file (moby 20.10, cmd/dockerd/daemon.go,
    start).
    """
    with _temporary_file(text) as path, contextlib.suppress(FileNotFoundError):
        program, *arguments = command.words if command.starts_dockerd else ("dockerd",)
        own = without_options([program, *arguments], [program, *arguments], "config-file")
        own = without_options(own, own, "host")
        answer = run([*own, "--validate", "--config-file", path], _VALIDATION_TIMEOUT)
        said, accepted = answer.stderr.strip(), answer.returncode == 0
        if _UNKNOWN_OPTION in said:
            answer = run([*own, "--config-file", path], _VALIDATION_TIMEOUT, user=_NOBODY)
            said = answer.stderr.strip()
            # Any other failure, such as a program that user nobody may not run, is not about the
            # configuration.
            accepted = _REJECTED not in said
        if not accepted:
            file = command.config_file
            problem = f"dockerd rejects its configuration: {said.replace(path, file)}"
            remedy = f"Repair {file}: dockerd would not start again with it"
            raise Refused(file, problem=problem, remedy=remedy)


@contextlib.contextmanager
def _temporary_file(text: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as stream:
        # Readable by root, and by user nobody in the group of root: it may hold the password of a
        # proxy.
        os.fchmod(stream.fileno(), 0o640)
        stream.write(text)
        stream.flush()
        yield stream.name
