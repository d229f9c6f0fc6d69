# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A policy as data: a preset's sections, replaced by those of the overrides.

Each section of ``policy_overrides`` replaces the preset's section of that name, except for ``powers``,
``limits``, ``ports``, ``names``, ``labels``, ``targets`` and ``cleanup``, whose keys are replaced one by one.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Sequence, Tuple

from .._base.errors import InvalidInput
from .images import EVERY_IMAGE, compile_pattern, parse_pin
from .policy import (
    BUILDS,
    CLEANUPS,
    ENFORCE,
    LEVELS,
    MODES,
    RESTARTS,
    UNRESTRICTED,
    Bind,
    Cleanup,
    Labels,
    Limits,
    Names,
    Policy,
    Ports,
    Targets,
)
from .presets import ci, compose, discover, observe, tend, test, unrestricted, update
from .routes import POWERS
from .until import parse_until

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "observe": observe.PRESET,
    "discover": discover.PRESET,
    "tend": tend.PRESET,
    "test": test.PRESET,
    "ci": ci.PRESET,
    "compose": compose.PRESET,
    "update": update.PRESET,
    UNRESTRICTED: unrestricted.PRESET,
}
OVERRIDES = "policy_overrides"
"""The option whose sections are parsed here, for messages."""

_KEYS = ("identity", "preset", "mode", "overrides", "until")
_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([bkmgt]?)b?\Z", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DURATION = re.compile(r"([0-9]+)(s|m|h|)\Z")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_VERBS = ("start", "stop", "restart", "kill", "pause", "unpause", "wait", "resize", "rename", "delete")
_THE_HOST = (
    "/run/docker.sock", "/var/run", "/var/lib/docker", "/var/lib/containerd", "/run/containerd", "/etc/docker",
    "/etc/wormhole", "/run/wormhole", "/proc", "/sys", "/dev", "/boot", "/root/.ssh", "/etc/shadow",
)  # fmt: skip
MERGED = ("powers", "limits", "ports", "names", "labels", "targets", "cleanup")
_VERSION_LENGTH = 12


def parse_policy(data: Any) -> Policy:
    """Return a policy from its file: ``identity``, ``preset``, ``mode``, ``overrides`` and ``until``.

    Args:
        data: what :mod:`json` returns for the file.

    Raises:
        InvalidInput: an unknown key, or a value that a section does not take.
    """
    document = _mapping(data, "policy", _KEYS)
    identity, preset = document.get("identity"), document.get("preset")
    if not isinstance(identity, str) or not _IDENTITY.match(identity):
        _fail("policy.identity", "the name of an identity", identity)
    if not isinstance(preset, str) or preset not in PRESETS:
        _fail("policy.preset", _one_of(PRESETS), preset)
    mode = document.get("mode", ENFORCE)
    if mode not in MODES:
        _fail("policy.mode", _one_of(MODES), mode)
    overrides = _mapping(document.get("overrides") or {}, OVERRIDES, tuple(_SECTIONS))
    if preset == UNRESTRICTED and overrides:
        raise InvalidInput(
            OVERRIDES,
            problem="The preset unrestricted allows everything and marks nothing, so nothing can be overridden",
            remedy="Choose another preset, or remove the overrides",
        )
    values = _sections(PRESETS[preset], overrides, identity)
    until = None if document.get("until") is None else parse_until(document["until"], "policy_until")
    text = json.dumps(
        [identity, preset, mode, until, PRESETS[preset], overrides], sort_keys=True, default=str
    )
    version = hashlib.sha256(text.encode()).hexdigest()[:_VERSION_LENGTH]
    policy = Policy(identity=identity, preset=preset, mode=mode, version=version, until=until, **values)
    _check(policy)
    return policy


def _sections(preset: Mapping[str, Any], overrides: Mapping[str, Any], identity: str) -> Dict[str, Any]:
    values: Dict[str, Any] = {}
    for name, read in _SECTIONS.items():
        where = f"{OVERRIDES}.{name}"
        given, default = overrides.get(name), preset.get(name)
        if given is not None and name in MERGED:
            given = {**(default or {}), **_mapping(given, where)}
        chosen = default if given is None else given
        if chosen is not None:
            values[name] = read(_fill_in(chosen, identity), where)
    return values


def _fill_in(value: Any, identity: str) -> Any:
    """Replace ``{identity}`` in the texts of a list."""
    if isinstance(value, (list, tuple)):
        return [item.replace("{identity}", identity) if isinstance(item, str) else item for item in value]
    return value


