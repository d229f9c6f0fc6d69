# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rejects what is impossible or not allowed on a host, before anything is changed."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from .._base.errors import InvalidInput, Refused
from .._base.labels import LABEL_MANAGED
from .._base.plan import Reason
from .._container.inspection import config_of, host_config_of, is_alive, labels_of, name_of
from .._container.option import Comparison
from .._container.options import find_too_new, find_unsupported
from .model import WormholeState, is_wormhole
from .spec import ABSENT, HEALTHY, WormholeSpec


def reject_unmanaged(spec: WormholeSpec, container: Optional[Mapping[str, Any]]) -> None:
    """Reject to change a container that is not a wormhole, unless it may be adopted."""
    if container is None or is_wormhole(container) or spec.adopt:
        return
    subject = f"container {name_of(container)}"
    problem = f"The {subject} is not managed by this collection: it has no label {LABEL_MANAGED}=true"
    to = "remove" if spec.state == ABSENT else "replace"
    raise Refused(subject, problem=problem, remedy=f"Choose another name, or set adopt: true to {to} it")


def reject_missing_image(spec: WormholeSpec, state: WormholeState) -> None:
    """Reject to create a container without an image."""
    if state.container is None and not spec.image:
        raise _no_image(spec, f"The container {spec.name} does not exist, and the task names no image")


def reject_replacement(spec: WormholeSpec, container: Mapping[str, Any], reasons: Iterable[Reason]) -> None:
    """Reject a replacement without an image, or that could not be undone if it fails."""
    if not spec.image:
        problem = f"The container {spec.name} has to be replaced, and the task names no image"
        raise _no_image(spec, f"{problem}: {next(iter(reasons)).text}")
    if is_alive(container) and _is_removed_by_engine(container):
        subject = f"container {name_of(container)}"
        problem = f"The {subject} cannot be replaced while it runs: the engine removes it when it stops "
        problem += "(auto_remove), and it could not be restored if the replacement fails"
        raise Refused(subject, problem=problem, remedy="Remove it first")


def reject_stop(container: Mapping[str, Any]) -> None:
    """Reject to stop a container that the engine would remove."""
    if _is_removed_by_engine(container):
        subject = f"container {name_of(container)}"
        problem = f"The {subject} cannot be stopped and kept: "
        problem += "the engine removes it when it stops (auto_remove)"
        raise Refused(subject, problem=problem, remedy="Use state: absent")


def reject_image_labels(spec: WormholeSpec, image: Optional[Mapping[str, Any]]) -> None:
    """Reject an image with labels that the task does not name, if it asks for that.

    As in docker_container, only a strict comparison of ``labels`` asks for it.
    """
    strict = spec.comparisons.get("labels") is Comparison.STRICT and "labels" in spec.options
    if not spec.reject_image_labels or not strict:
        return
    surplus = sorted(set(labels_of(image)) - set(spec.options["labels"]))
    if surplus:
        subject = f"image {spec.image}"
        problem = f"The {subject} has labels that the task does not set: {', '.join(surplus)}"
        remedy = "Set them in labels, or set image_label_mismatch: ignore"
        raise InvalidInput(subject, problem=problem, remedy=remedy)


def limit_warnings(spec: WormholeSpec, state: WormholeState) -> tuple[str, ...]:
    """Warn of limits that are left out because the kernel does not support them."""
    names = find_unsupported(spec.options, state.info) if spec.warn_of_limits and spec.state != ABSENT else ()
    if not names:
        return ()
    these = "this limit" if len(names) == 1 else "these limits"
    found = f"the kernel of this host does not support {', '.join(names)}"
    return (f"{spec.name}: {found}. The container runs without {these}",)


def reject_unsupported(spec: WormholeSpec, state: WormholeState) -> None:
    """Reject what this engine or its kernel does not support, and would ignore or do in part."""
    unsupported = ", ".join(find_unsupported(spec.options, state.info))
    if unsupported:
        subject = f"wormhole {spec.name}"
        problem = f"{subject}: the kernel of this host does not support {unsupported}"
        remedy = "Remove these options, set unsupported_limits: warn, or see the warnings of docker info"
        raise InvalidInput(subject, problem=problem, remedy=remedy)
    needed = dict(find_too_new(spec.options, state.api_version))
    for attachment in spec.attachments:
        needs = attachment.needs()
        needed.update({part: since for part, since in needs.items() if state.api_version < since})
    for part, since in needed.items():
        problem = f"{part} requires an engine with API {_dotted(since)} or later, "
        problem += f"but this one has API {_dotted(state.api_version)}"
        raise InvalidInput(part, problem=problem, remedy="Remove it from the task for this host")
    _reject_missing_healthcheck(spec, state)


def _reject_missing_healthcheck(spec: WormholeSpec, state: WormholeState) -> None:
    unknown = (state.image if spec.image else state.container) is None
    if spec.state != HEALTHY or "healthcheck" in spec.options or unknown:
        return
    if not any(config_of(found).get("Healthcheck") for found in (state.image, state.container)):
        problem = "state healthy requires the option healthcheck, or an image with a healthcheck"
        raise InvalidInput("state healthy", problem=problem, remedy="Use state started")


def _is_removed_by_engine(container: Mapping[str, Any]) -> bool:
    return bool(host_config_of(container).get("AutoRemove"))


def _no_image(spec: WormholeSpec, problem: str) -> InvalidInput:
    return InvalidInput(f"wormhole {spec.name}", problem=problem, remedy="Set the option image")


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))
