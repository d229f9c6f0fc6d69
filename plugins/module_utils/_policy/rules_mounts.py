# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of mounts and volumes.

What a rule is: :mod:`_policy.rules`.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Sequence

from .bodies import BIND_OPTIONS, TMPFS_OPTIONS, VOLUME_OPTIONS
from .call import Json
from .decision import VOLUME, Found, Refusal
from .names import check_new_name
from .policy import Bind
from .rules_images import check_image
from .rules_limits import check_size, check_tmpfs_options
from .scope import DROP, RuleResult, Scope, refuse_field
from .text import malformed

BIND_WORDS = ("ro", "rw", "z", "nocopy", "cached", "delegated", "consistent", "rprivate", "private")
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+\Z")
_NFS_OPTION = re.compile(
    r"(?:addr=[A-Za-z0-9.:-]+|rw|ro|hard|soft|nolock|noatime|nosuid|nodev|noexec|tcp|port=2049|"
    r"(?:nfsvers|vers)=[34](?:\.[0-2])?|(?:timeo|retrans|rsize|wsize)=[0-9]{1,8})\Z"
)
_NFS_DEVICE = re.compile(r":/[A-Za-z0-9_./-]*\Z")
_OPTIONS = {
    "bind": ("BindOptions",),
    "volume": ("VolumeOptions",),
    "tmpfs": ("TmpfsOptions",),
    "image": ("ImageOptions",),
}
_EVERY_OPTION = ("BindOptions", "VolumeOptions", "TmpfsOptions", "ImageOptions", "ClusterOptions")


def binds(scope: Scope, value: Json, where: str) -> RuleResult:
    rows = [split_bind(text, where) for text in value]
    named = [row[0] for row in rows if not row[0].startswith("/") and len(row) > 1]
    use_volumes(scope, named, where)
    for row in rows:
        if len(row) > 1 and row[0].startswith("/"):
            check_source(scope, row[0], where, read_only="ro" in row[2].split(",") if len(row) > 2 else False)
    return value


def split_bind(text: str, where: str) -> List[str]:
    """Return the two or three parts of a bind; one if it is only a target.

    Raises:
        Refusal: malformed, or an option that is not allowed.
    """
    parts = text.split(":")
    if len(parts) > 3 or not parts[-1 if len(parts) == 1 else 1].startswith("/"):
        raise malformed(f"{where} has an entry that is not SOURCE:TARGET or SOURCE:TARGET:OPTIONS")
    if len(parts) > 1 and not (parts[0].startswith("/") or _VOLUME.match(parts[0])):
        raise malformed(f"{where} has a source that is neither an absolute path nor the name of a volume")
    for word in parts[2].split(",") if len(parts) > 2 else ():
        if word not in BIND_WORDS:
            raise Refusal("bind", f"{where} has an option that is not allowed", allowed=", ".join(BIND_WORDS))
    return parts


def check_source(scope: Scope, path: str, where: str, *, read_only: bool) -> None:
    """Check a path of the host.

    Raises:
        Refusal: no entry of the policy is exactly this path, or contains it with ``below``.
    """
    allowed = () if scope.policy.restricted else scope.policy.binds
    for bind in allowed:
        if _contains(bind, path) and (read_only or not bind.read_only):
            return
    shown = [
        f"{bind.path}{'/**' if bind.below else ''}{' read-only' if bind.read_only else ''}"
        for bind in allowed
    ]
    raise Refusal(
        "bind", f"{where} mounts {path} of the host",
        allowed=", ".join(shown) or "Volumes of this identity", setting="binds",
    )  # fmt: skip


def _contains(bind: Bind, path: str) -> bool:
    if path == bind.path:
        return True
    parts = path.split("/")[1:]
    plain = all(part not in ("", ".", "..") for part in parts)
    return bind.below and plain and path.startswith(bind.path + "/")


def use_volumes(scope: Scope, names: Sequence[str], where: str) -> None:
    """Check volumes that a container mounts by name. Missing ones are created first, with their owner.

    Raises:
        Pending: the engine has not been asked about them.
        Refusal: one belongs to others, or its new name is not allowed.
    """
    missing = []
    for name, found in scope.find_all(VOLUME, [name for name in names if name]).items():
        if found is None:
            missing.append(name)
        elif not _is_usable(scope, found):
            raise Refusal(
                "volume", f"{where} mounts the volume {name}, which is not one of this identity's",
                allowed="Its own volumes" + "".join(f", {text}" for text in scope.policy.volumes),
                setting="volumes",
            )  # fmt: skip
    new = [name for name in missing if name not in scope.volumes]
    for name in new:
        check_new_name(scope.policy, VOLUME, name)
    scope.count("volumes", len(new) + len(scope.volumes) if new else 0)
    scope.volumes += new


def _is_usable(scope: Scope, found: Found) -> bool:
    # Another identity could have taken a name of the list.
    return scope.is_own(found) or (found.name in scope.policy.volumes and not found.owner)


