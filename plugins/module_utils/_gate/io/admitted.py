# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the policies in step with the certificates that may use them.

A policy admits certificates by their fingerprints. Whoever replaces or removes a certificate on the
host calls these functions, so that the previous one has no access from the next call on.
"""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import stat
from typing import Any, Callable, Optional

from ..._base.io import files
from ..places import POLICIES, SUFFIX, is_identity

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of the first certificate in PEM form; empty if there is none."""
    body = certificate.partition(_BEGIN)[2].partition(_END)[0]
    try:
        der = ssl.PEM_cert_to_DER_cert((_BEGIN + body + _END).decode("ascii"))
    except ValueError:
        return ""
    return hashlib.sha256(der).hexdigest() if der else ""


def readmit(previous: bytes, new: bytes, directory: str = POLICIES) -> None:
    """Let a new certificate have the access of the one that it replaces.

    Args:
        previous, new: certificates in PEM form, of which the first counts.
        directory: of the policies.

    Raises:
        WormholeError: a policy could not be changed.
    """
    if fingerprint(previous) != fingerprint(new):
        _change(directory, fingerprint(previous), fingerprint(new))


def dismiss(certificate: bytes, directory: str = POLICIES) -> None:
    """Take the access of a certificate; other certificates of its identity keep theirs.

    Raises:
        WormholeError: a policy could not be changed.
    """
    _change(directory, fingerprint(certificate), "")


def _change(directory: str, previous: str, new: str) -> None:
    if not previous:
        return

    def exchange(prints: list[str]) -> list[str]:
        return sorted({*prints, new} - {previous, ""})

    try:
        names = sorted(os.listdir(directory))
    except OSError:
        # There is no gate, or this is not root, who alone installs certificates that it admits.
        return
    for name in names:
        if name.endswith(SUFFIX) and is_identity(name[: -len(SUFFIX)]):
            _rewrite(os.path.join(directory, name), previous, exchange)


def _rewrite(path: str, previous: str, exchange: Callable[[list[str]], list[str]]) -> None:
    found = files.read_file(path)
    document = None if found is None else _parse(found.content)
    if found is None or document is None or previous not in document["certificates"]:
        return
    document["certificates"] = exchange(document["certificates"])
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    mode = stat.S_IMODE(found.mode)
    files.write_file(path, text.encode(), mode=mode, uid=found.uid, gid=found.gid)


def _parse(content: bytes) -> Optional[dict[str, Any]]:
    """Return a policy's file; None if it is malformed, so that its identity has no access."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    prints = document.get("certificates") if isinstance(document, dict) else None
    valid = isinstance(prints, list) and all(isinstance(item, str) for item in prints)
    return document if valid else None
