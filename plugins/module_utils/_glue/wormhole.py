# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of wormhole_container, for the action plugin and the module."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Mapping, Optional, Sequence

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._access.spec import AccessSpec
from .._base.errors import InvalidInput, WormholeError
from .._certificates.spec import CertificateSpec
from .._container import attachments as container_networks
from .._container.options import arguments, hide_arguments
from .._engine.io.sdk import parse_socket_path
from .._wiring.options import ARGUMENTS as WIRING_ARGUMENTS
from .._wiring.spec import DISCOVERIES, LAUNCH
from .._wormhole import fixed_options
from .._wormhole import identity_spec as identities
from .._wormhole.shared import Wanted, reject_contradictions
from .._wormhole.spec import (
    ABSENT,
    FAIL,
    IGNORE,
    MISSING,
    PULLS,
    RECREATE,
    STARTED,
    STATES,
    WARN,
    WormholeSpec,
    parse_spec,
)
from .authority_options import REPLACE_ARGUMENT
from .connection import connection_arguments

WORMHOLE_ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": list(STATES), "default": STARTED},
    "image": {"type": "str"},
    "pull": {"type": "raw", "choices": list(PULLS), "default": MISSING},
    "platform": {"type": "str"},
    "comparisons": {"type": "dict"},
    "default_host_ip": {"type": "str"},
    "detach": {"type": "bool"},
    "cleanup": {"type": "bool", "default": False},
    "healthy_wait_timeout": {"type": "float", "default": 300},
    "force_kill": {"type": "bool", "default": False, "aliases": ["forcekill"]},
    "kill_signal": {"type": "str"},
    "keep_volumes": {"type": "bool", "default": True},
    "verify": {"type": "bool", "default": True},
    "adopt": {"type": "bool", "default": False},
    "recreate": {"type": "bool", "default": False},
    "restart": {"type": "bool", "default": False},
    "paused": {"type": "bool"},
    "image_name_mismatch": {"type": "str", "choices": [RECREATE, IGNORE], "default": RECREATE},
    "image_label_mismatch": {"type": "str", "choices": [IGNORE, FAIL], "default": IGNORE},
    "output_logs": {"type": "bool", "default": False},
    "return_environment": {"type": "bool", "default": False},
    "removal_wait_timeout": {"type": "float"},
    "unsupported_limits": {"type": "str", "choices": [FAIL, WARN], "default": FAIL},
    **fixed_options.ARGUMENTS,
    "discover": {"type": "str", "choices": list(DISCOVERIES), "default": LAUNCH},
    **WIRING_ARGUMENTS,
    **identities.ARGUMENTS,
    **REPLACE_ARGUMENT,
    **container_networks.ARGUMENTS,
    **arguments(),
    **connection_arguments(),
}
"""All options except those of the authority (SIGNING_ARGUMENTS)."""


KEEP, REMOVE = "keep", "remove"
"""What to do with wormholes that are not listed."""

LIST_ARGUMENTS: dict[str, Any] = {
    "wormholes": {"type": "list", "elements": "dict", "required": True},
    "unlisted": {"type": "str", "choices": [KEEP, REMOVE], "default": KEEP},
    **REPLACE_ARGUMENT,
    **connection_arguments(),
}
"""All options of wormhole_containers except those of the authority."""