def mounts(scope: Scope, value: Json, where: str) -> RuleResult:
    use_volumes(scope, [row.get("Source", "") for row in value if row.get("Type") == "volume"], where)
    return [_mount(scope, row, f"{where}[{number}]") for number, row in enumerate(value)]


def _mount(scope: Scope, row: Dict[str, Json], where: str) -> Dict[str, Json]:
    kind, source = row.get("Type", ""), row.get("Source", "")
    if kind not in _OPTIONS or (kind == "image" and scope.policy.restricted):
        raise Refusal(
            "bind", f"{where} has a type that is not allowed", allowed="volume, tmpfs, and bind as configured"
        )
    for name in _EVERY_OPTION:
        if name not in _OPTIONS[kind] and row.get(name):
            raise refuse_field(f"{where}.{name} of a mount of type {kind}")
    kept = {name: item for name, item in row.items() if name not in _EVERY_OPTION or name in _OPTIONS[kind]}
    if kind == "bind":
        check_source(scope, source, where, read_only=bool(row.get("ReadOnly")))
        return _with_options(scope, kept, "BindOptions", where)
    if kind == "volume":
        if source and not _VOLUME.match(source):
            raise malformed(f"{where}.Source is not the name of a volume")
        return _with_options(scope, {"VolumeOptions": {}, **kept}, "VolumeOptions", where)
    if kind == "tmpfs":
        return _with_options(scope, kept, "TmpfsOptions", where)
    check_image(scope, source, where)
    return kept


_SHAPES = {"BindOptions": BIND_OPTIONS, "VolumeOptions": VOLUME_OPTIONS, "TmpfsOptions": TMPFS_OPTIONS}


def _with_options(scope: Scope, row: Dict[str, Json], name: str, where: str) -> Dict[str, Json]:
    if name not in row:
        return row
    # The options are a document of their own, with rules for their fields.
    return {**row, name: scope.apply(_SHAPES[name], row[name], f"{where}.{name}")}


def propagation(scope: Scope, value: Json, where: str) -> RuleResult:
    if value not in ("private", "rprivate"):
        raise Refusal("bind", f"{where} is not allowed", allowed="private or rprivate")
    return value


def local_driver(scope: Scope, value: Json, where: str) -> RuleResult:
    if value != "local":
        raise Refusal("value", f"{where} is not allowed", allowed="local")
    return value


def volumes_from(scope: Scope, value: Json, where: str) -> RuleResult:
    if scope.policy.restricted:
        raise refuse_field(where)
    rows = [text.partition(":") for text in value]
    scope.find_all("container", [row[0] for row in rows])
    kept = []
    for reference, mark, mode in rows:
        if mark and mode not in ("ro", "rw", "z", "nocopy"):
            raise Refusal("bind", f"{where} has an option that is not allowed", allowed="ro or rw")
        found = scope.own_container(reference, me=True)
        if scope.is_me(found) and not scope.policy.volumes_from_self:
            raise Refusal(
                "bind", f"{where} takes the volumes of the identity's own container",
                allowed="Containers that it has created", setting="volumes_from_self",
            )  # fmt: skip
        kept.append(f"{found.id}{mark}{mode}")
    return kept


def volume_name(scope: Scope, value: Json, where: str) -> RuleResult:
    if not value:
        scope.count("volumes")
        return DROP
    found = scope.find(VOLUME, value)
    if found is None:
        check_new_name(scope.policy, VOLUME, value)
        scope.count("volumes")
    elif not scope.is_own(found):
        raise Refusal("name", f"The name {value} of the new volume cannot be used", allowed="Another name")
    return value


def volume_options(scope: Scope, value: Json, where: str) -> RuleResult:
    kind = value.get("type", "")
    if set(value) <= {"size"}:
        check_size(value["size"], scope.policy.limits.storage, f"{where}.size")
    elif (
        kind == "tmpfs" and set(value) <= {"type", "device", "o"} and value.get("device", "tmpfs") == "tmpfs"
    ):
        check_tmpfs_options(scope, value.get("o", ""), f"{where}.o")
    elif kind not in ("nfs", "nfs4") or not is_listed_server(scope.policy.volume_servers, value):
        raise Refusal(
            "value", f"{where} mounts what is not allowed",
            allowed="type=tmpfs" + "".join(f", NFS from {name}" for name in scope.policy.volume_servers),
            setting="volume_servers",
        )  # fmt: skip
    return value


def is_listed_server(servers: Sequence[str], value: Mapping[str, str]) -> bool:
    """Whether options of a volume mount a directory of one of the servers, with harmless options."""
    options = value.get("o", "").split(",")
    addresses = [option[5:] for option in options if option.startswith("addr=")]
    return (
        set(value) == {"type", "o", "device"}
        and len(addresses) == 1
        and addresses[0] in servers
        and all(_NFS_OPTION.match(option) for option in options)
        and bool(_NFS_DEVICE.match(value["device"]))
        and ".." not in value["device"]
    )
