# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a container is reached, and what it reaches, beside the networks that it joins."""

from __future__ import annotations

from typing import Any

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Comparison,
    ContainerOption,
    mapping_option,
    value_option,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_ports import (
    parse_ports,
    read_ports,
    render_ports,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    InvalidInput,
)


def _parse_network_mode(name: str, value: str) -> str:
    if not value or value != value.strip():
        raise InvalidInput(name, expected="bridge, host, none or a network's name", found=repr(value))
    if value.startswith("container:"):
        remedy = "Join the networks of that container"
        raise InvalidInput(name, expected="networks of the wormhole's own", found=value, remedy=remedy)
    return _read_network_mode(value)



def _read_network_mode(value: Any) -> str:
    # Engines before Docker 26 report the default bridge as "default", later ones as "bridge".
    return "bridge" if value in (None, "", "default") else str(value)



NETWORK: tuple[ContainerOption, ...] = (
    value_option(
        "network_mode",
        "HostConfig.NetworkMode",
        {"type": "str"},
        parse=_parse_network_mode,
        read=_read_network_mode,
    ),
    ContainerOption(
        "published_ports",
        {"published_ports": {"type": "list", "elements": "str", "aliases": ["ports"]}},
        parse=lambda params: (
            None
            if params.get("published_ports") is None
            else parse_ports("published_ports", params["published_ports"])
        ),
        render=render_ports,
        read=read_ports,
        comparison=Comparison.CONTAINS,
    ),
    mapping_option("etc_hosts", "HostConfig.ExtraHosts", separator=":"),
)
