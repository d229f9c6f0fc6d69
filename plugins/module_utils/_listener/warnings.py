# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Warnings in the result of dockerd_listener."""

from __future__ import annotations

from typing import Iterable, Sequence

from .._base.address import SocketAddress


def listener_warnings(
    insecure: Sequence[SocketAddress], lost: Iterable[str], *, neighbours: bool = False
) -> list[str]:
    """Return the warnings about plaintext, neighbours, and containers that live-restore did not keep.

    Args:
        insecure: where plaintext is served after the run.
        lost: the containers that exited with an error during the restart.
        neighbours: whether neighbours can reach the listener because the host has no nft.
    """
    found = []
    if insecure:
        found.append(
            "insecure_plaintext_port: the engine is served without TLS on "
            f"{', '.join(map(str, insecure))}; whoever reaches it is root on this host"
        )
    if neighbours:
        found.append(
            "neighbours: other hosts with a route to the gateways can reach the listener, because the program "
            "nft is not installed; install the package nftables, or set neighbours to accept"
        )
    names = ", ".join(lost)
    if names:
        text = "containers exited with an error during the restart and were started again"
        found.append(f"live-restore: {text}: {names}")
    return found
