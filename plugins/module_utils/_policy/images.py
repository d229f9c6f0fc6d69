# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References to images, and the patterns that select them.

A reference is normalised as the engine does it (github.com/distribution/reference): ``python`` is
``docker.io/library/python:latest``. A pattern is written in the same way, with ``*`` for anything within
one part of the path or of the tag, and ``**`` for anything. A pattern without a tag matches every tag and
digest. The pattern ``**`` alone matches every image.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Iterable, Mapping, Optional, Pattern, Tuple

_DEFAULT_DOMAIN, _OLD_DOMAIN, _LIBRARY = "docker.io", "index.docker.io", "library/"
_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]+)?\Z"
)
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}\Z")
_LIMIT = 255
EVERY_IMAGE = "**"


@dataclass(frozen=True)
class ImageReference:
    """A normalised reference.

    Attributes:
        repository: ``docker.io/library/python``.
        tag: empty if there is only a digest.
        digest: ``sha256:…``; may be empty.
    """

    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}@{self.digest}" if self.digest else f"{self.repository}{tag}"


def is_image_id(text: str) -> bool:
    """Whether a reference can only be the ID of an image."""
    return bool(_ID.match(text))


@functools.lru_cache(maxsize=1024)
def parse_image(text: str, default_tag: str = "latest") -> Optional[ImageReference]:
    """Return a reference with its defaults; None if it is malformed, or an ID.

    Args:
        text: as a client writes it.
        default_tag: the tag of a reference that has neither tag nor digest.
    """
    rest, mark, digest = text.partition("@")
    if is_image_id(text) or (mark and not _DIGEST.match(digest)):
        return None
    rest, tag = _split_tag(rest)
    domain, path = _split_domain(rest)
    if not _DOMAIN.match(domain) or not _PATH.match(path) or len(domain) + len(path) > _LIMIT:
        return None
    if tag and not _TAG.match(tag):
        return None
    return ImageReference(f"{domain}/{path}", tag or ("" if digest else default_tag), digest)


def _split_tag(text: str) -> Tuple[str, str]:
    """A colon after the last slash begins a tag. An empty tag is malformed, and no tag."""
    name, mark, tag = text.rpartition(":")
    if not mark or "/" in tag:
        return text, ""
    return name, tag or "!"


def _split_domain(text: str) -> Tuple[str, str]:
    first, mark, rest = text.partition("/")
    is_domain = "." in first or ":" in first or first == "localhost" or first.lower() != first
    if not mark or not is_domain:
        first, rest = _DEFAULT_DOMAIN, text
    if first in (_DEFAULT_DOMAIN, _OLD_DOMAIN):
        return _DEFAULT_DOMAIN, rest if "/" in rest else _LIBRARY + rest
    return first, rest


def registry_of(text: str) -> str:
    """The registry of a reference or a pattern; empty for the pattern of every image."""
    return "" if text == EVERY_IMAGE else _split_domain(text)[0]


@functools.lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Optional[Tuple[Pattern[str], Optional[Pattern[str]], str]]:
    """Return expressions for the repository and the tag, and the digest; None if it is malformed."""
    rest, mark, digest = pattern.partition("@")
    if not rest or (mark and not _DIGEST.match(digest)):
        return None
    if rest == EVERY_IMAGE:
        return re.compile(r".*\Z"), None, digest
    rest, tag = _split_tag(rest)
    domain, path = _split_domain(rest)
    if not re.match(r"[A-Za-z0-9_.:*/-]+\Z", f"{domain}/{path}") or not re.match(r"[A-Za-z0-9_.*-]*\Z", tag):
        return None
    return _glob(f"{domain}/{path}"), _glob(tag) if tag else None, digest


def _glob(text: str) -> Pattern[str]:
    parts = re.split(r"(\*\*|\*)", text)
    return re.compile(
        "".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts) + r"\Z"
    )


def matches(pattern: str, image: ImageReference) -> bool:
    """Whether a pattern selects a reference.

    Engines ignore the tag of a reference that also has a digest, so a pattern with a tag does not select it.
    """
    compiled = compile_pattern(pattern)
    if compiled is None:
        return False
    repository, tag, digest = compiled
    if not repository.match(image.repository) or (digest and digest != image.digest):
        return False
    return bool(tag is None or digest or (not image.digest and tag.match(image.tag)))


def any_matches(patterns: Iterable[str], image: Optional[ImageReference]) -> bool:
    """Whether one of the patterns selects the reference."""
    return image is not None and any(matches(pattern, image) for pattern in patterns)


def pinned_digest(pinned: Mapping[str, str], image: ImageReference) -> str:
    """The digest that an image must have because of its name; empty if none is pinned.

    Args:
        pinned: digests by normalised name, such as ``docker.io/library/python:3``.
        image: the name. One with a digest names the image itself.
    """
    return "" if image.digest else pinned.get(str(image), "")


def parse_pin(name: str, digest: object) -> str:
    """Return the normalised name of an image that is pinned; empty if it or the digest is malformed.

    Args:
        name: a name with a tag; without one, that of ``latest``.
        digest: the digest, ``sha256:`` and 64 digits.
    """
    image = parse_image(name)
    is_digest = isinstance(digest, str) and bool(_DIGEST.match(digest))
    return str(image) if image is not None and not image.digest and is_digest else ""
