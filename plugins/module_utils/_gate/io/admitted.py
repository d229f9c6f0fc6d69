# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the policies in step with the certificates that may use them.

A policy admits certificates by their fingerprints. Whoever removes a certificate on the host dismisses
it, so that it has no access from the next call on. Whoever replaces one admits the new one beside it
before, and dismisses the previous one afterwards, so that no client is refused in between.
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


def admit_beside(previous: bytes, new: bytes, directory: str = POLICIES) -> bool:
    """Give a new certificate the access of the one that it will replace, which keeps its own.

    Args:
        previous, new: certificates in PEM form, of which the first counts.
        directory: of the policies.

    Returns:
        whether the previous certificate has access, and is not the new one.

    Raises:
        WormholeError: a policy could not be changed.
    """
    present, other = fingerprint(previous), fingerprint(new)
    return present != other and _change(directory, present, lambda prints: {*prints, other} - {""})


def dismiss(certificate: bytes, directory: str = POLICIES) -> None:
    """Take the access of a certificate; other certificates of its identity keep theirs.

    Raises:
        WormholeError: a policy could not be changed.
    """
    present = fingerprint(certificate)
    _change(directory, present, lambda prints: prints - {present})


def _change(directory: str, present: str, change: Callable[[set[str]], set[str]]) -> bool:
    """Change the policies that admit a certificate; return whether there are any."""
    if not present:
        return False
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        # There is no gate, or this is not root, who alone installs certificates that it admits.
        return False
    paths = [
        os.path.join(directory, name)
        for name in names
        if name.endswith(SUFFIX) and is_identity(name[: -len(SUFFIX)])
    ]
    # Each of them, not only the first one.
    rewritten = [_rewrite(path, present, change) for path in paths]
    return any(rewritten)


def _rewrite(path: str, present: str, change: Callable[[set[str]], set[str]]) -> bool:
    found = files.read_file(path)
    document = None if found is None else _parse(found.content)
    if found is None or document is None or present not in document["certificates"]:
        return False
    document["certificates"] = sorted(change(set(document["certificates"])))
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    mode = stat.S_IMODE(found.mode)
    files.write_file(path, text.encode(), mode=mode, uid=found.uid, gid=found.gid)
    return True


def _parse(content: bytes) -> Optional[dict[str, Any]]:
    """Return a policy's file; None if it is malformed, so that its identity has no access."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    prints = document.get("certificates") if isinstance(document, dict) else None
    valid = isinstance(prints, list) and all(isinstance(item, str) for item in prints)
    return document if valid else None
