# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard: keeps dockerd from serving plaintext on the listener's TCP sockets.

dockerd speaks TLS on them because of keys in daemon.json, which others write too. A drop-in of
docker.service therefore runs a program before each start of dockerd (io/guard_program.py) and stops
the TCP sockets unless the program succeeds, also if it is missing. The engine then starts without
them. It does not start only if the sockets cannot be stopped.

systemd collects the sockets of a service after ExecStartPre=, and a stop of a socket does not wait
for the service that is starting (measured with systemd 252, 257 and 262). While the service is
starting, systemd starts no socket of it. The next start of docker.service starts the sockets again.

Sources: systemd.service(5), "ExecStartPre=" and "COMMAND LINES"; systemctl(1), "PATTERN".
"""

from __future__ import annotations

from .._base import systemd_units, systemd_words
from .._engine.command import EngineCommand
from .spec import ENGINE_UNIT, ListenerSpec, tls_keys

PROGRAM = "/var/lib/wormhole/guard"
REASON = systemd_units.CLOSED_REASON
INTERPRETER = "/usr/bin/python3"
DROP_INS = systemd_units.guard_path(ENGINE_UNIT, ()).replace("/zz-", "/z*-")
"""A pattern of the paths that the drop-in can have."""

_SYSTEMCTL = "/usr/bin/systemctl"
_SOCKETS = ("wormhole-docker-[0-9a-fA-F:]*:*.socket", "wormhole-docker[.]socket")
"""Patterns of the names for which units.is_tls_unit() holds."""
_FILES = ("tlscacert", "tlscert", "tlskey")


def drop_in(spec: ListenerSpec, command: EngineCommand) -> tuple[str, str]:
    """Path and content of the guard's drop-in; both empty unless dockerd serves TLS."""
    if not spec.engine_tls:
        return "", ""
    return systemd_units.guard_path(ENGINE_UNIT, command.drop_ins), render_drop_in(spec)


def arguments(spec: ListenerSpec) -> tuple[str, ...]:
    """The files that daemon.json must name, for the program."""
    keys = tls_keys(spec)
    return tuple(str(keys[name]) for name in _FILES)


def render_drop_in(spec: ListenerSpec) -> str:
    """Renders the drop-in."""
    sockets = " ".join(f'"{pattern}"' for pattern in _SOCKETS)
    script = (
        f"{_SYSTEMCTL} show --property=ExecStart --value {ENGINE_UNIT} | {INTERPRETER} -IS $$@ "
        f"|| exec /usr/bin/timeout 60 {_SYSTEMCTL} stop {sockets}"
    ).replace("$$@", '"$$@"')
    words = " ".join(map(systemd_words.escape, (PROGRAM, REASON, *arguments(spec))))
    return (
        f"{systemd_units.MANAGED}"
        "# Closes the TCP sockets of wormhole.docker unless dockerd is going to demand client certificates.\n"
        "[Service]\n"
        f"ExecStartPre=/bin/sh -c '{script}' guard {words}\n"
    )
