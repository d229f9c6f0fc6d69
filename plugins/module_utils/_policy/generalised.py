# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of a call as they are recorded: what a rule decides by, and nothing else.

Each rule of :mod:`_policy.rules` and :mod:`_policy.parameter_rules` has a function here. It returns a value
by which the rule decides as it does by the client's, or None if the rule allows the value whatever the
policy says. Values of environment variables, labels and options, command lines and credentials are in no
result.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Dict, Mapping, Tuple, cast

from . import generalised_isolation as isolation
from .bodies import BIND_OPTIONS, ENDPOINT, TMPFS_OPTIONS, VOLUME_OPTIONS
from .call import Json
from .decision import CONTAINER, NETWORK, Refusal
from .generalised_isolation import Generalised
from .names import GRANTING_LABELS
from .naming import MALFORMED, OTHER, Naming, calm, is_shown, word
from .rules_labels import COLLECTION
from .rules_limits import TMPFS_FLAGS
from .rules_mounts import is_listed_server, split_bind
from .rules_network import EVERY_ADDRESS, NETWORK_OPTIONS, PREDEFINED
from .shapes import DROPPED, FREE, STRUCT, Struct

_SIZE = re.compile(r"[0-9]{1,15}[bkmgt]?(?:i?b)?\Z", re.IGNORECASE)
_TMPFS_VALUE = re.compile(r"(?:mode=[0-7]{1,4}|uid=[0-9]{1,10}|gid=[0-9]{1,10}|nr_inodes=[0-9]{1,10})\Z")
_MOUNTS = ("bind", "volume", "tmpfs", "image")
UNNAMED_PATH = f"/{OTHER}/.."
"""Stands for a path that is not shown. No policy can list it."""
_EMPTY_MODES = ("", "none", "default", "bridge", "host")


def document(naming: Naming, shape: Struct, value: Mapping[str, Json]) -> Dict[str, Json]:
    """Return the fields of a document that a rule decides, generalised."""
    kept: Dict[str, Json] = {}
    for row in shape.fields:
        item = value.get(row.name)
        if item is None or row.rule in (FREE, DROPPED) or row.is_unset(item):
            continue
        if row.rule == STRUCT:
            new: Json = document(naming, cast(Struct, row.shape), item) or None
        else:
            new = FIELDS[row.rule](naming, item)
        if new is not None:
            kept[row.name] = new
    return kept


def _present(_naming: Naming, _value: Json) -> Json:
    return True


def _same(_naming: Naming, value: Json) -> Json:
    """A number: it is its own limit."""
    return value


def _container(naming: Naming, value: Json) -> Json:
    return naming.refer(CONTAINER, value or "")


def _image(naming: Naming, value: Json) -> Json:
    return naming.image(value)


def registry(_naming: Naming, value: Json) -> Json:
    """Of the server of a login, its name."""
    text = str(value).rpartition("://")[2].partition("/")[0]
    return text if re.match(r"[A-Za-z0-9.:-]{1,255}\Z", text) else OTHER


def labels(_naming: Naming, value: Json) -> Json:
    """Of labels, the beginnings of their keys."""
    return {_beginning(key): "" for key in value} or None


def _beginning(key: str) -> str:
    lower = key.lower()
    for prefix in (COLLECTION, *GRANTING_LABELS):
        if lower.startswith(prefix):
            return prefix
    first, _dot, _last = key.rpartition(".")
    return f"{calm(first)}." if word(first) == first else OTHER


def _size(text: str) -> str:
    return text if _SIZE.match(text) else OTHER


def _storage_options(_naming: Naming, value: Json) -> Json:
    return {name if name == "size" else OTHER: _size(text) for name, text in sorted(value.items())}


def _mount_options(text: str) -> str:
    kept = [
        f"size={_size(option[5:])}" if option.startswith("size=") else OTHER
        for option in filter(None, text.split(","))
        if option.startswith("size=") or not (option in TMPFS_FLAGS or _TMPFS_VALUE.match(option))
    ]
    return ",".join(sorted(set(kept)))


def _tmpfs(_naming: Naming, value: Json) -> Json:
    options = sorted({_mount_options(text) for text in value.values()} - {""})
    return {f"/tmpfs{number}": text for number, text in enumerate(options)} or None


