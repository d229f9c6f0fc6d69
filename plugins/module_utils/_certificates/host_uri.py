# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host of the inventory in a certificate, as a URI among its subject alternative names.

An authority that several hosts share signs ``wormhole:HOST/IDENTITY`` for a client, and
``wormhole:HOST`` for a server. Whoever signs adds it for the host of the task. A host neither
requests nor compares it, so it never is a reason for a new certificate: one without it, or with that
of an earlier name of the host, gets it when it is issued again for another reason.

The URI has no authority part. ``wormhole://HOST`` would need a host in it that is a domain name or
an address (RFC 5280, 4.2.1.6), and Go, with it every engine, cannot read a certificate whose URI has
percent-encoded ASCII characters or an empty label there.
"""

from __future__ import annotations

import urllib.parse
from dataclasses import replace
from typing import Final, Iterable, Optional

from .facts import SERVER, CertificateFacts, Profile
from .names import SubjectAlternativeName
from .scope import is_own
from .spec import CertificateSpec

KIND: Final = "URI"
SCHEME: Final = "wormhole"


def host_uri(host: str, profile: Profile, common_name: str) -> SubjectAlternativeName:
    """The URI of a certificate.

    Args:
        host: name of the host in the inventory. Like the common name, it is percent-encoded, apart
            from ASCII letters, digits, ``-``, ``_``, ``.`` and ``~``.
        common_name: of the certificate; that of a client is its identity.
    """
    parts = [host] if profile == SERVER else [host, common_name]
    # Ansible reads names that are not UTF-8 with surrogates in place of their bytes.
    encoded = (urllib.parse.quote(part, safe="", errors="surrogatepass") for part in parts)
    return SubjectAlternativeName(KIND, f"{SCHEME}:{'/'.join(encoded)}")


def names_hosts(directory: str, chain: Iterable[Optional[CertificateFacts]]) -> bool:
    """Whether the certificates of an authority name the host of the inventory.

    Those of a host's own authority do not: it has the name of the host itself. Those of an authority
    that limits URIs do not either, because clients would reject them.

    Args:
        directory: of the authority; empty without one.
        chain: its certificate, if it exists, and those above it.
    """
    limits = (name for facts in chain if facts for name in (*facts.permitted_names, *facts.excluded_names))
    return not is_own(directory) and not any(limit.startswith(f"{KIND}:") for limit in limits)


def without_host(names: Iterable[SubjectAlternativeName]) -> tuple[SubjectAlternativeName, ...]:
    """The names without those of hosts."""
    return tuple(name for name in names if not _is_host_uri(name))


def hosts_in(names: Iterable[SubjectAlternativeName]) -> tuple[SubjectAlternativeName, ...]:
    """The names of hosts only."""
    return tuple(name for name in names if _is_host_uri(name))


def with_host(spec: CertificateSpec, host: str) -> CertificateSpec:
    """The specification to sign for a host; without a URI if the host is empty."""
    added = [host_uri(host, spec.profile, spec.common_name)] if host else []
    names = sorted([*without_host(spec.subject_alternative_names), *added])
    return replace(spec, subject_alternative_names=tuple(names))


def _is_host_uri(name: SubjectAlternativeName) -> bool:
    return name.kind == KIND and name.value.partition(":")[0].lower() == SCHEME
