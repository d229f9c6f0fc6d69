# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which override makes a policy allow a recorded call.

Nothing here opens what is as good as root: fields that no override allows, directories such as
``/var/run``, volumes of other wormholes, powers that no preset has, and changes to objects that the identity has not created, other
than the life of named containers.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from .call import Json
from .decision import CONTAINER, IMAGE, NETWORK, VOLUME, Deny
from .images import parse_image
from .learned_call import LearnedCall
from .names import GRANTING_LABELS
from .naming import FOREIGN
from .policy import Policy
from .policy_file import MERGED, PRESETS
from .routes import ROUTES
from .rules_labels import COLLECTION
from .rules_network import EVERY_ADDRESS

Overrides = Dict[str, Json]
ON_OTHERS = ("list", "inspect", "logs", "metrics", "events", "container.life")
"""Powers that may be suggested for containers of others."""
ON_ALL = ("network.connect", "image.remove", "search", "pull")
"""Powers that a preset has for all objects. They are suggested for all where no list helps."""
OF_PRESETS = frozenset(power for preset in PRESETS.values() for power in preset["powers"])
"""The powers that presets have. Others, such as ``image.load``, can replace or read any image of the host."""
_BESIDE_BUILDS = ("build.prune", "build.cancel")
"""Not worth BuildKit, which is next to root, to a client that does not build."""
_MANY_TARGETS = 16
_FIELDS: Mapping[str, Tuple[str, ...]] = {
    "memory": ("Memory", "MemoryReservation", "memory"),
    "cpus": ("NanoCpus",),
    "pids": ("PidsLimit",),
    "shm": ("ShmSize", "shmsize"),
}
"""Fields and parameters by the limit that holds for them."""


def widen(policy: Policy, overrides: Overrides, call: LearnedCall, deny: Deny) -> Optional[Overrides]:
    """Return overrides with which the call is not refused for this reason; None if there are none."""
    change = _CHANGES.get("powers" if deny.code in ("not_found", "not_owner") else deny.setting)
    if deny.code == "not_found" and deny.setting == "":
        change = _unseen
    if change is None:
        return None
    found = change(policy, call)
    if not found:
        return None
    return merge(overrides, found)


def merge(overrides: Overrides, more: Overrides) -> Overrides:
    """Return overrides with more of them."""
    new = dict(overrides)
    for name, value in more.items():
        new[name] = {**new.get(name, {}), **value} if name in MERGED else value
    return new


def foreign(call: LearnedCall, kind: str) -> List[str]:
    """The names of the objects of others of a kind, without those of other wormholes."""
    return [
        key.partition(":")[2]
        for key, entry in call.objects.items()
        if key.startswith(f"{kind}:") and entry.get("is") == FOREIGN and not entry.get("owned")
    ]


def _more(present: Iterable[str], new: Iterable[str]) -> Optional[List[str]]:
    """A list with what it lacks; None if it lacks nothing."""
    listed = list(dict.fromkeys((*present, *new)))
    return listed if len(listed) > len(tuple(present)) else None


