# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of the gate: a JSON file that role gate writes.

.. code-block:: json

    {
      "engine": "/run/docker.sock",
      "policies": "/etc/wormhole/policies",
      "tls": "/etc/wormhole/server",
      "limits": {"connections": 64}
    }
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field, fields
from typing import Any, Mapping, Optional

from .._base.errors import InvalidInput
from . import places
from .limits import Limits

PATH = "/etc/wormhole/gate.json"
POLICIES = places.POLICIES
ENGINE = "/run/docker.sock"
CA, CERTIFICATE, KEY = TLS_NAMES = ("ca.pem", "cert.pem", "key.pem")
"""Names of the files for TLS. The first holds what may have issued the certificates of clients."""
COPIES = "tls"
"""Name of the directory in the gate's runtime directory with its copies of these files."""
MALFORMED_STATUS = 2
"""Exit status if the configuration cannot be used. systemd does not start the gate again then."""
_HIGHEST = 1 << 40


@dataclass(frozen=True)
class GateConfig:
    """The configuration.

    Attributes:
        engine: path of the engine's unix socket.
        policies: directory with a file for each identity.
        tls: directory of the server's ca.pem, cert.pem and key.pem, which only root can read; None if the
            gate serves unix sockets only.
        limits: the bounds.
    """

    engine: str = ENGINE
    policies: str = POLICIES
    tls: Optional[str] = None
    limits: Limits = field(default_factory=Limits)


def parse_config(content: bytes) -> GateConfig:
    """Parses the file.

    Raises:
        InvalidInput: it is not such a file, or has a key that is unknown.
    """
    try:
        document = json.loads(content)
    except ValueError as error:
        raise InvalidInput("configuration", expected="a JSON object", found=str(error)) from error
    keys = _object(document, "configuration", ("engine", "policies", "tls", "limits"))
    return GateConfig(
        engine=_path(keys.get("engine", ENGINE), "engine"),
        policies=_path(keys.get("policies", POLICIES), "policies"),
        tls=_path(keys["tls"], "tls") if keys.get("tls") is not None else None,
        limits=_limits(keys.get("limits", {})),
    )


def render_config(config: GateConfig) -> str:
    """Renders the file, for the role. parse_config() returns the same configuration."""
    document: dict[str, Any] = {"engine": config.engine, "policies": config.policies}
    if config.tls is not None:
        document["tls"] = config.tls
    plain = Limits()
    changed = {name: getattr(config.limits, name) for name in _names(Limits)}
    document["limits"] = {name: value for name, value in changed.items() if value != getattr(plain, name)}
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _limits(value: Any) -> Limits:
    keys = _object(value, "limits", _names(Limits))
    for name, number in keys.items():
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < _HIGHEST:
            raise InvalidInput(f"limits.{name}", expected="a positive number", found=repr(number))
    return Limits(**keys)


def _object(value: Any, subject: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(subject, expected="a JSON object", found=repr(value))
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise InvalidInput(subject, expected=f"only {', '.join(known)}", found=", ".join(unknown))
    return value


def _path(value: Any, subject: str) -> str:
    if not isinstance(value, str) or not posixpath.isabs(value) or "\0" in value:
        raise InvalidInput(subject, expected="an absolute path", found=repr(value))
    return value


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(kind))
