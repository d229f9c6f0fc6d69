# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client certificate of a wormhole, parsed from the options of wormhole_container."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import Any, Mapping

from .._base.errors import InvalidInput
from .._certificates.facts import CLIENT, KEY_TYPE_ARGUMENT
from .._certificates.spec import CertificateSpec, parse_certificates
from .._wiring.options import IDENTITIES

GROUP = 0
"""Group of an identity's files. Its members cannot read the key."""

ARGUMENTS: Mapping[str, Any] = {
    "identity_managed": {"type": "bool", "default": True},
    "identity_owner": {"type": "str"},
    "identity_key_type": KEY_TYPE_ARGUMENT,
    "identity_validity_days": {"type": "int", "default": 365},
    # The renewal window of the identity, in days; the default is in :mod:`_certificates.facts`.
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
    """Return an identity as an element of the option ``certificates`` of tls_certificates."""
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
    """Return the certificate of an identity, without its owner, who is known once its container is.

    Raises:
        InvalidInput: an option is invalid.
    """
    certificate = {**certificate_options(params, identity, directory), **_MODES, "state": "present"}
    try:
        (spec,) = parse_certificates([certificate])
    except InvalidInput as error:
        subject = _OPTIONS.get(error.subject.rpartition(": ")[2], error.subject)
        error.subject, error.problem = subject, error.problem.replace(error.subject, subject)
        if subject == "identity":
            error.remedy = "The identity is the name of the wormhole by default. Set the option identity to a shorter or simpler one"
        raise
    # Who has the number of a container's user on the host must not reach its key. A container needs
    # no permission on the directories above what it mounts.
    closed = posixpath.dirname(spec.directory) == IDENTITIES
    return replace(spec, parent_mode=0o700 if closed else None)


def made_identity(directory: str) -> CertificateSpec:
    """Return an identity that an earlier run created; only its directory and its modes matter."""
    defaults = {name: argument["default"] for name, argument in ARGUMENTS.items() if "default" in argument}
    return parse_identity(defaults, "identity", directory)
