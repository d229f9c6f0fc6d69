# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an authority may issue: a corporate one is often limited to certain names or purposes (RFC 5280, 4.2.1.10, 4.2.1.12)."""

from __future__ import annotations

import ipaddress
from typing import Iterable, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.subject_alternative_names import (
    SubjectAlternativeName,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts

_ANY_PURPOSE = "anyExtendedKeyUsage"


def check_constraints(spec: CertificateSpec, authorities: Sequence[CertificateFacts]) -> None:
    """Makes sure that clients will accept a certificate under each of these authorities.

    Args:
        spec: what is to be issued.
        authorities: the issuing one and those above it.

    Raises:
        Refused: one of them may not vouch for it; clients would refuse what it issues.
    """
    for authority in authorities:
        limits = authority.extended_key_usage
        if limits and _ANY_PURPOSE not in limits and not set(spec.extended_key_usage) <= set(limits):
            raise Refused(
                f"certificate {spec.name!r}",
                expected=f"an authority whose extended key usage allows {', '.join(spec.extended_key_usage)}",
                found=f"{authority.subject}, limited to {', '.join(limits)}",
                remedy="Have an authority issued without this limit",
            )
        forbidden = [
            str(name) for name in spec.subject_alternative_names if not _is_permitted(name, authority)
        ]
        if forbidden:
            raise Refused(
                f"certificate {spec.name!r}",
                expected=f"names that the name constraints of {authority.subject} permit",
                found=", ".join(forbidden),
                remedy="Have an authority issued that permits the addresses of bridge gateways and local names",
            )


def _is_permitted(name: SubjectAlternativeName, authority: CertificateFacts) -> bool:
    """A name is free where no subtree of its kind is permitted, and never where one is excluded (RFC 5280, 4.2.1.10)."""
    if any(_is_within(name, subtree) for subtree in _of_kind(name.kind, authority.excluded_names)):
        return False
    permitted = _of_kind(name.kind, authority.permitted_names)
    return not permitted or any(_is_within(name, subtree) for subtree in permitted)


def _of_kind(kind: str, subtrees: Iterable[str]) -> list[str]:
    return [subtree.partition(":")[2] for subtree in subtrees if subtree.startswith(f"{kind}:")]


def _is_within(name: SubjectAlternativeName, subtree: str) -> bool:
    if name.kind == "IP":
        network = ipaddress.ip_network(subtree)
        address = ipaddress.ip_address(name.value)
        return address.version == network.version and address in network
    # A leading dot, as OpenSSL's configuration has it, admits subdomains only.
    domain = subtree.lower()
    if domain.startswith("."):
        return name.value.endswith(domain)
    return domain == "" or name.value == domain or name.value.endswith(f".{domain}")
