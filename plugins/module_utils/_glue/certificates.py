# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arguments that the modules for certificates and their action plugins share."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from .._base.errors import InvalidInput
from .._certificates.checks import check_directory
from .._certificates.facts import KEY_TYPE_ARGUMENT
from .authority_options import REPLACE_ARGUMENT, authority_arguments, authority_constraints

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
    "key_type": KEY_TYPE_ARGUMENT,
    "validity_days": {"type": "int", "default": 365},
    "renew_before_days": {"type": "int"},
}

CERTIFICATES_ARGUMENT: dict[str, Any] = {
    "certificates": {"type": "list", "elements": "dict", "options": CERTIFICATE_OPTIONS},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "directories": {"type": "list", "elements": "str", "default": []},
    **REPLACE_ARGUMENT,
}

# Arguments that an action plugin passes to its module on the host.
HOST_ARGUMENTS: dict[str, Any] = {"authority": {"type": "dict"}, "issued": {"type": "dict"}}

# Arguments of all modules that issue certificates.
SIGNING_ARGUMENTS: dict[str, Any] = {**authority_arguments(), **HOST_ARGUMENTS}
SIGNING_CONSTRAINTS: dict[str, Any] = authority_constraints("ca_", "authority")

# Key of the certificate signing requests in a result.
REQUESTS = "requests"


def with_defaults(certificates: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return elements of the option ``certificates`` with the defaults of the others."""
    defaults = {name: argument.get("default") for name, argument in CERTIFICATE_OPTIONS.items()}
    return [{**defaults, **certificate} for certificate in certificates]


def check_state(options: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Check the options that depend on ``state``, and return the requested certificates.

    Raises:
        InvalidInput: an option is missing, invalid or not allowed with this state.
    """
    certificates, directories = options["certificates"], options["directories"]
    if options["state"] == "present":
        if certificates is None:
            raise InvalidInput("certificates", problem="certificates is required with state: present")
        if directories:
            raise InvalidInput("directories", problem="directories is allowed only with state: absent")
        return list(certificates)
    if certificates:
        problem = "certificates is not allowed with state: absent, which removes all certificates"
        remedy = "To remove one of them, set state: absent in its element of certificates"
        raise InvalidInput("certificates", problem=problem, remedy=remedy)
    for directory in directories:
        check_directory("directories", directory)
    return []
