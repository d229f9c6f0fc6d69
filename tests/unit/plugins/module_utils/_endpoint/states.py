# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of endpoints, made from a flat list of fields."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.model import EndpointState

PLACES = {
    **{name: ("reached", name) for name in ("gateways", "peer", "source", "route")},
    **{name: ("anonymous", name) for name in ("protocol", "protocol_detail", "tls_version")},
    **{
        name: ("verified", name)
        for name in ("trusted", "trust_code", "trust_error", "client", "client_detail")
    },
    **{name: ("api", name) for name in ("engine_version", "engine_id", "engine_name", "engine_root")},
    "tcp": ("reached", "outcome"),
    "tcp_detail": ("reached", "detail"),
    "anonymous": ("anonymous", "verdict"),
    "anonymous_detail": ("anonymous", "detail"),
    "api": ("api", "outcome"),
    "api_detail": ("api", "detail"),
    "api_version": ("api", "version"),
}
"""By field, the connection that it belongs to, and its name there."""


def changed(state, **fields):
    """The state with these fields instead."""
    parts = {"reached": {}, "anonymous": {}, "verified": {}, "api": {}, "state": {}}
    for name, value in fields.items():
        part, field = PLACES.get(name, ("state", name))
        parts[part][field] = value
    api = replace(state.verified.api, **parts["api"])
    return replace(
        state,
        reached=replace(state.reached, **parts["reached"]),
        anonymous=replace(state.anonymous, api=api, **parts["anonymous"]),
        verified=replace(state.verified, api=api, **parts["verified"]),
        **parts["state"],
    )


def make_state(**fields):
    """A state with these fields, and the defaults otherwise."""
    return changed(EndpointState(), **fields)
