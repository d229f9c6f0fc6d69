# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts share an authority, and in which directory each host's own one is."""

from __future__ import annotations

import hashlib
import posixpath
import urllib.parse
from typing import Final, Literal, get_args

from .._base.errors import InvalidInput

Scope = Literal["host", "fleet"]
"""Each host has an authority of its own, or all hosts share one."""

HOST: Final = "host"
FLEET: Final = "fleet"
SCOPES: tuple[Scope, ...] = get_args(Scope)

HOSTS_DIRECTORY: Final = "hosts"
"""Directory of the hosts' own authorities, in the directory of the shared one."""
_LONGEST = 200
"""Bytes of a directory's name. File systems permit 255."""
_LONGEST_NAME = 64
"""Characters of a common name (RFC 5280, appendix A.1: ub-common-name)."""


def authority_name(base: str, host: str, scope: str) -> str:
    """The common name of the authority that signs for a host, of at most 64 characters.

    Args:
        base: common name of the authority that all hosts share; a host's own one adds its name.
        host, scope: as for :func:`authority_directory`.

    Raises:
        InvalidInput: see :func:`authority_directory`.
    """
    if _is_shared(host, scope):
        return base
    return f"{base} {host}"[:_LONGEST_NAME].strip()


def authority_directory(base: str, host: str, scope: str) -> str:
    """The directory of the authority that signs for a host.

    Args:
        base: directory of the authority that all hosts share. It may begin with ``~``.
        host: name of the host in the inventory.
        scope: which hosts share an authority, see :data:`Scope`.

    Raises:
        InvalidInput: the scope is unknown, or the host has no name.
    """
    if _is_shared(host, scope):
        return base
    return posixpath.join(base, HOSTS_DIRECTORY, file_name(host))


def is_own(directory: str) -> bool:
    """Whether the authority in a directory is a host's own one, as :func:`authority_directory` says."""
    return posixpath.basename(posixpath.dirname(directory)) == HOSTS_DIRECTORY


def _is_shared(host: str, scope: str) -> bool:
    if scope not in SCOPES:
        expected = " or ".join(SCOPES)
        raise InvalidInput("certificate_authority_scope", expected=expected, found=repr(scope))
    if scope == HOST and not host:
        raise InvalidInput("inventory_hostname", expected="the name of a host", found="an empty string")
    return scope == FLEET


def file_name(host: str) -> str:
    """A name of a directory for a host. No two hosts have the same one.

    All characters but ASCII letters, digits, ``-``, ``_``, ``.`` and ``~`` are percent-encoded (RFC
    3986), and a leading dot, so that no name is hidden or leads elsewhere. Capital letters are as
    well, because some file systems do not distinguish them. A long name is cut, and completed by
    the digest of the whole one.
    """
    name = "".join(map(_encode, host))
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    # An encoded name never holds two percent signs in a row.
    return f"{name[: _LONGEST - len(digest)]}%%{digest}"


def _encode(char: str) -> str:
    if "A" <= char <= "Z":
        return f"%{ord(char):02X}"
    # Ansible reads names that are not UTF-8 with surrogates in place of their bytes.
    return urllib.parse.quote(char, safe="", errors="surrogatepass")