def _check(policy: Policy) -> None:
    """Reject contradictions between sections."""
    if "targets" in policy.powers.values() and not (policy.targets.names or policy.targets.labels):
        raise InvalidInput(
            f"{OVERRIDES}.targets",
            problem=f"The preset {policy.preset} of {policy.identity} has no targets",
            remedy=f"Set {OVERRIDES}.targets.names or {OVERRIDES}.targets.labels",
        )
    if policy.restricted:
        _check_restricted(policy)
    if policy.names.prefix and any(
        policy.names.prefix.startswith(prefix) for prefix in policy.names.reserved
    ):
        raise InvalidInput(
            f"{OVERRIDES}.names.prefix",
            problem=f"The prefix {policy.names.prefix} begins with one that is reserved",
            remedy="Choose another prefix",
        )


def _check_restricted(policy: Policy) -> None:
    """At level ``restricted``, nothing is without a limit."""
    missing = [name for name in ("memory", "cpus", "pids") if getattr(policy.limits, name) is None]
    if missing:
        raise InvalidInput(
            f"{OVERRIDES}.limits",
            problem=f"The level restricted needs a limit of {' and '.join(missing)}",
            remedy=f"Set {OVERRIDES}.limits.{missing[0]}",
        )
    if EVERY_IMAGE in policy.images:
        raise InvalidInput(
            f"{OVERRIDES}.images",
            problem=f"The level restricted does not allow every image ({EVERY_IMAGE})",
            remedy=f"List the images in {OVERRIDES}.images",
        )


def _fail(where: str, wanted: str, found: Any) -> NoReturn:
    shown = type(found).__name__ if isinstance(found, (dict, list)) else repr(found)
    raise InvalidInput(where, expected=wanted, found=shown[:200], remedy=f"Correct {where}")


def _one_of(values: Any) -> str:
    return "one of " + ", ".join(values)


def _mapping(value: Any, where: str, keys: Optional[Sequence[str]] = None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        _fail(where, "a mapping", value)
    for key in value:
        if keys is not None and key not in keys:
            raise InvalidInput(
                f"{where}.{key}", problem=f"{where} has no key {key!r}", remedy=f"Use {_one_of(keys)}"
            )
    return value


def _texts(value: Any, where: str) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and item for item in value):
        _fail(where, "a list of strings", value)
    return tuple(value)


def _all(wanted: str, accepts: Callable[[str], Any]) -> Callable[[Any, str], Tuple[str, ...]]:
    """A parser of a list of strings, each of which must be accepted."""

    def read(value: Any, where: str) -> Tuple[str, ...]:
        texts = _texts(value, where)
        for number, text in enumerate(texts):
            if not accepts(text):
                _fail(f"{where}[{number}]", wanted, text)
        return texts

    return read


def _choice(values: Sequence[str]) -> Callable[[Any, str], str]:
    def read(value: Any, where: str) -> str:
        if value not in values:
            _fail(where, _one_of(values), value)
        return str(value)

    return read


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        _fail(where, "true or false", value)
    return value


def _powers(value: Any, where: str) -> Mapping[str, str]:
    found: Dict[str, str] = {}
    known = [power for power in POWERS if not power.startswith("build.")]
    for power, reach in _mapping(value, where, known).items():
        if reach not in ("none", "own", "targets", "all"):
            _fail(f"{where}.{power}", "one of none, own, targets, all", reach)
        if reach != "none":
            found[power] = reach
    return found


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "/" in text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return text == "*"
    return True


def _binds(value: Any, where: str) -> Tuple[Bind, ...]:
    if not isinstance(value, (list, tuple)):
        _fail(where, "a list", value)
    return tuple(_bind(item, f"{where}[{number}]") for number, item in enumerate(value))


def _bind(value: Any, where: str) -> Bind:
    row = (
        {"path": value} if isinstance(value, str) else _mapping(value, where, ("path", "below", "read_only"))
    )
    path = row.get("path")
    if not isinstance(path, str) or not _is_plain_path(path):
        _fail(f"{where}.path", "an absolute path without . and .. and a slash at its end", path)
    _check_source(path, f"{where}.path")
    below, read_only = _flag(row.get("below", False), where), _flag(row.get("read_only", False), where)
    return Bind(path, below, read_only)


def _check_source(path: str, where: str) -> None:
    """Reject a directory that would give the engine itself, or the kernel, to a container."""
    for other in _THE_HOST:
        if f"{other}/".startswith(f"{path}/") or path.startswith(f"{other}/"):
            raise InvalidInput(
                where,
                problem=f"{where} is {path}, which is as good as root on the host because of {other}",
                remedy="Choose another directory, or the preset unrestricted if this is meant",
            )


def _is_plain_path(path: str) -> bool:
    parts = path.split("/")[1:]
    return path.startswith("/") and ":" not in path and all(part not in ("", ".", "..") for part in parts)


def _ports(value: Any, where: str) -> Ports:
    row = _mapping(value, where, ("addresses", "ranges", "random"))
    ranges = _texts([str(item) for item in row.get("ranges", ())], f"{where}.ranges")
    return Ports(
        _all("an IP address or *", _is_address)(row.get("addresses", ()), f"{where}.addresses"),
        tuple(_range(text, f"{where}.ranges[{number}]") for number, text in enumerate(ranges)),
        _flag(row.get("random", False), f"{where}.random"),
    )


