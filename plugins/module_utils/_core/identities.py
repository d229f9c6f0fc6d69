# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The identity of a wormhole, as the options of module wormhole_container ask for it: a client certificate."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import (
    CLIENT,
    CertificateSpec,
    parse_certificates,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import KEY_TYPES

DIRECTORY = "/etc/wormhole/identities"
"""Where identities are by default, each in a directory of its name."""

GROUP = 0
"""Group of their files. Its members may not read a key either; see the modes below."""

ARGUMENTS: Mapping[str, Any] = {
    "identity_managed": {"type": "bool", "default": True},
    "identity_key_type": {
        "type": "str",
        "choices": list(KEY_TYPES),
        "default": "ecdsa-p256",
        "no_log": False,
    },
    "identity_validity_days": {"type": "int", "default": 365},
    "identity_renew_before_days": {"type": "int"},
}

_MODES = {"directory_mode": "0755", "key_mode": "0400", "certificate_mode": "0444"}
_OPTIONS = {
    "common_name": "identity",
    "directory": "identity_directory",
    "validity_days": "identity_validity_days",
    "renew_before_days": "identity_renew_before_days",
}


def certificate_options(params: Mapping[str, Any], identity: str, directory: str) -> dict[str, Any]:
    """What an identity is, as an element of option ``certificates`` of tls_certificates and certificate_signature.

    Args:
        params: of module wormhole_container.
        identity: its name.
        directory: its place on the host.
    """
    options = {
        "name": identity,
        "profile": CLIENT,
        "directory": directory,
        "key_type": params["identity_key_type"],
        "validity_days": params["identity_validity_days"],
    }
    if params.get("identity_renew_before_days") is not None:
        options["renew_before_days"] = params["identity_renew_before_days"]
    return options


def parse_identity(params: Mapping[str, Any], identity: str, directory: str) -> CertificateSpec:
    """The certificate of an identity; who owns it is not known before its container is.

    Args:
        params, identity, directory: see :func:`certificate_options`.

    Raises:
        InvalidInput: an option cannot be meant.
    """
    try:
        (spec,) = parse_certificates(
            [{**certificate_options(params, identity, directory), **_MODES, "state": "present"}]
        )
    except InvalidInput as error:
        option = error.subject.rpartition(": ")[2]
        raise InvalidInput(
            _OPTIONS.get(option, error.subject),
            expected=error.expected,
            found=error.found,
            remedy=error.remedy,
        ) from error
    return spec
