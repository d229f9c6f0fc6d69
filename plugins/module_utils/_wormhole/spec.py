# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired wormhole: the options of its container, parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Mapping, Optional, get_args

from .._base.errors import InvalidInput
from .._container.attachments import Attachment, parse_attachments, split_network_mode
from .._container.names import is_image_id, parse_image
from .._container.option import Comparison
from .._container.options import NETWORKS, parse_comparisons, parse_options
from .._container.platform import Platform, parse_platform
from .._container.ports import parse_default_address
from .._container.process import parse_signal
from .._wiring.options import parse_wiring
from .._wiring.spec import WiringSpec
from .fixed_options import reject_other_values

PREVIOUS_SUFFIX = ".wormhole-former"
"""Appended to the name of the previous container until the new one is verified."""
SUCCESSOR_SUFFIX = ".wormhole-next"
"""Appended to the name of the new container until the previous one is stopped."""

State = Literal["absent", "present", "stopped", "started", "healthy"]
ABSENT: Final = "absent"
PRESENT: Final = "present"
STOPPED: Final = "stopped"
STARTED: Final = "started"
HEALTHY: Final = "healthy"
STATES: tuple[State, ...] = get_args(State)

Pull = Literal["missing", "always", "never"]
MISSING: Final = "missing"
ALWAYS: Final = "always"
NEVER: Final = "never"
PULLS = (NEVER, MISSING, ALWAYS, True, False)

RECREATE: Final = "recreate"
IGNORE: Final = "ignore"
FAIL: Final = "fail"
WARN: Final = "warn"

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(frozen=True)
class WormholeSpec:
    """A specified wormhole.

    Most attributes are options of wormhole_container. The others are:

    Attributes:
        image: empty if the existing container keeps its own.
        options: canonical values of the container's options, see :mod:`_container.options`.
        attachments: networks to join.
        isolated: whether to join no network, because ``networks`` is empty and compared strictly.
        stop_timeout: seconds; None for the timeout that the container was created with.
        program: text of the program for ``discover: runtime``.
        platform: None for the engine's own.
        comparisons: comparisons that differ from the default, by option.
        healthy_wait_timeout: seconds; 0 waits forever.
        kill: signal that stops the container; empty for the default.
        default_host_ip: empty for the engine's default; None for the default of the networks.
        paused: None to leave a running container as it is.
        remove_failed: whether ``cleanup`` also removes a container that exited with another code
            than 0.
        recreate_renamed: whether another name of the same image requires a new container.
        reject_image_labels: whether the image may only have labels that ``labels`` names.
        warn_of_limits: whether a limit that the kernel does not support is left out.
    """

    name: str
    state: State = STARTED
    image: str = ""
    pull: Pull = MISSING
    options: Mapping[str, Any] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    isolated: bool = False
    wiring: WiringSpec = WiringSpec()
    recreate: bool = False
    adopt: bool = False
    stop_timeout: Optional[int] = None
    verify: bool = True
    program: str = ""
    platform: Optional[Platform] = None
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    healthy_wait_timeout: float = 0.0
    detach: bool = True
    cleanup: bool = False
    kill: str = ""
    keep_volumes: bool = True
    default_host_ip: Optional[str] = None
    restart: bool = False
    paused: Optional[bool] = None
    remove_failed: bool = False
    recreate_renamed: bool = True
    reject_image_labels: bool = False
    warn_of_limits: bool = False

    @property
    def runs(self) -> bool:
        """Whether the container is to run."""
        return self.state in (STARTED, HEALTHY)

    @property
    def pulls(self) -> bool:
        """Whether the image may be pulled."""
        return self.pull != NEVER and not is_image_id(self.image)

    @property
    def network_mode(self) -> str:
        """The first network of the container; empty for the default bridge."""
        otherwise = "none" if self.isolated else next((a.network for a in self.attachments), "")
        return str(self.options.get("network_mode") or otherwise)

    @property
    def previous_name(self) -> str:
        """The name of the previous container until the new one is verified."""
        return self.name + PREVIOUS_SUFFIX

    @property
    def successor_name(self) -> str:
        """The name of the new container until the previous one is stopped."""
        return self.name + SUCCESSOR_SUFFIX


