# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Warnings about the settings that turn a container into a wormhole."""

from __future__ import annotations

from typing import Sequence

from .spec import TCP, WiringSpec


def plaintext_warnings(spec: WiringSpec) -> list[str]:
    """Return the warnings about plaintext, which every run gives."""
    where = f"the wormhole reaches its engine without TLS, at port {spec.insecure_plaintext_port}"
    text = f"transport tcp: {where}; everyone who can connect to that port is root on the host"
    return [text] if spec.transport == TCP else []


def root_warnings(names: Sequence[str]) -> list[str]:
    """Return the warning about wormholes without a policy, one for all."""
    if not names:
        return []
    one = "is a wormhole without a policy, and root on its host"
    text = one if len(names) == 1 else "are wormholes without a policy, and each is root on its host"
    return [f"{', '.join(names)} {text}. Set policy, or policy: unrestricted if this is meant"]
