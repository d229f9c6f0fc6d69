# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and paths of the gate that modules need, which must not import the whole program."""

from __future__ import annotations

import re

POLICIES = "/etc/wormhole/policies"
"""Directory with a file for each identity."""
SUFFIX = ".json"
RECORDS = "learned"
"""Directory of the recorded calls, with a file for each identity, below StateDirectory= of the gate."""
SOCKET_NAME = "docker.sock"
UNIX_PREFIX = "unix."
"""The name of an identity's socket is this and the identity (FileDescriptorName=, systemd.socket(5))."""
TLS_NAME = "tls"
"""Name of all sockets with TLS."""

_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def is_identity(name: str) -> bool:
    """Whether this can be the name of an identity, and so of a file and a socket."""
    return _IDENTITY.fullmatch(name) is not None


def policy_path(identity: str, directory: str = POLICIES) -> str:
    """Path of the file with the policy of an identity."""
    return f"{directory}/{identity}{SUFFIX}"