def _tmpfs_options(_naming: Naming, value: Json) -> Json:
    options = sorted({_mount_options("=".join(words)) for words in value} - {""})
    return [[text] for text in options] or None


def path(text: str) -> str:
    """Return a path of the host without what differs from run to run.

    Suggestions are copied into inventories, where braces begin an expression.
    """
    return calm(text) if is_shown(text) and len(text) <= 512 else UNNAMED_PATH


def _binds(naming: Naming, value: Json) -> Json:
    kept = []
    for text in value:
        try:
            parts = split_bind(text, "")
        except Refusal as refusal:
            kept.append(MALFORMED if refusal.deny.code == "malformed" else f"{OTHER}:/x:{OTHER}")
            continue
        if len(parts) > 1:
            source = path(parts[0]) if parts[0].startswith("/") else naming.volume(parts[0])
            read_only = len(parts) > 2 and "ro" in parts[2].split(",")
            kept.append(f"{source}:/x{':ro' if read_only else ''}")
    return sorted(set(kept)) or None


def _mounts(naming: Naming, value: Json) -> Json:
    return [_mount(naming, row) for row in value]


def _mount(naming: Naming, row: Mapping[str, Json]) -> Json:
    kind, source = row.get("Type", ""), row.get("Source", "")
    kept: Dict[str, Json] = {"Type": kind if kind in _MOUNTS else OTHER}
    if kind == "bind":
        kept["Source"] = path(source)
        kept["ReadOnly"] = bool(row.get("ReadOnly"))
    elif kind == "volume" and source:
        kept["Source"] = naming.volume(source) if re.match(r"[A-Za-z0-9][\w.-]+\Z", source) else MALFORMED
    elif kind == "image":
        kept["Source"] = naming.image(source)
    for name, shape in _MOUNT_OPTIONS.items():
        options = (
            document(naming, shape, row.get(name) or {}) if name.lower().startswith(kind or "-") else None
        )
        if options:
            kept[name] = options
        elif row.get(name) and options is None:
            kept[name] = {OTHER: True}
    for name in ("ImageOptions", "ClusterOptions"):
        if row.get(name) and not (kind == "image" and name == "ImageOptions"):
            kept[name] = {OTHER: True}
    return kept


_MOUNT_OPTIONS: Mapping[str, Struct] = {
    "BindOptions": BIND_OPTIONS, "VolumeOptions": VOLUME_OPTIONS, "TmpfsOptions": TMPFS_OPTIONS,
}  # fmt: skip


def _local(_naming: Naming, value: Json) -> Json:
    return None if value == "local" else word(value)


def _propagation(_naming: Naming, value: Json) -> Json:
    return None if value in ("private", "rprivate") else word(value)


def _volumes_from(naming: Naming, value: Json) -> Json:
    kept = []
    for text in value:
        reference, mark, mode = text.partition(":")
        good = not mark or mode in ("ro", "rw", "z", "nocopy")
        kept.append(naming.refer(CONTAINER, reference) + ("" if good else f":{OTHER}"))
    return kept


def _volume_name(naming: Naming, value: Json) -> Json:
    return naming.volume(value)


def _volume_options(_naming: Naming, value: Json) -> Json:
    """Options may hold the password of a server: only sizes and addresses are kept."""
    if set(value) <= {"size"}:
        return {"size": _size(value.get("size", ""))}
    if value.get("type") == "tmpfs" and set(value) <= {"type", "device", "o"}:
        device = value.get("device", "tmpfs")
        return {
            "type": "tmpfs",
            "o": _mount_options(value.get("o", "")),
            **({} if device == "tmpfs" else {"device": OTHER}),
        }
    servers = [option[5:] for option in value.get("o", "").split(",") if option.startswith("addr=")]
    if value.get("type") in ("nfs", "nfs4") and is_listed_server(servers, value):
        return {"type": "nfs", "o": f"addr={servers[0]}", "device": ":/"}
    return {"type": OTHER}


def network(naming: Naming, value: Json) -> Json:
    """The network of a container or a build."""
    mode = value or ""
    if mode in _EMPTY_MODES:
        return mode or None
    return isolation.namespace(naming, mode) if mode.startswith("container:") else naming.refer(NETWORK, mode)


