# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused once the host is known, before anything is touched."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options import (
    find_too_new,
    find_unsupported,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import LABEL_MANAGED
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import (
    ABSENT,
    HEALTHY,
    WormholeSpec,
    WormholeState,
    is_alive,
    is_wormhole,
)


def refuse_foreign(spec: WormholeSpec, container: Optional[Mapping[str, Any]]) -> None:
    """Refuses to touch a container that is no wormhole, unless it may be adopted."""
    if container is None or is_wormhole(container):
        return
    name = container["Name"].lstrip("/")
    if not spec.adopt:
        verb = "removed" if spec.state == ABSENT else "replaced"
        raise Refused(
            f"container {name}",
            expected=f"a wormhole (label {LABEL_MANAGED}=true)",
            found="a container made by something else",
            remedy=f"Choose another name, or set adopt: true to have it {verb}",
        )


def refuse_without_image(spec: WormholeSpec, state: WormholeState) -> None:
    """Refuses to create a container of nothing."""
    if state.container is None and not spec.image:
        raise InvalidInput(
            f"wormhole {spec.name}",
            expected="an image, because there is no container of that name yet",
            remedy="Set the option image",
        )


def refuse_replacement(spec: WormholeSpec, container: Mapping[str, Any], reasons: Iterable[Reason]) -> None:
    """Refuses to replace a container by one of no image, or one that could not be put back if its replacement fails."""
    if not spec.image:
        raise InvalidInput(
            f"wormhole {spec.name}",
            expected="an image, because the container has to be replaced",
            found=next(iter(reasons)).text,
            remedy="Set the option image",
        )
    if is_alive(container) and _is_removed_by_engine(container):
        raise Refused(
            f"container {container['Name'].lstrip('/')}",
            expected="a container that could be put back if its replacement fails",
            found="one that the engine removes when it stops (auto_remove)",
            remedy="Remove it first",
        )


def refuse_stop(container: Mapping[str, Any]) -> None:
    """Refuses to stop a container that would not be there any more then."""
    if _is_removed_by_engine(container):
        raise Refused(
            f"container {container['Name'].lstrip('/')}",
            expected="a container that is still there once it is stopped",
            found="one that the engine removes when it stops (auto_remove)",
            remedy="Use state: absent",
        )


def _is_removed_by_engine(container: Mapping[str, Any]) -> bool:
    return bool((container.get("HostConfig") or {}).get("AutoRemove"))


def refuse_engine(spec: WormholeSpec, state: WormholeState) -> None:
    """Refuses what this engine or its kernel cannot do, and would ignore or half do."""
    unsupported = find_unsupported(spec.options, state.info)
    if unsupported:
        raise InvalidInput(
            f"wormhole {spec.name}",
            expected="no options that this host's kernel cannot fulfil",
            found=", ".join(unsupported),
            remedy="Leave them out, or see the warnings of docker info",
        )
    needed = {**find_too_new(spec.options, state.api_version)}
    for attachment in spec.attachments:
        needed.update(
            {part: since for part, since in attachment.needs().items() if state.api_version < since}
        )
    for part, since in needed.items():
        raise InvalidInput(
            part,
            expected=f"an engine with API {_dotted(since)} or later",
            found=f"API {_dotted(state.api_version)}",
            remedy="Leave it out on this host",
        )
    _refuse_without_healthcheck(spec, state)


def _refuse_without_healthcheck(spec: WormholeSpec, state: WormholeState) -> None:
    unknown = (state.image if spec.image else state.container) is None
    if spec.state != HEALTHY or "healthcheck" in spec.options or unknown:
        return
    configs = [(found or {}).get("Config") or {} for found in (state.image, state.container)]
    if not any(config.get("Healthcheck") for config in configs):
        raise InvalidInput(
            "state healthy",
            expected="option healthcheck, or one of the image's",
            found="none",
            remedy="Use state started",
        )


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))
