# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to issue to replace an existing certificate by one of another authority."""

from __future__ import annotations

from typing import Mapping, Optional

from . import facts
from .host_uri import without_host
from .model import Entry
from .spec import CertificateSpec


def reissue_spec(
    directory: str, certificate: facts.CertificateFacts, entries: Optional[Mapping[str, Entry]] = None
) -> Optional[CertificateSpec]:
    """The specification of the same certificate; None if it is no server or client certificate.

    The authority needs no ``entries``, which are owner and mode of the directory and its files.
    """
    usages = facts.EXTENDED_KEY_USAGE.items()
    profiles = [profile for profile, usage in usages if certificate.extended_key_usage == (usage,)]
    if not profiles or certificate.is_ca:
        return None
    fallback = Entry(0o444, 0, 0)
    found = entries or {}
    place, key = found.get(facts.DIRECTORY, fallback), found.get(facts.KEY_FILE, fallback)
    shown = found.get(facts.CERTIFICATE_FILE, found.get(facts.CA_FILE, fallback))
    validity = max(certificate.not_after - certificate.not_before - facts.BACKDATE, facts.ONE_DAY)
    return CertificateSpec(
        name=directory,
        profile=profiles[0],
        present=True,
        common_name=certificate.common_name,
        # Whoever signs adds the host of the task.
        subject_alternative_names=without_host(certificate.subject_alternative_names),
        origins={},
        directory=directory,
        owner=None,
        group=None,
        directory_mode=place.mode,
        key_mode=key.mode,
        certificate_mode=shown.mode,
        key_type=certificate.key_type,
        validity=validity,
        renew_before=facts.default_renewal_window(validity),
        uid=key.uid,
        gid=key.gid,
        keeper=place.uid,
    )
