# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a specification comes to on a certain host: what it leaves open, and names that stand for something of the host's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_namespaces import (
    with_identifiers,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_networks import (
    hides_mac_addresses,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_process import (
    with_image_healthcheck,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_ports import (
    DEFAULT_ADDRESS,
    as_bound,
    with_default_address,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import (
    WormholeSpec,
    WormholeState,
)

_PORTS = "published_ports"
_HEALTHCHECK = "healthcheck"
_NO_MAC_ADDRESS_OF_CONTAINERS = (1, 52)


def settle_spec(spec: WormholeSpec, state: WormholeState) -> WormholeSpec:
    """The specification with the host's answers in it."""
    options = with_identifiers(spec.options, state.referred)
    if _PORTS in options:
        options[_PORTS] = with_default_address(options[_PORTS], _default_address(spec, state))
    if _HEALTHCHECK in options:
        image_config = (state.image or {}).get("Config") or {}
        options[_HEALTHCHECK] = with_image_healthcheck(options[_HEALTHCHECK], image_config)
    return replace(spec, options=options)


def in_words_of(
    container: Mapping[str, Any], options: Mapping[str, Any], api_version: tuple[int, ...]
) -> dict[str, Any]:
    """Canonical values as a container states them, where it states the same in other words, or not at all."""
    found = dict(options)
    if _PORTS in options:
        found[_PORTS] = as_bound(options[_PORTS], container)
    if api_version >= _NO_MAC_ADDRESS_OF_CONTAINERS and hides_mac_addresses(container):
        found.pop("mac_address", None)
    return found


def _default_address(spec: WormholeSpec, state: WormholeState) -> str:
    if spec.default_host_ip is not None:
        return spec.default_host_ip
    bindings = state.wiring.topology.host_bindings
    names = (attachment.network for attachment in spec.attachments)
    return next((bindings[name] for name in names if name in bindings), DEFAULT_ADDRESS)
