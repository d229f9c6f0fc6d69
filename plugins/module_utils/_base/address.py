# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TCP addresses with a port, as systemd, Docker and URLs write them."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional


class SocketAddress(NamedTuple):
    """An IP address or a name, and a TCP port. Equal to the plain tuple of both.

    ``str()`` renders ``172.17.0.1:2376`` or ``[fd00::1]:2376``.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracket(self.host)}:{self.port}"

    @classmethod
    def parse(cls, text: str, default_port: int) -> Optional[SocketAddress]:
        """Read ``host:port``, ``[host]:port``, ``host``, ``:port`` (empty host); otherwise None."""
        match = re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]]*?)(?::([0-9]*))?", text)
        if match is None:
            return None
        host, port = match.groups()
        if port is None and ":" in host and not host.startswith("["):
            return None
        return cls(host.strip("[]"), int(port or default_port))


def bracket(host: str) -> str:
    """A host as part of a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def split_url(url: str) -> tuple[str, str]:
    """The scheme of a URL, empty if it has none, and its authority."""
    scheme, separator, rest = url.partition("://")
    return (scheme, rest.partition("/")[0]) if separator else ("", url.partition("/")[0])
