# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renders a wiring for other tools: docker_container, Compose and ``docker run``.

Sources: community.docker.docker_container; Compose specification, "services" and "Interpolation" (a
dollar sign is doubled); ``docker run`` reference.
"""

from __future__ import annotations

import json
from typing import Any, Mapping

from .._base.errors import InvalidInput
from .._base.labels import LABEL_MANAGED
from .._networks.gateways import DEFAULT_BRIDGE
from .spec import WiringSpec
from .wire import Wiring


def render_container_options(spec: WiringSpec, wiring: Wiring) -> dict[str, Any]:
    """Return options of docker_container, without empty ones."""
    options: dict[str, Any] = {
        "env": dict(wiring.env),
        "etc_hosts": dict(wiring.etc_hosts),
        "labels": _labels(wiring),
        "volumes": list(wiring.volumes),
        "groups": list(wiring.groups),
        "working_dir": wiring.working_dir,
        "network_mode": spec.network_mode,
        "networks": [{"name": name} for name in spec.networks],
        "userns_mode": "host" if spec.host_users else "",
    }
    return {name: value for name, value in options.items() if value}


def render_compose(service: str, spec: WiringSpec, wiring: Wiring) -> dict[str, Any]:
    """Return a Compose file with one service, to be merged with a file that has the rest of it.

    Raises:
        InvalidInput: Compose cannot join these networks together.
    """
    mode = spec.joined[0]
    alone = mode in ("host", "none") or mode.startswith("container:")
    networks = [] if alone else [name for name in spec.joined if name != DEFAULT_BRIDGE]
    if DEFAULT_BRIDGE in spec.joined and networks:
        subject = f"networks {DEFAULT_BRIDGE}"
        problem = f"{subject}: Compose cannot join the default bridge together with other networks"
        raise InvalidInput(subject, problem=problem, remedy="Use user-defined networks only")
    body: dict[str, Any] = {
        "environment": dict(wiring.env),
        "extra_hosts": [f"{name}:{address}" for name, address in wiring.etc_hosts.items()],
        "labels": _labels(wiring),
        "volumes": list(wiring.volumes),
        "group_add": list(wiring.groups),
        "working_dir": wiring.working_dir,
        # Without this, Compose creates a network for the project.
        "network_mode": "" if networks else mode,
        "networks": networks,
        "userns_mode": "host" if spec.host_users else "",
    }
    escaped = {key: _escaped(value) for key, value in body.items() if value}
    external = {name: {"name": name, "external": True} for name in networks}
    return {"services": {service: escaped}, **({"networks": external} if networks else {})}


def render_yaml(value: Mapping[str, Any]) -> str:
    """Return mappings, lists, strings and booleans as YAML, with strings in double quotes."""
    return "\n".join(_yaml_lines(value)) + "\n"


def render_run(spec: WiringSpec, wiring: Wiring) -> list[str]:
    """Return arguments of ``docker run`` and ``docker create``, with the first network only.

    Engines before Docker 25 accept only one network at creation. See :func:`render_connect` for the
    others.
    """
    options = [("--env", f"{name}={value}") for name, value in wiring.env.items()]
    options += [("--add-host", f"{name}:{address}") for name, address in wiring.etc_hosts.items()]
    options += [("--label", f"{name}={value}") for name, value in _labels(wiring).items()]
    options += [("--volume", item) for item in wiring.volumes]
    options += [("--group-add", group) for group in wiring.groups]
    options += [("--workdir", wiring.working_dir)] if wiring.working_dir else []
    options += [("--userns", "host")] if spec.host_users else []
    network = spec.network_mode or next(iter(spec.networks), "")
    options += [("--network", network)] if network else []
    return [word for option in options for word in option]


def render_connect(container: str, spec: WiringSpec) -> list[list[str]]:
    """Return arguments of ``docker network connect`` for the networks that run omits."""
    rest = spec.networks if spec.network_mode else spec.networks[1:]
    return [[name, container] for name in rest if name != spec.network_mode]


def _labels(wiring: Wiring) -> dict[str, str]:
    """Return the labels without the one by which wormhole_container recognizes containers."""
    return {name: value for name, value in wiring.labels.items() if name != LABEL_MANAGED}


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {name: _escaped(item) for name, item in value.items()}
    return [_escaped(item) for item in value]


def _yaml_lines(value: Any) -> list[str]:
    lines = []
    for key, item in value.items():
        name = _quoted(key)
        if isinstance(item, Mapping):
            lines += [f"{name}:", *("  " + line for line in _yaml_lines(item))]
        elif isinstance(item, list):
            lines += [f"{name}:", *(f"  - {_quoted(entry)}" for entry in item)]
        else:
            lines.append(f"{name}: {json.dumps(item) if isinstance(item, bool) else _quoted(item)}")
    return lines


def _quoted(text: str) -> str:
    """Return a string in double quotes.

    JSON writes characters beyond 16 bits as two escapes, which YAML reads as two characters.
    """
    return '"' + "".join(c if c >= "\U00010000" else json.dumps(c)[1:-1] for c in text) + '"'
