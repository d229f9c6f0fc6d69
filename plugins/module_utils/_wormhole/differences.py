# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the differences between an existing container and its specification.

:mod:`_wormhole.plan` decides what is done about them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Optional

from .._base.plan import Reason
from .._container.attachments import (
    AttachmentDeviation,
    find_attachment_deviations,
    find_outlived_networks,
    find_surplus_networks,
)
from .._container.inspection import config_of, environment_of, host_config_of
from .._container.option import Comparison, Deviation
from .._container.options import IMAGE, NETWORKS, PLATFORM, find_deviations, merge_options, render_update
from .._wiring.inherited import find_inherited
from .._wiring.program import unwrap
from .._wiring.spec import CONTEXT_VARIABLE, RUNTIME
from .found import identity_owner
from .model import Steps, WormholeState, is_wormhole
from .resolve import as_reported
from .spec import ALWAYS, WormholeSpec

_REPLACES = "; requires a new container"


@dataclass(frozen=True)
class Difference:
    """A difference that no option expresses, such as another image. It requires a new container.

    Attributes:
        code: of the reason.
        text: of the reason, without :data:`_REPLACES`.
        before, after: both sides of the diff.
    """

    code: str
    text: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Differences:
    """All differences of a container.

    Attributes:
        others: those that no option expresses.
        options: options with another value.
        fixed_options: those of them that the engine cannot change in place.
        update: body of ``POST /containers/{id}/update`` that changes all of them; None if the
            engine cannot.
        attachments: networks that are not attached as specified.
        fixed_attachments: those of them that the engine cannot attach to an existing container.
        surplus: names of networks to leave.
        can_join: whether the engine can attach networks to the container.
    """

    others: tuple[Difference, ...]
    options: tuple[Deviation, ...]
    fixed_options: tuple[Deviation, ...]
    update: Optional[Mapping[str, Any]]
    attachments: tuple[AttachmentDeviation, ...]
    fixed_attachments: tuple[AttachmentDeviation, ...]
    surplus: tuple[str, ...]
    can_join: bool

    @property
    def require_new_container(self) -> bool:
        """Whether the container cannot be changed in place."""
        stuck = bool(self.surplus) and not self.can_join
        return bool(self.others) or self.update is None or bool(self.fixed_attachments) or stuck

    def describe(self, name: str) -> Steps:
        """Return reasons about the wormhole of this name, and diff, without actions."""
        steps = Steps()
        for other in self.others:
            steps += Steps((Reason(other.code, other.text + _REPLACES, name),), (), other.before, other.after)
        noted = [(item, item in self.fixed_options) for item in self.options]
        noted += [(item.deviation, item in self.fixed_attachments) for item in self.attachments]
        noted += [(Deviation(NETWORKS, item, None, "attached"), not self.can_join) for item in self.surplus]
        reasons = []
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for item, fixed in noted:
            reasons.append(Reason(f"{item.option}_differs", item.text + (_REPLACES if fixed else ""), name))
            _put(before, item, item.found)
            _put(after, item, item.expected)
        return steps + Steps(tuple(reasons), (), before, after)


def find_differences(
    spec: WormholeSpec, state: WormholeState, container: Mapping[str, Any], added: Mapping[str, Any]
) -> Differences:
    """Compare a container with its resolved specification and the options the wiring added."""
    deviations = find_deviations(
        as_reported(spec.options, container, state.api_version),
        unwrap(container),
        added=_with_expected_variables(spec, added, container),
        comparisons=spec.comparisons,
        image_config=_own_image_config(state, container),
    )
    options = tuple(deviations)
    values = merge_options(spec.options, added)
    surplus = _surplus_networks(spec, container)
    attachments = _attachment_deviations(spec, state, container, surplus)
    mode = str(host_config_of(container).get("NetworkMode", ""))
    can_join = mode not in ("host", "none") and not mode.startswith("container:")
    return Differences(
        tuple(_other_differences(spec, state, container)),
        options,
        tuple(item for item in options if render_update([item.option], values, container) is None),
        render_update((item.option for item in options), values, container),
        attachments,
        # Docker 26.1 ignores the MAC address when it attaches an existing container (measured).
        tuple(item for item in attachments if not can_join or item.attachment.mac_address),
        surplus,
        can_join,
    )


def fits_platform(spec: WormholeSpec, state: WormholeState) -> bool:
    """Report whether the image has the specified platform; true without image or platform."""
    return spec.platform is None or state.image is None or spec.platform.fits(state.image)