def validate(arguments: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with types and defaults.

    Raises:
        InvalidInput: an option is unknown, is missing or has the wrong type.
    """
    validated = ArgumentSpecValidator(arguments).validate(dict(options))
    if validated.unsupported_parameters:
        unknown = ", ".join(sorted(map(str, validated.unsupported_parameters)))
        raise InvalidInput("options", problem=f"unknown options {unknown}")
    if validated.error_messages:
        raise InvalidInput("options", problem="; ".join(validated.error_messages))
    return dict(validated.validated_parameters)


def validate_wormhole(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of one wormhole of a list; see :func:`validate`."""
    return validate(WORMHOLE_ARGUMENTS, options)


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a wormhole, or of a list of them, without the values that may be secrets."""
    shown = hide_arguments(options)
    if isinstance(options.get("wormholes"), list):
        listed = options["wormholes"]
        shown["wormholes"] = [without_secrets(one) if isinstance(one, Mapping) else one for one in listed]
    return shown


def without_internal(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options for the log of the host: without secrets, and without the text of the program."""
    return {name: value for name, value in without_secrets(options).items() if name != "discover_program"}


def validate_list(
    wormholes: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the options of all wormholes of a list; see :func:`validate`.

    Args:
        defaults: options for wormholes that do not set them.

    Raises:
        InvalidInput: an option is malformed, or a name is no text: YAML reads 0123 as 83.
    """
    unquoted = [str(options["name"]) for options in wormholes if not isinstance(options.get("name", ""), str)]
    if unquoted:
        problem = f"The list has names that are not strings in YAML: {', '.join(unquoted)}"
        raise InvalidInput("name", problem=problem, remedy="Put them in quotes")
    validated = []
    for number, options in enumerate(wormholes, 1):
        try:
            validated.append(validate(WORMHOLE_ARGUMENTS, {**defaults, **options}))
        except InvalidInput as error:
            error.put_in(str(options.get("name") or f"wormhole {number} of the list"))
            raise
    return validated


def parse_list(
    wormholes: Sequence[Mapping[str, Any]],
    defaults: Mapping[str, Any],
    check_policy: Callable[[Optional[AccessSpec]], None],
) -> dict[str, tuple[dict[str, Any], CertificateSpec]]:
    """Check a list on the controller, and return its identities by their directories.

    Args:
        defaults: options for wormholes that do not set them.
        check_policy: checks the policy of each, see :mod:`plugin_utils.policies`.

    Returns:
        Each identity once: as an element of the option ``certificates``, and parsed.

    Raises:
        InvalidInput: an option of a wormhole is malformed, or two contradict each other.
    """
    wanted: list[Wanted] = []
    found: dict[str, tuple[dict[str, Any], CertificateSpec]] = {}
    for params in validate_list(wormholes, defaults):
        try:
            spec, identity = parse_wormhole(params, parse_socket_path(params["docker_host"]))
            check_policy(spec.wiring.policy)
        except WormholeError as error:
            error.put_in(params["name"])
            raise
        if spec.wiring.engine:
            problem = f"{params['name']}: engine {spec.wiring.engine} is not supported in a list"
            remedy = "Run this container by a task of wormhole.docker.wormhole_container"
            raise InvalidInput("engine", problem=problem, remedy=remedy)
        wanted.append((spec, identity))
        if identity is not None:
            listed = listed_identity(params, spec, identity)
            names = {name: listed[name] for name in ("name", "common_name")}
            found[identity.directory] = listed, dataclasses.replace(identity, **names)
    reject_contradictions(wanted)
    return found


def connection_of(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the connection of a task, which its wormholes have by default."""
    return {name: task[name] for name in connection_arguments()}


def listed_identity(
    params: Mapping[str, Any], spec: WormholeSpec, identity: CertificateSpec
) -> dict[str, Any]:
    """Return a wormhole's identity as an element of the option ``certificates``.

    Its name is its directory: in two directories, one name may have two certificates.
    """
    wiring = spec.wiring
    options = identities.certificate_options(params, wiring.identity, wiring.identity_directory)
    return {**options, "name": identity.directory, "common_name": wiring.identity}


def parse_wormhole(
    params: Mapping[str, Any], socket_path: str
) -> tuple[WormholeSpec, Optional[CertificateSpec]]:
    """Parse a task into the container and its identity (None if the module manages none).

    Args:
        params: of the module, with defaults.
        socket_path: the engine's socket on the host.

    Raises:
        InvalidInput: an option is malformed or contradicts another.
    """
    spec = parse_spec(params, socket_path)
    wiring = spec.wiring
    # Without an image, an existing container keeps its wiring and identity.
    if spec.state == ABSENT or not spec.image or not wiring.identity_managed:
        return spec, None
    return spec, identities.parse_identity(params, wiring.identity, wiring.identity_directory)