def _endpoints(naming: Naming, value: Json) -> Json:
    kept: Dict[str, Json] = {}
    for name, row in value.items():
        token = name if name in _EMPTY_MODES else naming.refer(NETWORK, name)
        # One network under two names is malformed, with any policy. So is one name twice.
        kept[token if token not in kept else f"{MALFORMED}{len(kept)}"] = document(
            naming, ENDPOINT, row or {}
        )
    return kept


def _endpoint(naming: Naming, value: Json) -> Json:
    return document(naming, ENDPOINT, value) or None


def _links(naming: Naming, value: Json) -> Json:
    return [naming.refer(CONTAINER, text.partition(":")[0]) for text in value]


def _port_bindings(_naming: Naming, value: Json) -> Json:
    rows = {_binding(row) for bindings in value.values() for row in bindings or [{}]}
    return {"1/tcp": [{"HostIp": address, "HostPort": port} for address, port in sorted(rows)]}


def _binding(row: Mapping[str, str]) -> Tuple[str, str]:
    address, port = row.get("HostIp", ""), row.get("HostPort", "")
    if address not in EVERY_ADDRESS:
        try:
            address = str(ipaddress.ip_address(address))
        except ValueError:
            address = MALFORMED
    return address, port if re.match(r"[0-9]{0,5}(?:-[0-9]{1,5})?\Z", port) else MALFORMED


def _network_name(naming: Naming, value: Json) -> Json:
    return value if value in PREDEFINED else naming.new(NETWORK, value)


def _network_options(_naming: Naming, value: Json) -> Json:
    return {word(name): "" for name in value if name not in NETWORK_OPTIONS} or None


def _subnets(_naming: Naming, value: Json) -> Json:
    rows = []
    for row in value:
        kept = {name: _subnet(row[name]) for name in ("Subnet", "IPRange") if row.get(name)}
        others = [row.get("Gateway", ""), *row.get("AuxiliaryAddresses", {}).values()]
        if any(others) and not row.get("Subnet"):
            kept["Gateway"] = MALFORMED
        rows.append(kept)
    return rows


def _subnet(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text)) if "/" in text else MALFORMED
    except ValueError:
        return MALFORMED


FIELDS: Mapping[str, Generalised] = {
    "never": _present,
    "own_container": _container,
    "image": _image,
    "server_address": registry,
    "labels": labels,
    "user": isolation.user,
    "exec_user": isolation.user,
    "capabilities": isolation.capabilities,
    "dropped_capabilities": isolation.dropped_capabilities,
    "security_options": isolation.security_options,
    "masked_paths": isolation.masks("MaskedPaths"),
    "readonly_paths": isolation.masks("ReadonlyPaths"),
    "host_namespace": isolation.namespace,
    "cgroup_namespace": isolation.namespace,
    "joined_namespace": isolation.namespace,
    "ipc_mode": isolation.namespace,
    "groups": isolation.groups,
    "sysctls": isolation.sysctls,
    "log_config": isolation.log_config,
    "device_requests": isolation.device_requests,
    "restart_policy": isolation.restart_policy,
    **dict.fromkeys(
        ("memory", "memory_swap", "memory_reservation", "nano_cpus", "cpu_quota", "cpu_period", "cpu_shares",
         "pids_limit", "shm_size", "oom_score", "interval", "tmpfs_size", "internal"),
        _same,
    ),
    "ulimits": isolation.ulimits,
    "storage_options": _storage_options,
    "tmpfs": _tmpfs,
    "tmpfs_options": _tmpfs_options,
    "binds": _binds,
    "mounts": _mounts,
    "propagation": _propagation,
    "local_driver": _local,
    "volumes_from": _volumes_from,
    "volume_name": _volume_name,
    "volume_options": _volume_options,
    "network_mode": network,
    "endpoints": _endpoints,
    "endpoint": _endpoint,
    "own_address": _present,
    "own_aliases": _present,
    "links": _links,
    "port_bindings": _port_bindings,
    "publish_all": _present,
    "network_name": _network_name,
    "bridge_driver": lambda _naming, value: word(value),
    "network_options": _network_options,
    "subnets": _subnets,
}  # fmt: skip
"""The function of each rule of fields."""