def _other_differences(
    spec: WormholeSpec, state: WormholeState, container: Mapping[str, Any]
) -> Iterator[Difference]:
    if spec.image and spec.comparisons.get(IMAGE) is not Comparison.IGNORE:
        yield from _image_differences(spec, state, container)
    if spec.recreate and not state.created_now:
        yield Difference("recreate", "recreate: requested", {"recreate": False}, {"recreate": True})
    owner = identity_owner(container)
    if spec.image and owner and not spec.wiring.identity_owner:
        text = f"identity_owner: expected the user of the container, found {owner}"
        yield Difference("identity_owner_differs", text, {"identity_owner": owner}, {"identity_owner": ""})
    if not is_wormhole(container):
        yield Difference("adopted", "adopt: the container is not a wormhole yet")


def _image_differences(
    spec: WormholeSpec, state: WormholeState, container: Mapping[str, Any]
) -> Iterator[Difference]:
    """Yield at most one difference: the image's platform, a newer image, or another image."""
    found, named = container.get("Image", ""), config_of(container).get("Image", "")
    if not fits_platform(spec, state) and spec.comparisons.get(PLATFORM) is not Comparison.IGNORE:
        text = f"platform: expected {spec.platform}, found an image for another platform"
        yield Difference("platform_differs", text, {"platform": "another"}, {"platform": str(spec.platform)})
    elif spec.pull == ALWAYS and state.image_outdated:
        text = f"image: the registry has a newer {spec.image}"
        after = {"image": f"{spec.image} from the registry"}
        yield Difference("image_differs", text, {"image": named}, after)
    elif state.image is not None and state.image["Id"] != found:
        text = f"image: expected {state.image['Id']} ({spec.image}), found {found} ({named})"
        after = {"image": f"{spec.image} {state.image['Id']}"}
        yield Difference("image_differs", text, {"image": f"{named} {found}"}, after)
    elif named != spec.image and (state.image is None or spec.recreate_renamed):
        same = "" if state.image is None else " (another name of the same image)"
        text = f"image: expected {spec.image}, found {named}{same}"
        yield Difference("image_differs", text, {"image": named}, {"image": spec.image})


def _own_image_config(state: WormholeState, container: Mapping[str, Any]) -> Optional[Mapping[str, Any]]:
    """Return ``Config`` of the image that a container was created from; None if it is unknown."""
    images = (image for image in (state.image, state.own_image) if image is not None)
    return next((config_of(image) for image in images if image["Id"] == container.get("Image")), None)


def _with_expected_variables(
    spec: WormholeSpec, added: Mapping[str, Any], container: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the wiring's options with the variables to compare, and those that must not exist.

    A container without ``DOCKER_CONTEXT`` keeps working, so that alone is no reason to replace it.
    """
    if not spec.image:
        # The container keeps its wiring, and these variables with it.
        return added
    found = environment_of(container)
    surplus = find_inherited(found, added["env"], discovering=spec.wiring.discover == RUNTIME)
    expected = {k: v for k, v in added["env"].items() if k != CONTEXT_VARIABLE or k in found}
    return {**added, "env": {**expected, **dict.fromkeys(surplus)}}


def _attachment_deviations(
    spec: WormholeSpec, state: WormholeState, container: Mapping[str, Any], surplus: tuple[str, ...]
) -> tuple[AttachmentDeviation, ...]:
    compared = () if spec.comparisons.get(NETWORKS) is Comparison.IGNORE else spec.attachments
    found = find_attachment_deviations(compared, container)
    known = {*surplus, *(item.attachment.network for item in found)}
    outlived = find_outlived_networks(compared, container, state.wiring.topology.ids)
    return (*found, *(item for item in outlived if item.attachment.network not in known))


def _surplus_networks(spec: WormholeSpec, container: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the networks to leave; only a strict comparison finds any, as in docker_container."""
    strict = spec.attachments and spec.comparisons.get(NETWORKS) is Comparison.STRICT
    if not spec.isolated and not strict:
        return ()
    return find_surplus_networks(spec.attachments, spec.network_mode, container)


def _put(side: dict[str, Any], deviation: Deviation, value: Any) -> None:
    if deviation.item:
        side.setdefault(deviation.option, {})[deviation.item] = value
    elif deviation.is_item:
        side.setdefault(deviation.option, []).extend([] if value is None else [value])
    else:
        side[deviation.option] = value
