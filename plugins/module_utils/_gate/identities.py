# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may call, by which policy: the files of the policies, parsed.

A file ``IDENTITY.json`` holds the policy and the certificates that may use it:

.. code-block:: json

    {
      "policy": {"identity": "ci", "preset": "ci", "mode": "enforce", "overrides": {}},
      "certificates": ["<SHA-256 of the certificate, in hexadecimal>"]
    }

A file that cannot be parsed closes its identity, and no other.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass, field, replace
from typing import Any, Mapping, Optional, Union

from .._base.errors import InvalidInput
from .._policy.policy import Policy
from .._policy.policy_file import parse_policy
from .places import SOCKET_NAME, SUFFIX, UNIX_PREFIX, is_identity

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a connection.

    Attributes:
        identity: as the socket or the fingerprint says; empty if nobody knows the certificate.
        serial: serial number of the certificate; empty with a unix socket.
        fingerprint: SHA-256 of the certificate; empty with a unix socket.
        expires: when the certificate expires, in seconds since the epoch; 0 with a unix socket.
    """

    identity: str
    serial: str = ""
    fingerprint: str = ""
    expires: float = 0.0


@dataclass(frozen=True)
class Identity:
    """An identity with its policy.

    Attributes:
        policy: what it may do.
        certificates: fingerprints of the certificates that name it.
    """

    policy: Policy
    certificates: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The identity."""
        return self.policy.identity

    def at(self, now: float) -> Identity:
        """The identity with its policy as it is at a time."""
        policy = self.policy.at(now)
        return self if policy is self.policy else replace(self, policy=policy)


@dataclass(frozen=True)
class Rejection:
    """Why a client gets no access at all.

    Attributes:
        code: reason code for the audit log.
        sentence: for the client.
    """

    code: str
    sentence: str


@dataclass(frozen=True)
class Registry:
    """All identities.

    Attributes:
        identities: by name.
        by_fingerprint: name by fingerprint.
        problems: why an identity is closed, by name.
    """

    identities: Mapping[str, Identity] = field(default_factory=dict)
    by_fingerprint: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    def admit(self, peer: Peer, now: float) -> Union[Identity, Rejection]:
        """The identity of a client, if it has access at this time."""
        name = peer.identity
        if name in self.problems:
            return Rejection(
                "policy_invalid", f"The policy of {name} cannot be read. Ask the host's administrator."
            )
        identity = self.identities.get(name)
        if identity is None:
            unknown = Rejection("certificate", "This certificate is not, or no longer, known to this host.")
            return Rejection("no_policy", f"{name} has no access to this engine.") if name else unknown
        if not peer.fingerprint:
            return identity.at(now)
        if peer.fingerprint not in identity.certificates:
            return Rejection("certificate", f"This certificate of {name} has been replaced or revoked.")
        if now > peer.expires:
            return Rejection("certificate_expired", f"The certificate of {name} has expired.")
        return identity.at(now)

    def admits(self, peer: Peer, now: float) -> bool:
        """Whether a client has access at this time."""
        return isinstance(self.admit(peer, now), Identity)


def parse_registry(contents: Mapping[str, Union[bytes, str]]) -> Registry:
    """Parses all files.

    Args:
        contents: by name of the identity: the file's content, or why it cannot be read.
    """
    identities: dict[str, Identity] = {}
    problems: dict[str, str] = {}
    for name, content in contents.items():
        try:
            identities[name] = parse_identity(name, content)
        except InvalidInput as error:
            problems[name] = str(error)
    owners: dict[str, list[str]] = {}
    for name, identity in identities.items():
        for fingerprint in identity.certificates:
            owners.setdefault(fingerprint, []).append(name)
    for names in owners.values():
        # Nobody can say whose certificate it is.
        problems.update(
            {name: f"has a certificate of {', '.join(names)}" for name in names if len(names) > 1}
        )
    open_ones = {name: identity for name, identity in identities.items() if name not in problems}
    by_fingerprint = {print_: names[0] for print_, names in owners.items() if len(names) == 1}
    return Registry(open_ones, by_fingerprint, problems)


def parse_identity(name: str, content: Union[bytes, str]) -> Identity:
    """Parses one file.

    Raises:
        InvalidInput: it cannot be read, or is not the file of this identity.
    """
    if isinstance(content, str):
        raise InvalidInput(f"{name}{SUFFIX}", expected="a readable file", found=content)
    try:
        document = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}{SUFFIX}", expected="a JSON object", found=str(error)) from error
    if not isinstance(document, dict) or set(document) - {"policy", "certificates"}:
        raise InvalidInput(f"{name}{SUFFIX}", expected="an object with policy and certificates")
    policy = parse_policy(document.get("policy"))
    if policy.identity != name or not is_identity(name):
        raise InvalidInput(f"{name}{SUFFIX}", expected=f"the policy of {name}", found=policy.identity)
    prints = document.get("certificates", [])
    if not isinstance(prints, list) or not all(
        isinstance(item, str) and _FINGERPRINT.fullmatch(item) for item in prints
    ):
        raise InvalidInput(f"{name}{SUFFIX}: certificates", expected="a list of SHA-256 in hexadecimal")
    return Identity(policy, frozenset(prints))


def render_identity(policy: Mapping[str, Any], certificates: tuple[str, ...] = ()) -> str:
    """Renders the file of an identity, from the data that parse_policy() takes."""
    document = {"policy": policy, "certificates": sorted(certificates)}
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def identity_of_listener(name: str, path: str) -> Optional[str]:
    """The identity of a unix socket, by its name and its path, which must agree; otherwise None."""
    identity = name[len(UNIX_PREFIX) :] if name.startswith(UNIX_PREFIX) else ""
    directory, file_name = posixpath.split(path)
    agrees = posixpath.basename(directory) == identity and file_name == SOCKET_NAME
    return identity if agrees and is_identity(identity) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found
