# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps a removal from opening a listener in plaintext that is closed or served by TLS now.

The original configuration of an adopted host can have TCP listeners without TLS. Those in
daemon.json are left out when it is restored. Those on dockerd's command line are in a file that
this collection does not write, so that the removal is rejected.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from .._base.address import split_url
from .._base.errors import Refused
from .._engine import daemon_json, options
from .model import ListenerState
from .spec import ENGINE_UNIT


def tcp_hosts(hosts: Iterable[Any]) -> tuple[str, ...]:
    """Of values of ``hosts`` or ``-H``, those by which dockerd listens on TCP."""
    texts = map(str, hosts)
    return tuple(h for h in texts if split_url(h)[0] in ("", "tcp") and not h.startswith(("unix:", "fd:")))


def exposed_hosts(state: ListenerState, original: Optional[str]) -> tuple[str, ...]:
    """The TCP listeners in an original daemon.json that dockerd would serve in plaintext.

    Those of the present file do not count if it has no TLS keys: they are as they were.
    """
    future, present = daemon_json.parse_config(original or ""), daemon_json.parse_config(state.config_text)
    if future.get("tlsverify") is True:
        return ()
    kept = () if present.get("tlsverify") is True else _hosts(present)
    return tuple(host for host in tcp_hosts(_hosts(future)) if host not in kept)


def without_hosts(state: ListenerState, original: Optional[str], exposed: tuple[str, ...]) -> Optional[str]:
    """An original daemon.json without these listeners."""
    if original is None or not exposed:
        return original
    left = [host for host in _hosts(daemon_json.parse_config(original)) if host not in exposed]
    text = daemon_json.edit_keys(original, {"hosts": left} if left else {}, [] if left else ["hosts"])
    # A removal that was killed has restored the file already.
    same = daemon_json.parse_config(text) == daemon_json.parse_config(state.config_text)
    return state.config_text if same and not state.config_missing else text


def refuse_exposed_command(state: ListenerState, original: Optional[str]) -> None:
    """Raises Refused if dockerd's command line would open a TCP listener in plaintext."""
    command = state.command
    tls_now = daemon_json.parse_config(state.config_text).get("tlsverify") is True
    if daemon_json.parse_config(original or "").get("tlsverify") is True:
        return
    hosts = tcp_hosts(options.listens_otherwise(command.effective_words))
    if hosts and (tls_now or command.override_path):
        raise Refused(
            command.source,
            problem=f"{command.source} starts dockerd with {', '.join(f'-H {host}' for host in hosts)}. After the "
            f"removal, dockerd would serve it in plaintext, because {state.config_file} then has no TLS keys",
            remedy=f"Remove this option there, see systemctl cat {ENGINE_UNIT}, then run the task again",
        )


def _hosts(config: Mapping[str, Any]) -> tuple[Any, ...]:
    value = config.get("hosts", ())
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)
