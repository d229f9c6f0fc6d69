# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of wormhole_container, which its halves on the controller and on the host share."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core import (
    container_networks,
    identities,
    wiring_spec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options import arguments
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import (
    ABSENT,
    MISSING,
    PULLS,
    STARTED,
    STATES,
    WormholeSpec,
    parse_spec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.connection import connection_arguments

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
    "discover": {"type": "str", "choices": list(wiring_spec.DISCOVERIES), "default": wiring_spec.LAUNCH},
    **wiring_spec.ARGUMENTS,
    **identities.ARGUMENTS,
    **container_networks.ARGUMENTS,
    **arguments(),
    **connection_arguments(),
}
"""Its own options, beside those that name the authority."""


def parse_wormhole(
    params: Mapping[str, Any], socket_path: str
) -> tuple[WormholeSpec, Optional[CertificateSpec]]:
    """What a task asks for: a container, and the identity to make for it, if there is one to be made.

    Args:
        params: of the module, with its defaults.
        socket_path: the engine's socket on the host.

    Raises:
        InvalidInput: an option cannot be meant.
    """
    spec = parse_spec(params, socket_path)
    wiring = spec.wiring
    # A container that keeps its image keeps its wiring, too.
    if spec.state == ABSENT or not spec.image or not wiring.identity_managed:
        return spec, None
    return spec, identities.parse_identity(params, wiring.identity, wiring.identity_directory)
