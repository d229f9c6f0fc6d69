# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the two halves of ``tls_certificates``, on the controller and on the host, agree on."""

from __future__ import annotations

import datetime
from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import x509
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import Authority
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import KEY_TYPES

CERTIFICATE_OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "profile": {"type": "str", "required": True, "choices": ["server", "client"]},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "directory": {"type": "str", "required": True},
    "common_name": {"type": "str"},
    "subject_alternative_names": {"type": "list", "elements": "raw", "default": []},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "directory_mode": {"type": "str", "default": "0755"},
    "key_mode": {"type": "str", "default": "0400", "no_log": False},
    "certificate_mode": {"type": "str", "default": "0444"},
    "key_type": {"type": "str", "default": "ecdsa-p256", "choices": list(KEY_TYPES), "no_log": False},
    "validity_days": {"type": "int", "default": 365},
    "renew_before_days": {"type": "int"},
}

ARGUMENT_SPEC: dict[str, Any] = {
    "ca_directory": {"type": "str", "required": True},
    "ca_passphrase": {"type": "str", "no_log": True},
    "certificates": {"type": "list", "elements": "dict", "required": True, "options": CERTIFICATE_OPTIONS},
}

# What the action plugin adds to what the task says. Not for tasks, hence not documented.
PROTOCOL_SPEC: dict[str, Any] = {
    # Who issues: bundle, obstacle and clock, see pack_authority().
    "_authority": {"type": "dict", "default": {}},
    # Certificates in PEM form by name: the answer to the requests. None in the first round trip.
    "_issued": {"type": "dict"},
}

# The result's key that carries requests from the host to the controller, in PEM form by name.
REQUESTS = "_requests"


def pack_authority(authority: Authority) -> dict[str, str]:
    """What travels to the host."""
    clock = "" if authority.clock is None else authority.clock.isoformat()
    return {"bundle": authority.bundle, "obstacle": authority.obstacle, "clock": clock}


def unpack_authority(packed: Mapping[str, str]) -> Authority:
    """What arrived there."""
    bundle, clock = packed.get("bundle", ""), packed.get("clock", "")
    return Authority(
        bundle=bundle,
        certificate=x509.read_certificate(bundle.encode()) if bundle else None,
        obstacle=packed.get("obstacle", ""),
        clock=datetime.datetime.fromisoformat(clock) if clock else None,
    )
