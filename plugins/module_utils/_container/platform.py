# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Platforms of images, such as ``linux/arm64/v8``.

Source: containerd's package ``platforms`` (``Normalize``), which the engine uses; OCI image
specification, "platform".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping

from .._base.errors import InvalidInput

_PLATFORM = re.compile(r"[a-z0-9_]+(?:/[a-z0-9_]+){0,2}")
_SYSTEMS = ("linux", "windows", "freebsd")
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
# Default variants.
_VARIANTS = {"arm64": "v8", "arm": "v7"}


@dataclass(frozen=True)
class Platform:
    """A platform, by the names that images use.

    Attributes:
        system: such as ``linux``.
        architecture: such as ``amd64``; empty for any.
        variant: such as ``v7``; empty if the architecture has none.
    """

    system: str
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.system, self.architecture, self.variant)))

    def fits(self, image: Mapping[str, Any]) -> bool:
        """Report whether an inspected image is for this platform, or does not name one."""
        if not image.get("Architecture"):
            return True
        found = _normalise(
            str(image.get("Os") or "linux"), image["Architecture"], str(image.get("Variant") or "")
        )
        return self.system == found.system and (not self.architecture or self == found)


def parse_platform(name: str, text: str) -> Platform:
    """Parse ``os[/arch[/variant]]``, or an architecture alone."""
    lowered = text.strip().lower()
    if not _PLATFORM.fullmatch(lowered):
        raise InvalidInput(name, expected="os[/arch[/variant]], such as linux/arm64", found=repr(text))
    parts = lowered.split("/")
    if len(parts) == 1 and parts[0] not in _SYSTEMS:
        parts = ["linux", *parts]
    system, architecture, variant = (*parts, "", "")[:3]
    return _normalise(system, architecture, variant)


def _normalise(system: str, architecture: str, variant: str) -> Platform:
    architecture, implied = _ARCHITECTURES.get(architecture, (architecture, ""))
    variant = f"v{variant}" if variant.isdigit() else variant
    if (architecture, variant) == ("amd64", "v1"):
        variant = ""
    return Platform(system, architecture, variant or implied or _VARIANTS.get(architecture, ""))
