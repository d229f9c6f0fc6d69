# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of wormhole_host, for the action plugin and the module."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from .._base.errors import InvalidInput
from .._certificates.facts import KEY_TYPE_ARGUMENT
from .._certificates.facts import SERVER as SERVER_PROFILE
from .._certificates.names import check_reported_names
from .._wormhole.spec import ABSENT
from .authority_options import REPLACE_ARGUMENT
from .connection import connection_arguments
from .gate_options import ARGUMENTS as GATE_MODULE_ARGUMENTS
from .listener_options import ARGUMENTS as LISTENER_MODULE_ARGUMENTS
from .wormhole import LIST_ARGUMENTS, validate

SERVER = "dockerd"
"""Name of the server's certificate."""

GATE = "gate"
"""Value of ``served_by`` of the listener."""
UNRESTRICTED = "unrestricted"
"""The policy of a wormhole that does not go through the gate."""

_OF_THE_RUN = ("state", "material_changed", "wormholes_removed")

LISTENER_ARGUMENTS: dict[str, Any] = {
    **{name: argument for name, argument in LISTENER_MODULE_ARGUMENTS.items() if name not in _OF_THE_RUN},
    "subject_alternative_names": {"type": "list", "elements": "str", "default": []},
    "key_type": KEY_TYPE_ARGUMENT,
}
"""Options of dockerd_listener, and of the server's certificate."""

NEEDED = "needed"
GATE_ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": [NEEDED, "present"], "default": NEEDED},
    **{name: GATE_MODULE_ARGUMENTS[name] for name in ("connections", "memory")},
}
"""Options of wormhole_gate, with a state that leaves it to the wormholes and the listener."""

GATE_PROGRAM, GATE_CONTENT = "gate_program", "gate_program_content"
"""Internal options: the hash of the gate's program, and the program if the host has asked for it."""

HOST_ARGUMENTS: dict[str, Any] = {
    "engine_install": {"type": "bool", "default": True},
    "listener": {"type": "dict", "default": {}},
    "gate": {"type": "dict", "default": {}},
    "wormholes": {"type": "list", "elements": "dict", "default": []},
    "unlisted": LIST_ARGUMENTS["unlisted"],
    # For the action plugin, which keeps it.
    "certificate_authority": {"type": "dict"},
    **REPLACE_ARGUMENT,
    **connection_arguments(),
}
"""All options of wormhole_host except those of the authority."""


def validate_part(name: str, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a part of the host, with types and defaults.

    Args:
        name: the option that holds them.

    Raises:
        InvalidInput: an option is unknown or has the wrong type.
    """
    try:
        return validate(arguments, options)
    except InvalidInput as error:
        error.put_in(name)
        raise


def needs_gate(
    gate: Mapping[str, Any], listener: Mapping[str, Any], wormholes: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether a host needs a gate.

    Args:
        gate, listener: the options of these parts, with defaults.
        wormholes: the options of each wormhole.
    """
    present = [wormhole for wormhole in wormholes if wormhole.get("state") != ABSENT]
    limited = any(wormhole.get("policy") not in (None, "", UNRESTRICTED) for wormhole in present)
    return gate["state"] != NEEDED or listener.get("served_by") == GATE or limited


def gate_of(params: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """The options of wormhole_gate for a host; None if it needs no gate.

    Args:
        params: options of wormhole_host, with defaults, those of its parts included.
    """
    gate, listener = params["gate"], params["listener"]
    if not needs_gate(gate, listener, params["wormholes"]):
        return None
    serves = listener.get("served_by") == GATE and "tls" in listener["transports"]
    return {
        **{name: argument["default"] for name, argument in GATE_MODULE_ARGUMENTS.items()},
        **gate,
        "state": "present",
        "tls_directory": listener["directory"] if serves else "",
        "program": params[GATE_PROGRAM],
        "program_content": params[GATE_CONTENT],
    }


def server_certificate(listener: Mapping[str, Any], gateways: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the server's certificate as an element of the option ``certificates``.

    Args:
        listener: the options of the listener, with defaults.
        gateways: names of the gateways; see ``subject_alternative_names`` of gateway_info.

    Raises:
        InvalidInput: a name is malformed.
        Refused: a name of a gateway is neither local nor one of the listener's options.
    """
    named = [
        *(f"IP:{address}" for address in listener["host_addresses"]),
        # Role listener takes several names in one text, too.
        *(name for item in listener["subject_alternative_names"] for name in item.split(",")),
    ]
    addresses = (f"IP:{address}" for address in listener["addresses"] or ())
    check_reported_names(gateways, (*named, *addresses))
    return {
        "name": SERVER,
        "profile": SERVER_PROFILE,
        "directory": listener["directory"],
        "key_type": listener["key_type"],
        "subject_alternative_names": [*gateways, *named],
    }
