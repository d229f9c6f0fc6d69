# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layers: what holds of a thing that is made of several, what does not, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Optional


@dataclass(frozen=True)
class Layer:
    """One layer of the way to the engine, or of what keeps it open.

    Attributes:
        name: such as ``route`` or ``validity``.
        ok: whether it holds; None if it was not reached or does not apply.
        text: what was seen.
        remedy: what to do; set if it does not hold, and if it holds for now only.
    """

    name: str
    ok: Optional[bool]
    text: str
    remedy: str = ""

    @property
    def warns(self) -> bool:
        """Whether it holds for now only."""
        return bool(self.ok and self.remedy)

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "text": self.text, "remedy": self.remedy}


def first_failure(layers: Iterable[Layer]) -> Optional[Layer]:
    """The layer to look at first; None if none fails."""
    return next((layer for layer in layers if layer.ok is False), None)


def render_layers(layers: Iterable[Layer]) -> str:
    """The layers as text, one a line, then what to do: about the first that fails, and about all that warn."""
    known = tuple(layers)
    lines = [f"{layer.name:<11} {_mark(layer):<6} {layer.text}" for layer in known]
    failure = first_failure(known)
    if failure:
        lines.append(f"What to do: {failure.remedy}.")
    lines += [
        f"What to do soon: {text}." for text in dict.fromkeys(layer.remedy for layer in known if layer.warns)
    ]
    return "\n".join(lines)


def _mark(layer: Layer) -> str:
    if layer.warns:
        return "warns"
    return {True: "ok", False: "FAILED", None: "-"}[layer.ok]
