# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of tls_certificates, which its halves on the controller and on the host share with others."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.rotation_plan import STEPS
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import KEY_TYPES, check_directory
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import (
    authority_arguments,
    authority_constraints,
)

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

CERTIFICATES_ARGUMENT: dict[str, Any] = {
    "certificates": {"type": "list", "elements": "dict", "options": CERTIFICATE_OPTIONS},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "directories": {"type": "list", "elements": "str", "default": []},
}

ROTATION_ARGUMENTS: dict[str, Any] = {
    "step": {"type": "str", "required": True, "choices": list(STEPS)},
    "directories": {"type": "list", "elements": "str", "default": ["/etc/wormhole"]},
}

# How the half on the host is told about the authority, and what it is answered.
HOST_ARGUMENTS: dict[str, Any] = {"authority": {"type": "dict"}, "issued": {"type": "dict"}}

# All that a module has that needs signatures, beside its own options.
SIGNING_ARGUMENTS: dict[str, Any] = {**authority_arguments(), **HOST_ARGUMENTS}
SIGNING_CONSTRAINTS: dict[str, Any] = authority_constraints("ca_", "authority")

# The result's key that carries requests from the host to whoever signs.
REQUESTS = "requests"


def check_state(options: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Checks what goes with option ``state`` of tls_certificates; returns the certificates that are asked for.

    Raises:
        InvalidInput: an option is missing, or cannot be meant together with another.
    """
    certificates, directories = options["certificates"], options["directories"]
    if options["state"] == "present":
        if certificates is None:
            raise InvalidInput("certificates", expected="a list, with state present", found="nothing")
        if directories:
            raise InvalidInput("directories", expected="to go with state absent", found="it with present")
        return list(certificates)
    if certificates:
        raise InvalidInput(
            "certificates",
            expected="to be left out with state absent, which is about all that were made",
            found=", ".join(str(certificate["name"]) for certificate in certificates),
            remedy="To remove one, give it a state of its own",
        )
    for directory in directories:
        check_directory("directories", directory)
    return []
