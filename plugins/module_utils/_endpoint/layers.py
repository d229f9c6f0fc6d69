# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layers of a diagnosis: which hold, which fail, and what to do about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Literal, Optional, Tuple

LayerName = Literal[
    "route",
    "port",
    "tls",
    "chain",
    "name",
    "validity",
    "client_auth",
    "api",
    "networks",
    "installed",
    "environment",
]
Verdict = Tuple[Optional[bool], str, str]
"""Attributes of a Layer: whether it holds, the text and the remedy."""


def holds(text: str, remedy: str = "") -> Verdict:
    return True, text, remedy


def fails(text: str, remedy: str) -> Verdict:
    return False, text, remedy


def unknown(text: str) -> Verdict:
    return None, text, ""


@dataclass(frozen=True)
class Layer:
    """One layer of the connection to the engine, or one condition for future connections.

    Attributes:
        name: the layer.
        ok: whether it holds; None if it was not reached or does not apply.
        text: the observation.
        remedy: what to do; set if it fails, and if it holds but needs attention.
    """

    name: LayerName
    ok: Optional[bool]
    text: str
    remedy: str = ""

    @property
    def warns(self) -> bool:
        """Whether it holds but needs attention."""
        return bool(self.ok and self.remedy)


def first_failure(layers: Iterable[Layer]) -> Optional[Layer]:
    """The first layer that fails; None if none does."""
    return next((layer for layer in layers if layer.ok is False), None)


def render_layers(layers: Iterable[Layer]) -> str:
    """The layers, one a line, then the remedies of the first failure and of all warnings."""
    known = tuple(layers)
    marks = {True: "ok", False: "FAILED", None: "-"}
    lines = [
        f"{layer.name:<11} {'warns' if layer.warns else marks[layer.ok]:<6} {layer.text}" for layer in known
    ]
    failure = first_failure(known)
    if failure:
        lines.append(f"What to do: {failure.remedy}.")
    warnings = dict.fromkeys(layer.remedy for layer in known if layer.warns)
    return "\n".join([*lines, *(f"What to do soon: {text}." for text in warnings)])