def _unseen(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    """An object of others that the policy hides."""
    kind = ROUTES[call.route].object
    networks, volumes = foreign(call, NETWORK), foreign(call, VOLUME)
    if kind == IMAGE or (kind is None and call.route != "container.create"):
        return _images(policy, call) or _powers(policy, call)
    if networks and (kind != NETWORK or call.route in ("network.inspect", *_CONNECT)):
        listed = _more(policy.networks, [name for name in networks if name != "host"])
        if listed:
            return {"networks": listed}
    if kind == VOLUME and volumes and call.route == "volume.inspect":
        listed = _more(policy.volumes, volumes)
        if listed:
            return {"volumes": listed}
    return _powers(policy, call)


_CONNECT = ("network.connect", "network.disconnect")


def _powers(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    """The power of the route, as far as the object needs it."""
    route = ROUTES[call.route]
    if route.power.startswith("build."):
        return _build(policy, call)
    reach = policy.reach(route.power)
    if reach is None and route.power not in OF_PRESETS:
        return None
    if reach is None:
        return {"powers": {route.power: "all" if route.power in ("df", "info", "ping") else "own"}}
    if reach == "all":
        return None
    names = foreign(call, CONTAINER)
    if route.power in ON_OTHERS and route.object == CONTAINER and names:
        targets = _more(policy.targets.names, names)
        if targets is not None and len(targets) <= _MANY_TARGETS:
            return {"powers": {route.power: "targets"}, "targets": {"names": targets}}
        if reach == "own":
            return {"powers": {route.power: "targets"}, "targets": {"names": list(policy.targets.names)}}
        return {"powers": {route.power: "all"}}
    return {"powers": {route.power: "all"}} if route.power in ON_ALL and _is_open(call) else None


def _is_open(call: LearnedCall) -> bool:
    """Whether no object of another wormhole is named."""
    return not any(entry.get("owned") for entry in call.objects.values())


def repositories(call: LearnedCall) -> List[str]:
    """The repositories of the images of a call, as people write them."""
    found = []
    for key, entry in call.objects.items():
        if key.startswith(f"{IMAGE}:"):
            names = entry.get("names")
            for text in names if isinstance(names, list) else [key.partition(":")[2]]:
                name = parse_image(str(text))
                if name is not None:
                    found.append(_short(name.repository))
    return sorted(set(found))


def _short(repository: str) -> str:
    for prefix in ("docker.io/library/", "docker.io/"):
        if repository.startswith(prefix):
            return repository[len(prefix) :]
    return repository


def _images(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    if call.route in ("search", "auth"):
        return {"powers": {ROUTES[call.route].power: "all"}}
    if call.route == "distribution":
        name = parse_image(call.names.get(IMAGE, ""))
        listed = _more(policy.images, [_short(name.repository)]) if name else None
    else:
        listed = _more(policy.images, repositories(call)[:1] if policy.recreate else repositories(call))
    return {"images": listed} if listed else None


def _tags(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    if call.route == "image.delete":
        return {"powers": {"image.remove": "all"}}
    texts = call.query.get("t") or [call.query.get("repo") or call.names.get(IMAGE, "")]
    names = [parse_image(text) for text in texts if isinstance(text, str)]
    listed = _more(policy.tags, [_short(name.repository) for name in names if name is not None])
    return {"tags": listed} if listed else None


def _host(call: LearnedCall) -> Mapping[str, Any]:
    body = call.body if isinstance(call.body, dict) else {}
    host = body.get("HostConfig", {}) if call.route == "container.create" else body
    return host if isinstance(host, dict) else {}


def sources(call: LearnedCall) -> List[Tuple[str, bool]]:
    """Paths of the host that a call mounts, and whether read-only."""
    host = _host(call)
    found = [
        (text.split(":")[0], text.endswith(":ro")) for text in host.get("Binds", ()) if text.startswith("/")
    ]
    found += [
        (str(row.get("Source", "")), bool(row.get("ReadOnly")))
        for row in host.get("Mounts", ())
        if row.get("Type") == "bind"
    ]
    return found


def _binds(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    known = {bind.path: bind for bind in policy.binds}
    rows: Dict[str, Json] = {bind.path: _bind(bind.path, bind.below, bind.read_only) for bind in policy.binds}
    for path, read_only in sources(call):
        before = known.get(path)
        rows[path] = _bind(
            path, bool(before and before.below), read_only and (before is None or before.read_only)
        )
    return {"binds": list(rows.values())} if rows else None


def _bind(path: str, below: bool, read_only: bool) -> Json:
    more = {**({"below": True} if below else {}), **({"read_only": True} if read_only else {})}
    return {"path": path, **more} if more else path


def _volumes(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    listed = _more(policy.volumes, foreign(call, VOLUME))
    return {"volumes": listed} if listed else None


def _networks(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    names = foreign(call, NETWORK)
    mode = _host(call).get("NetworkMode", "") if call.route == "container.create" else ""
    if mode in ("", "default", "bridge") or call.route == "build":
        names = ["bridge", *names]
    listed = _more(policy.networks, [name for name in names if name != "host"])
    return {"networks": listed} if listed else None


def _subnets(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    body = call.body if isinstance(call.body, dict) else {}
    rows = (body.get("IPAM") or {}).get("Config") or []
    texts = [row[name] for row in rows for name in ("Subnet", "IPRange") if row.get(name)]
    listed = _more(policy.subnets, texts)
    return {"subnets": listed} if listed else None


def _ports(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    host, ports = _host(call), policy.ports
    rows = [row for bindings in (host.get("PortBindings") or {}).values() for row in bindings]
    addresses, random = list(ports.addresses), ports.random
    ranges = {f"{low}" if low == high else f"{low}-{high}" for low, high in ports.ranges}
    if host.get("PublishAllPorts"):
        addresses, random = [*addresses, "*"], True
    for row in rows:
        address, port = row.get("HostIp", ""), row.get("HostPort", "")
        addresses.append("*" if address in EVERY_ADDRESS else address)
        random = random or port in ("", "0")
        if port not in ("", "0"):
            ranges.add(port)
    kept = list(dict.fromkeys(addresses))
    # Every address includes each.
    kept = ["*"] if "*" in kept else kept
    return {"ports": {"addresses": kept, "ranges": sorted(ranges, key=_first_port), "random": random}}


def _first_port(text: str) -> Tuple[int, str]:
    first = text.partition("-")[0]
    return (int(first) if first.isdigit() else 0, text)


def _labels(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    body = call.body if isinstance(call.body, dict) else {}
    keys = [*(body.get("Labels") or {}), *(call.query.get("labels") or {})]
    for row in _host(call).get("Mounts", ()):
        keys += (row.get("VolumeOptions") or {}).get("Labels") or {}
    wanted = [key for key in keys if not key.lower().startswith(COLLECTION)]
    listed = _more(policy.labels.allow, [key for key in wanted if key.startswith(GRANTING_LABELS)])
    return {"labels": {"allow": listed}} if listed else None


def _limits(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    host, limits = _host(call), policy.limits
    raised: Dict[str, Json] = {}
    for limit, names in _FIELDS.items():
        present = getattr(limits, limit)
        values = [source[name] for source in (host, call.query) for name in names if source.get(name)]
        if present is None or not values:
            continue
        if min(values) < 0:
            raised[limit] = None
        elif max(values) > present:
            raised[limit] = max(values)
    if not raised and limits.tmpfs is not None:
        raised["tmpfs"] = None
    if not raised and limits.storage is not None:
        raised["storage"] = None
    return {"limits": raised} if raised else None


def _devices(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    names: List[str] = []
    for row in _host(call).get("DeviceRequests", ()):
        driver = row.get("Driver", "")
        names += row.get("DeviceIDs", []) if driver == "cdi" else [driver or "nvidia"]
    listed = _more(policy.devices, names)
    return {"devices": listed} if listed else None


def _restart(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    name = (_host(call).get("RestartPolicy") or {}).get("Name", "")
    listed = _more(policy.restart, [name])
    # Without an end to its tries, on-failure is as good as always.
    return {"restart": listed or _more(policy.restart, ["always"])}


def _verbs(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    listed = _more(policy.verbs, [call.route.rpartition(".")[2]])
    return {"verbs": listed} if listed else None


def _build(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    if call.route in _BESIDE_BUILDS:
        return None
    is_kit = ROUTES[call.route].power == "build.buildkit" or call.query.get("version") == "2"
    wanted = "buildkit" if is_kit or call.query.get("session") else "classic"
    return {"build": wanted} if policy.build != "buildkit" and policy.build != wanted else None


def _volume_servers(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    body = call.body if isinstance(call.body, dict) else {}
    option = str((body.get("DriverOpts") or {}).get("o", ""))
    listed = _more(policy.volume_servers, [option[5:]]) if option.startswith("addr=") else None
    return {"volume_servers": listed} if listed else None


def _from_self(policy: Policy, call: LearnedCall) -> Optional[Overrides]:
    return {"volumes_from_self": True} if not policy.volumes_from_self else None


_CHANGES: Mapping[str, Callable[[Policy, LearnedCall], Optional[Overrides]]] = {
    "powers": _powers,
    "images": _images,
    "tags": _tags,
    "binds": _binds,
    "volumes": _volumes,
    "volumes_from_self": _from_self,
    "volume_servers": _volume_servers,
    "networks": _networks,
    "subnets": _subnets,
    "ports": _ports,
    "labels": _labels,
    "limits": _limits,
    "devices": _devices,
    "restart": _restart,
    "verbs": _verbs,
    "build": _build,
}
"""What changes each section."""
