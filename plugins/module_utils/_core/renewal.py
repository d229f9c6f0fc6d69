# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a certificate is due for renewal: one rule for what issues, what restarts the engine and what looks at it."""

from __future__ import annotations

from datetime import datetime, timedelta

from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts

_FRACTION = 3


def renewal_window(validity: timedelta) -> timedelta:
    """How long before its end a certificate is due where nobody says otherwise: a third of its validity."""
    return validity / _FRACTION


def renewal_time(certificate: CertificateFacts) -> datetime:
    """From when on it is due, by its own dates; aware."""
    return certificate.not_after - renewal_window(certificate.not_after - certificate.not_before)


def is_renewal_due(certificate: CertificateFacts, now: datetime) -> bool:
    """Whether it is due now, or has expired since."""
    return now >= renewal_time(certificate)
