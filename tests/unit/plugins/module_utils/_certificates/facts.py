# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates as plain data, for tests of other slices."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import CertificateFacts
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import parse_san

NOW = datetime(2026, 11, 23, 21, 0, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def make_facts(*names, age=10, validity=90, **fields):
    """A server certificate with these names; `age` days old, valid for `validity` days."""
    facts = {
        "subject": "CN=dockerd",
        "common_name": "dockerd",
        "issuer": "CN=wormhole CA",
        "subject_alternative_names": tuple(sorted(map(parse_san, names))),
        "serial": "2A",
        "fingerprint_sha256": "ab" * 32,
        "public_key_sha256": "cd" * 32,
        "key_type": "ecdsa-p256",
        "not_before": NOW - age * DAY,
        "not_after": NOW + (validity - age) * DAY,
        "is_ca": False,
        "path_length": None,
        "key_usage": ("digitalSignature",),
        "extended_key_usage": ("serverAuth",),
        "critical_extensions": ("basicConstraints", "keyUsage"),
        "subject_key_identifier": "01",
        "authority_key_identifier": "02",
    }
    return CertificateFacts(**{**facts, **fields})
