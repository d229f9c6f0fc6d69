# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of images and tags.

What a rule is: :mod:`_policy.rules`.
"""

from __future__ import annotations

from typing import Iterable, Optional, Sequence

from .call import Json
from .decision import IMAGE, Found, Refusal
from .images import ImageReference, any_matches, is_image_id, parse_image, pinned_digest, registry_of
from .policy import Policy
from .scope import RuleResult, Scope, no_such
from .text import malformed


def references_of(found: Optional[Found]) -> Iterable[Optional[ImageReference]]:
    """The names and digests by which the store has an image."""
    return [parse_image(text) for text in found.references] if found else []


def wanted_image(reference: str, found: Optional[Found]) -> Sequence[Optional[ImageReference]]:
    """Return what a reference names: itself, or if it is an ID, every name of the image.

    Engines also take the beginning of an ID, which looks like a name. So a reference to an image that the
    store has only counts as a name if it is one of the image's names.
    """
    named = None if is_image_id(reference) else parse_image(reference)
    if found is None:
        return [named]
    names = list(references_of(found))
    if (
        named is not None
        and (ImageReference(named.repository, "", named.digest) if named.digest else named) in names
    ):
        return [named]
    return names


def sees_image(scope: Scope, reference: str, found: Optional[Found]) -> bool:
    """Whether a pattern of images or of tags selects an image.

    Labels of an image do not tell its owner: images that others build from it inherit them.
    """
    patterns = (*scope.policy.images, *scope.policy.tags)
    return any(any_matches(patterns, name) for name in wanted_image(reference, found))


def runs_image(policy: Policy, found: Found) -> bool:
    """Whether a container may have this image, by any of its names."""
    return any(
        any_matches((*policy.images, *policy.tags), name) and is_as_pinned(policy, name, found)
        for name in references_of(found)
    )


def is_as_pinned(policy: Policy, name: Optional[ImageReference], found: Optional[Found]) -> bool:
    """Whether an image has the digest that is pinned under this name, if one is."""
    digest = pinned_digest(policy.pinned, name) if name is not None else ""
    if name is None or not digest or found is None:
        return True
    return found.id == digest or ImageReference(name.repository, "", digest) in references_of(found)


def check_pin(
    scope: Scope, reference: str, names: Iterable[Optional[ImageReference]], found: Optional[Found]
) -> None:
    """Check an image by the names under which it may be run.

    Raises:
        Refusal: it is not the one that is pinned under any of them.
    """
    if not any(is_as_pinned(scope.policy, name, found) for name in names):
        pins = ", ".join(f"{name} as {digest}" for name, digest in sorted(scope.policy.pinned.items()))
        raise Refusal(
            "image", f"The image {reference} is not the one that is pinned", allowed=pins, setting="pinned"
        )


def check_image(scope: Scope, reference: str, where: str) -> Optional[Found]:
    """Check an image that a container runs or mounts; return it, or None if the store lacks it.

    Raises:
        Pending: the engine has not been asked about it.
        Refusal: malformed, or no pattern selects it.
    """
    if not is_image_id(reference) and parse_image(reference) is None:
        raise malformed(f"{where} is not a reference to an image")
    found = scope.find(IMAGE, reference)
    if not sees_image(scope, reference, found):
        raise refuse_image(scope, reference)
    patterns = (*scope.policy.images, *scope.policy.tags)
    names = [name for name in wanted_image(reference, found) if any_matches(patterns, name)]
    check_pin(scope, reference, names, found)
    return found


def refuse_image(scope: Scope, reference: str) -> Refusal:
    """An image that no pattern selects."""
    return Refusal(
        "image", f"The image {reference} is not allowed",
        allowed=", ".join((*scope.policy.images, *scope.policy.tags)) or "None", setting="images",
    )  # fmt: skip


def image(scope: Scope, value: Json, where: str) -> RuleResult:
    if not value:
        raise malformed("The body names no image")
    found = check_image(scope, value, where)
    scope.image = found.id if found is not None else _pinned_image(scope, value)
    return value


def _pinned_image(scope: Scope, reference: str) -> str:
    """What an image that the store lacks would have to be, in case that it has it by then."""
    name = parse_image(reference)
    return pinned_digest(scope.policy.pinned, name) if name is not None else ""


def pull(scope: Scope, value: Json, tag: str) -> None:
    """Check ``fromImage`` and ``tag`` of a pull.

    Raises:
        Pending: the engine has not been asked about an image to update.
        Refusal: malformed, or no pattern selects it.
    """
    mark = "@" if tag.startswith("sha256:") else ":"
    name = parse_image(f"{value}{mark}{tag}" if tag else value)
    if name is None:
        raise malformed("The parameters fromImage and tag do not name an image")
    if any_matches((*scope.policy.images, *scope.policy.tags), name):
        return
    # An updater pulls what the host has.
    if not scope.policy.recreate or scope.find(IMAGE, str(name)) is None:
        raise refuse_image(scope, str(name))


def check_registry(scope: Scope, registry: str, where: str) -> None:
    """Check a registry to which the engine connects for the identity.

    Raises:
        Refusal: it is neither Docker Hub nor the registry of a pattern of images or of tags.
    """
    patterns = (*scope.policy.images, *scope.policy.tags)
    # The pattern of every image names no registry, and neither does an address such as "/".
    known = {*_DOCKER_HUB, *map(registry_of, patterns)} - {""}
    if scope.policy.reach(scope.route.power) != "all" and registry not in known:
        raise Refusal(
            "image", f"{where} names the registry {registry}, which is not allowed",
            allowed=", ".join(sorted(known)), setting="images",
        )  # fmt: skip


def server_address(scope: Scope, value: Json, where: str) -> RuleResult:
    # Old clients send a URL: https://index.docker.io/v1/
    check_registry(scope, value.rpartition("://")[2].partition("/")[0], where)
    return value


_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


def check_new_tag(scope: Scope, reference: str) -> None:
    """Check a tag that is set.

    Raises:
        Refusal: malformed, or no pattern of tags selects it.
    """
    name = parse_image(reference)
    if name is None or name.digest:
        raise malformed("The new tag is malformed")
    if not any_matches(scope.policy.tags, name):
        raise _refuse_tag(scope, f"The tag {reference}")


def _refuse_tag(scope: Scope, what: str) -> Refusal:
    return Refusal(
        "tag", f"{what} is not one of this identity's",
        allowed=", ".join(scope.policy.tags) or "None", setting="tags",
    )  # fmt: skip


def changeable_image(scope: Scope, reference: str) -> Found:
    """Return an image whose tag may be removed or pushed.

    Raises:
        Pending: the engine has not been asked about it.
        Refusal: there is no such image, or it has a name that no pattern of tags selects.
    """
    found = scope.find(IMAGE, reference)
    if found is None:
        raise no_such(IMAGE, reference)
    names = wanted_image(reference, found)
    if scope.policy.reach(scope.route.power) == "all":
        return found
    if names and all(any_matches(scope.policy.tags, name) for name in names):
        return found
    if not sees_image(scope, reference, found):
        raise no_such(IMAGE, reference)
    raise _refuse_tag(scope, f"The image {reference}")
