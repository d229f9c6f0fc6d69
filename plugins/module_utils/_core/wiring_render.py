# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wiring in the words of those who create containers otherwise: docker_container, Compose, ``docker run``.

Sources: community.docker.docker_container; Compose specification, "services" and "Interpolation" (a dollar sign is
doubled); ``docker run`` reference.
"""

from __future__ import annotations

import json
from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import DEFAULT_BRIDGE
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_MANAGED,
    WiringSpec,
)


def render_container_options(spec: WiringSpec, wiring: Wiring) -> dict[str, Any]:
    """Options of docker_container; those that have nothing to say are left out."""
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
    """A Compose file with one service of this name, to be merged with one that says the rest of it.

    Raises:
        InvalidInput: the networks are such as Compose cannot join.
    """
    mode = spec.joined[0]
    alone = mode in ("host", "none") or mode.startswith("container:")
    networks = [] if alone else [name for name in spec.joined if name != DEFAULT_BRIDGE]
    if DEFAULT_BRIDGE in spec.joined and networks:
        raise InvalidInput(
            f"networks {DEFAULT_BRIDGE}",
            expected="not to be one of several, which Compose cannot have",
            remedy="Use networks of your own only",
        )
    body: dict[str, Any] = {
        "environment": dict(wiring.env),
        "extra_hosts": [f"{name}:{address}" for name, address in wiring.etc_hosts.items()],
        "labels": _labels(wiring),
        "volumes": list(wiring.volumes),
        "group_add": list(wiring.groups),
        "working_dir": wiring.working_dir,
        # Without this, Compose makes a network of the project's own.
        "network_mode": "" if networks else mode,
        "networks": networks,
        "userns_mode": "host" if spec.host_users else "",
    }
    fragment: dict[str, Any] = {
        "services": {service: {key: _escaped(value) for key, value in body.items() if value}}
    }
    if body["networks"]:
        fragment["networks"] = {name: {"name": name, "external": True} for name in networks}
    return fragment


def render_yaml(value: Mapping[str, Any]) -> str:
    """A document of mappings, lists, strings and booleans as YAML, strings in double quotes; keys are no longer than names are."""
    return "\n".join(_yaml_lines(value)) + "\n"


def render_run(spec: WiringSpec, wiring: Wiring) -> list[str]:
    """Arguments of ``docker run`` and ``docker create``.

    Of several networks it names the first: engines before Docker 25 take no more at creation. See :func:`render_connect`.
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
    """Arguments of ``docker network connect`` for the networks that :func:`render_run` leaves."""
    rest = spec.networks if spec.network_mode else spec.networks[1:]
    return [[name, container] for name in rest if name != spec.network_mode]


def _labels(wiring: Wiring) -> dict[str, str]:
    """Without the one by which wormhole_container knows what it has made and may replace."""
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
    """A string in double quotes. JSON writes what is beyond 16 bits as two escapes, which YAML takes for two characters."""
    return '"' + "".join(c if c >= "\U00010000" else json.dumps(c)[1:-1] for c in text) + '"'