def _range(text: str, where: str) -> Tuple[int, int]:
    first, _mark, last = text.partition("-")
    if not re.match(r"[0-9]{1,5}(-[0-9]{1,5})?\Z", text) or not 0 < int(first) <= int(last or first) < 65536:
        _fail(where, "a port or FIRST-LAST", text)
    return int(first), int(last or first)


def _names(value: Any, where: str) -> Names:
    row = _mapping(value, where, ("prefix", "reserved"))
    prefix = row.get("prefix", "")
    if prefix != "" and not (isinstance(prefix, str) and _NAME.match(prefix)):
        _fail(f"{where}.prefix", "the beginning of a name", prefix)
    accepts = _all("the beginning of a name", _NAME.match)
    return Names(prefix, accepts(row.get("reserved", ()), f"{where}.reserved"))


def _pinned(value: Any, where: str) -> Mapping[str, str]:
    pins = {parse_pin(name, digest): digest for name, digest in _mapping(value, where).items()}
    if "" in pins:
        _fail(where, "a digest (sha256:…) for each name of an image with its tag", pins[""])
    return pins


def _labels(value: Any, where: str) -> Labels:
    row = _mapping(value, where, ("allow", "required"))
    required = _mapping(row.get("required", {}), f"{where}.required")
    for key, text in required.items():
        if not isinstance(text, str):
            _fail(f"{where}.required.{key}", "a string", text)
    return Labels(_texts(row.get("allow", ()), f"{where}.allow"), dict(required))


def _targets(value: Any, where: str) -> Targets:
    row = _mapping(value, where, ("names", "labels"))
    return Targets(
        _texts(row.get("names", ()), f"{where}.names"), _texts(row.get("labels", ()), f"{where}.labels")
    )


def _cleanup(value: Any, where: str) -> Cleanup:
    row = _mapping(value, where, ("mode", "after"))
    mode = _choice(CLEANUPS)(row.get("mode", "none"), f"{where}.mode")
    after = str(row.get("after", 60))
    match = _DURATION.match(after)
    if not match:
        _fail(f"{where}.after", "a duration such as 60s", after)
    return Cleanup(mode, int(match[1]) * _SECONDS[match[2]])  # type: ignore[arg-type]


def _size(value: Any, where: str) -> int:
    match = _SIZE.match(value if isinstance(value, str) else str(value))
    if isinstance(value, bool) or not match:
        _fail(where, "a size such as 512m", value)
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _count(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _fail(where, "a number of at least 0", value)
    return value


def _cpus(value: Any, where: str) -> int:
    if isinstance(value, bool) or not re.match(r"[0-9]+(\.[0-9]{1,9})?\Z", str(value)) or float(value) <= 0:
        _fail(where, "a number of CPUs above 0", value)
    return round(float(value) * 1_000_000_000)


_LIMITS: Mapping[str, Callable[[Any, str], int]] = {
    **dict.fromkeys(("memory", "shm", "tmpfs", "storage"), _size),
    **dict.fromkeys(("pids", "containers", "running", "networks", "volumes"), _count),
    "cpus": _cpus,
}


def _limits(value: Any, where: str) -> Limits:
    row = _mapping(value, where, tuple(_LIMITS))
    values = {
        key: None if item is None else _LIMITS[key](item, f"{where}.{key}") for key, item in row.items()
    }
    return Limits(**values)


_is_name: Callable[[str], Any] = _NAME.match
_SECTIONS: Mapping[str, Callable[[Any, str], Any]] = {
    "powers": _powers,
    "level": _choice(LEVELS),
    "images": _all("a pattern of images", compile_pattern),
    "tags": _all("a pattern of images", compile_pattern),
    "pinned": _pinned,
    "binds": _binds,
    "networks": _all("the name of a network other than host", lambda name: _is_name(name) and name != "host"),
    "subnets": _all("a subnet such as 10.9.0.0/16", _is_cidr),
    "internal": _flag,
    "volumes": _all("the name of a volume", _is_name),
    "volumes_from_self": _flag,
    "volume_servers": _all("the address or name of a server", re.compile(r"[A-Za-z0-9.:-]+\Z").match),
    "ports": _ports,
    "names": _names,
    "labels": _labels,
    "limits": _limits,
    "targets": _targets,
    "cleanup": _cleanup,
    "build": _choice(BUILDS),
    "devices": _texts,
    "verbs": _all(_one_of(_VERBS), _VERBS.__contains__),
    "restart": _all(_one_of(RESTARTS), RESTARTS.__contains__),
    "environment": _flag,
    "recreate": _flag,
}
"""The sections of a preset and of ``policy_overrides``, and what parses each."""
SECTIONS: List[str] = list(_SECTIONS)
