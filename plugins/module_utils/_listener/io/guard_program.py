# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard: checks, before each start of dockerd, that its TCP sockets will speak mutual TLS.

The Ansible module wormhole.docker.dockerd_listener installs this file on the host and undoes
changes made to it. It needs only the standard library. A drop-in of docker.service runs it
(ExecStartPre=) and stops the listener's sockets unless it succeeds.

It also completes a replacement of the server's key and certificate that a power cut has interrupted.

dockerd serves plaintext on the sockets that systemd passes to it unless its configuration file
demands TLS. That file belongs to the administrator, and other tools write it.

Arguments: the file to write the reason to, or ``-`` for none; then the files of CA, certificate and
key that the configuration must name. Standard input: the property ExecStart of docker.service, as
``systemctl show`` prints it. Exit status 0 means that the sockets will be safe. Few imports keep it
fast.

Sources: dockerd(8); systemd.service(5), "COMMAND LINES"; moby, daemon/config/config.go.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Mapping

DEFAULT_CONFIG = "/etc/docker/daemon.json"
FILES = ("tlscacert", "tlscert", "tlskey")
LARGEST = 16 << 20
REMEDY = "Run the playbook wormhole.docker.provision."


def find_problem(command: str, environment: Mapping[str, str], paths: tuple[str, ...]) -> str:
    """Why dockerd would not demand client certificates of our CA; empty if it would.

    Args:
        command: dockerd's command line, as systemd shows it.
        environment: the variables that systemd replaces in it.
        paths: the files that the keys FILES must name.
    """
    words = expand(command, environment).split()
    options = [word for word in words if word.startswith("--tls")]
    if options:
        return f"dockerd's command line has TLS options: {' '.join(options)}"
    path = config_path(words)
    if not os.path.isfile(path):
        return f"{path} does not exist"
    try:
        config = parse_config(read_config(path))
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {error}"
    if config.get("tlsverify") is not True:
        return f"{path} does not set tlsverify to true"
    for key, expected in zip(FILES, paths):
        if config.get(key) != expected:
            return f"{path} does not set {key} to {expected}"
        if not os.path.isfile(expected):
            return f"{expected}, which {path} names, does not exist, and dockerd will not start without it"
    return ""


def read_config(path: str) -> bytes:
    """The content of a file, which others may have replaced by a pipe or an endless one.

    Raises:
        ValueError: it is not a regular file, or too large.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")
    return content


def complete(certificate: str, key: str) -> None:
    """Completes a replacement of key and certificate that a power cut has interrupted in between.

    dockerd does not start with a key that is not the certificate's. The staged certificate is
    renamed if it belongs to the key.
    """
    directory, name = os.path.split(certificate)
    staged = os.path.join(directory, f".{name}.staged.new")
    if not os.path.isfile(staged):
        return
    import ssl  # pylint: disable=import-outside-toplevel

    try:
        # An encrypted key would be asked for at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(staged, key, password=lambda: "")
        os.replace(staged, certificate)
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        sys.stdout.write(f"{staged} is not used: {error}\n")
        return
    sys.stdout.write(f"wormhole.docker completes an interrupted replacement of {certificate}\n")


def expand(command: str, environment: Mapping[str, str]) -> str:
    """A command line with its variables replaced, like systemd; unset ones are empty."""
    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda found: environment.get(found[1] or found[2], ""), command)


def config_path(words: list[str]) -> str:
    """The configuration file that a command line names."""
    path = DEFAULT_CONFIG
    for word, following in zip(words, [*words[1:], ""]):
        name, separator, value = word.strip("\"'").partition("=")
        if name == "--config-file":
            path = (value if separator else following).strip("\"'")
    return os.path.join("/", path)


def parse_config(content: bytes) -> Mapping[str, object]:
    """The keys of a configuration file.

    Raises:
        ValueError: it is no JSON object, or not every parser reads the same from it.
    """
    text = content.decode()
    config = json.loads(text, object_pairs_hook=_unambiguous) if text.strip() else {}
    if not isinstance(config, dict):
        raise ValueError("it is not a JSON object")
    return config


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose keys differ in more than case, which Go ignores."""
    names = [name.lower() for name, _value in pairs if name.lower() in ("tls", "tlsverify", *FILES)]
    if len(set(names)) != len(names):
        raise ValueError("it has the same TLS key twice")
    return dict(pairs)


def parse_command(shown: str) -> str:
    """The command line in a property ExecStart, whose words are not quoted.

    Raises:
        ValueError: there is not exactly one.
    """
    found = re.findall(r"argv\[\]=(.*) ; ignore_errors=(?:yes|no) ; start_time=", shown)
    if len(found) != 1:
        raise ValueError(f"docker.service has {len(found)} commands")
    return str(found[0])


def record(path: str, problem: str) -> None:
    """Writes why the listener is closed, or removes the file."""
    try:
        if problem:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(problem + "\n")
        elif os.path.lexists(path):
            os.unlink(path)
    except OSError as error:
        sys.stdout.write(f"{path}: {error}\n")


def main(arguments: list[str]) -> int:
    """Checks the configuration; returns the exit status."""
    try:
        if arguments[0] != "-":
            complete(*arguments[2:4])
        problem = find_problem(parse_command(sys.stdin.read()), os.environ, tuple(arguments[1:]))
    except Exception as error:  # pylint: disable=broad-except
        problem = f"dockerd's configuration cannot be checked: {type(error).__name__}: {error}"
    if arguments[0] != "-":
        record(arguments[0], problem)
    if not problem:
        return 0
    closed = "" if arguments[0] == "-" else "wormhole.docker closes its TCP sockets before dockerd starts: "
    sys.stdout.write(f"{closed}{problem}. {REMEDY}\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