def parse_spec(params: Mapping[str, Any], socket_path: str) -> WormholeSpec:
    """Parse a module's parameters.

    Args:
        params: parameters of the module wormhole_container.
        socket_path: the engine's socket on the host.

    Raises:
        InvalidInput: a parameter is malformed, or some contradict each other.
    """
    name = params["name"]
    if not _NAME.fullmatch(name):
        problem = f"name {name!r} is not the name of a container: it needs at least two characters, "
        problem += "a letter or digit first, followed by letters, digits, _ . or -"
        raise InvalidInput(f"name {name!r}", problem=problem)
    reject_other_values(params)
    networks, network_mode = split_network_mode(params.get("networks"), params.get("network_mode"))
    options, host_ip = parse_options({**params, "network_mode": network_mode}), params.get("default_host_ip")
    detach, removed = params.get("detach") is not False, bool(options.get("auto_remove"))
    _reject_contradictions(params, options)
    if not detach:
        # The engine would remove the container before its output is read; the module removes it.
        options.pop("auto_remove", None)
    attachments = parse_attachments(networks, options.get("network_mode", ""))
    comparisons = parse_comparisons(params.get("comparisons"))
    strictly = comparisons.get(NETWORKS) is Comparison.STRICT
    isolated = strictly and networks == [] and "network_mode" not in options
    wiring = parse_wiring(params, socket_path, options, attachments, isolated=isolated)
    return WormholeSpec(
        name=name,
        state=params["state"],
        image=parse_image("image", params["image"]) if params.get("image") else "",
        pull=_parse_pull(params.get("pull")),
        options=options,
        attachments=attachments,
        isolated=isolated,
        wiring=wiring,
        recreate=params["recreate"],
        adopt=params["adopt"],
        stop_timeout=params.get("stop_timeout"),
        verify=params["verify"],
        program=params.get("discover_program") or "",
        platform=parse_platform("platform", params["platform"]) if params.get("platform") else None,
        comparisons=comparisons,
        healthy_wait_timeout=max(params.get("healthy_wait_timeout") or 0.0, 0.0),
        detach=detach,
        cleanup=bool(params.get("cleanup")) or (removed and not detach),
        remove_failed=removed and not detach,
        kill=_parse_kill(params),
        keep_volumes=params.get("keep_volumes") is not False,
        default_host_ip=None if host_ip is None else parse_default_address("default_host_ip", host_ip),
        restart=bool(params.get("restart")),
        paused=params.get("paused"),
        recreate_renamed=params.get("image_name_mismatch") != IGNORE,
        reject_image_labels=params.get("image_label_mismatch") == FAIL,
        warn_of_limits=params.get("unsupported_limits") == WARN,
    )


def _parse_pull(value: Any) -> Pull:
    if value not in PULLS and value is not None:
        raise InvalidInput("pull", expected="never, missing, always, true or false", found=repr(value))
    if value in (True, False):
        # 1 and 0, too: they equal True and False.
        return ALWAYS if value else MISSING
    pull: Pull = value or MISSING
    return pull


def _parse_kill(params: Mapping[str, Any]) -> str:
    signal = params.get("kill_signal")
    if signal and not params.get("force_kill"):
        raise InvalidInput("kill_signal", problem="kill_signal requires force_kill: true")
    return parse_signal("kill_signal", signal or "SIGKILL") if params.get("force_kill") else ""


def _reject_contradictions(params: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Reject options of the module and the container that exclude each other."""
    detach, state = params.get("detach") is not False, params["state"]
    if params.get("cleanup") and detach:
        raise InvalidInput("cleanup", problem="cleanup requires detach: false")
    if not detach and state not in (ABSENT, STARTED):
        problem = f"detach: false requires state started, not {state}"
        raise InvalidInput("detach", found=state, problem=problem)
    if params.get("paused") and (state == HEALTHY or (not detach and state == STARTED)):
        other, why = ("detach: false", "ends") if not detach else ("state healthy", "becomes healthy")
        problem = f"paused and {other} exclude each other: a paused container never {why}"
        raise InvalidInput("paused", problem=problem)
    if options.get("auto_remove") and state == STOPPED:
        problem = "auto_remove and state stopped exclude each other: a container that stops would be removed"
        raise InvalidInput("auto_remove", problem=problem)
    if state == HEALTHY and options.get("healthcheck", {}).get("test") == ("NONE",):
        problem = "state healthy requires a healthcheck, and the option healthcheck disables it"
        raise InvalidInput("state healthy", problem=problem)
