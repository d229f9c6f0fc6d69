# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subject alternative names: what clients compare with the address they dial (RFC 5280, RFC 6125).

Their text form is OpenSSL's: ``IP:172.17.0.1``, ``IP:fd00::1``, ``DNS:host.docker.internal``.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional

from .._base.errors import InvalidInput, Refused
from .._networks import ranges

# RFC 1123 labels, and the underscore: Docker aliases have it, and clients match it.
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAXIMUM_NAME_LENGTH = 253  # RFC 1035, 2.3.4, in its text form

_LOCAL_NAMES = ("host.docker.internal", "localhost")


@functools.total_ordering
@dataclass(frozen=True)
class SubjectAlternativeName:
    """One name or address in normal form. Two are equal if clients treat them as equal.

    Attributes:
        kind: ``DNS`` or ``IP``, or ``URI`` for a name of :mod:`_certificates.host_uri`; other
            certificates can hold more kinds.
        value: a name in lower case, an address as :mod:`ipaddress` writes it, or a URI.
    """

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, SubjectAlternativeName):
            return NotImplemented
        return self._sort_key() < other._sort_key()

    def _sort_key(self) -> tuple[str, int, int, str]:
        """Names first, then IPv4, then IPv6, each by value: 10.0.0.9 before 10.0.0.10."""
        if self.kind != "IP":
            return (self.kind, 0, 0, self.value)
        address = ipaddress.ip_address(self.value)
        return (self.kind, address.version, int(address), self.value)


def parse_san(text: str) -> SubjectAlternativeName:
    """Parse ``IP:address`` or ``DNS:name``.

    Raises:
        InvalidInput: it is neither, or a client can never match it.
    """
    kind, separator, value = text.strip().partition(":")
    parser = {"IP": _parse_address, "DNS": _parse_name}.get(kind.upper())
    if not separator or parser is None:
        raise _invalid(
            text, "IP:<address> or DNS:<name>", "Write IP:172.17.0.1 or DNS:host.example.com, for example"
        )
    return SubjectAlternativeName(kind.upper(), parser(text, value.strip()))


def is_local(name: SubjectAlternativeName) -> bool:
    """Whether a name is not unique: a private or loopback address, or a name that containers use."""
    if name.kind != "IP":
        return name.kind == "DNS" and name.value in _LOCAL_NAMES
    return ranges.is_local(ipaddress.ip_address(name.value))


def check_reported_names(reported: Iterable[Mapping[str, Any]], allowed: Iterable[str]) -> None:
    """Check names for its server's certificate that a host has reported, such as its gateways.

    A host that could choose them freely would get a certificate for the name of another one.

    Args:
        reported: each with its ``name`` and possibly its ``origin``.
        allowed: names of the task, which need not be local. Malformed ones count for nothing.

    Raises:
        InvalidInput: a name is malformed.
        Refused: a name is neither local nor named by the task.
    """
    found = {}
    for entry in reported:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            expected = "dictionaries with a text as name"
            raise InvalidInput("names that the host reports", expected=expected, found=repr(entry))
        found[parse_san(entry["name"])] = str(entry.get("origin") or "")
    check_names(found, allowed)


def check_names(reported: Mapping[SubjectAlternativeName, str], allowed: Iterable[str]) -> None:
    """The same for parsed names, with their origins.

    Raises:
        Refused: a name is neither local nor named by the task.
    """
    listed = frozenset(map(_parse_any, allowed))
    refused = {
        str(name): origin for name, origin in reported.items() if name not in listed and not is_local(name)
    }
    if refused:
        told = ", ".join(f"{name} ({origin})" if origin else name for name, origin in refused.items())
        problem = f"The host reports names for its server's certificate that are neither private nor loopback: {told}"
        raise Refused(
            "subject alternative names",
            problem=problem,
            remedy=f"Nothing was signed. If these are the host's own, add {', '.join(refused)} to "
            "listener_subject_alternative_names",
        )


def _parse_any(text: str) -> Optional[SubjectAlternativeName]:
    """The name; None if it is malformed."""
    try:
        return parse_san(text)
    except InvalidInput:
        return None


def _parse_address(text: str, value: str) -> str:
    if "%" in value:
        raise _invalid(text, "an address without a zone", "Remove the zone: certificates do not hold zones")
    if "/" in value:
        raise _invalid(
            text, "one address, not a network", "Write the gateway's address without a prefix length"
        )
    if value.startswith("[") or value.count(":") == 1:
        raise _invalid(
            text, "an address without brackets and port", "Remove the port: certificates do not hold ports"
        )
    try:
        address = ipaddress.ip_address(value)
    except ValueError as error:
        raise _invalid(text, "an IPv4 or IPv6 address", "Write a name as DNS:<name>") from error
    if address.is_unspecified or address.is_multicast:
        raise _invalid(text, "an address that a client can connect to", "Use the address that clients dial")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise _invalid(text, "an IPv4 address, not mapped into IPv6", f"Write IP:{address.ipv4_mapped}")
    return str(address)


def _parse_name(text: str, value: str) -> str:
    name = value.lower()
    if not name.isascii():
        raise _invalid(text, "an ASCII name", "Write an internationalized name in its xn-- form")
    if ":" in name:
        raise _invalid(text, "a name without a port", "Remove the port: certificates do not hold ports")
    if name.endswith("."):
        raise _invalid(text, "a name without a final dot", "Remove the final dot")
    labels = name.split(".")
    if labels[-1].isdigit():
        raise _invalid(
            text, "a name", "Write an address as IP:<address>: clients do not look for addresses among names"
        )
    # Go, OpenSSL and GnuTLS accept a wildcard as the whole left-most label (RFC 6125, 6.4.3).
    wildcard = labels[0] == "*" and len(labels) > 2
    if "*" in name and not (wildcard and name.count("*") == 1):
        raise _invalid(
            text,
            "a wildcard as the whole first label of at least three",
            "Write DNS:*.ci.example.com, for example",
        )
    if len(name) > _MAXIMUM_NAME_LENGTH or not all(_LABEL.fullmatch(label) for label in labels[wildcard:]):
        raise _invalid(
            text, "a DNS name (RFC 1123)", "A label holds at most 63 letters, digits and inner hyphens"
        )
    return name


def _invalid(text: str, expected: str, remedy: str) -> InvalidInput:
    return InvalidInput("subject alternative name", expected=expected, found=repr(text), remedy=remedy)
