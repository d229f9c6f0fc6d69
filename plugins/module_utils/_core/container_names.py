# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be a name of something: of an image, a host, a user, a limit, a capability.

What no engine takes is refused here, before anything is touched; where engines differ, the engine decides.

Sources: distribution's ``reference`` grammar; hostname(7) and ``__NEW_UTS_LEN``; moby's lookup of users, of mount options
(``pkg/mount``) and of limits (go-units, ``ulimit.go``); getrlimit(2), capabilities(7), tmpfs(5).
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    # What may be a registry is left to the engine, but for blanks.
    rf"(?:[^\s/@]+/)?{_COMPONENT}(?:/{_COMPONENT})*(?::\w[\w.-]{{0,127}})?(?:@[A-Za-z][\w+.-]*:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)
_IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_LONGEST_HOST_NAME = 64

LIMITS = frozenset(
    [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ]
)
"""Resources that a process can be limited in."""

CAPABILITIES = frozenset(
    [
        "ALL",
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "BPF",
        "CHECKPOINT_RESTORE",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "PERFMON",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYSLOG",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    ]
)

_TMPFS_OPTIONS = frozenset(
    [
        "async",
        "atime",
        "bind",
        "defaults",
        "dev",
        "diratime",
        "dirsync",
        "exec",
        "gid",
        "huge",
        "inode32",
        "inode64",
        "mand",
        "mode",
        "mpol",
        "noatime",
        "nodev",
        "nodiratime",
        "noexec",
        "nomand",
        "norelatime",
        "nostrictatime",
        "nosuid",
        "noswap",
        "nr_blocks",
        "nr_inodes",
        "private",
        "rbind",
        "relatime",
        "remount",
        "ro",
        "rprivate",
        "rshared",
        "rslave",
        "runbindable",
        "rw",
        "shared",
        "size",
        "slave",
        "strictatime",
        "suid",
        "sync",
        "uid",
        "unbindable",
    ]
)


def parse_image(name: str, text: str) -> str:
    """A reference or an ID of an image.

    Raises:
        InvalidInput: it is none.
    """
    if not _REFERENCE.fullmatch(text):
        raise InvalidInput(
            name, expected="an image's name in lower case, with a tag or digest if need be", found=repr(text)
        )
    return text


def is_image_id(text: str) -> bool:
    """Whether it is the ID of an image, which no registry knows."""
    return bool(_IMAGE_ID.fullmatch(text))


def parse_host_name(name: str, text: str) -> str:
    """The name of a host, or of a domain; empty for none.

    Raises:
        InvalidInput: no kernel takes it.
    """
    if re.search(r"[\s/]", text) or len(text.encode()) > _LONGEST_HOST_NAME:
        raise InvalidInput(
            name,
            expected=f"a name of at most {_LONGEST_HOST_NAME} characters, without blanks",
            found=repr(text),
        )
    return text


def parse_user(name: str, text: str) -> str:
    """A user, and a group after a colon.

    Raises:
        InvalidInput: there is more than one colon.
    """
    if text.count(":") > 1:
        raise InvalidInput(name, expected="a user, or user:group", found=repr(text))
    return text


def parse_plain_name(name: str, text: str) -> str:
    """The name of something, such as a group or an alias.

    Raises:
        InvalidInput: it is empty, or has blanks in it.
    """
    if not text or re.search(r"\s", text):
        raise InvalidInput(name, expected="names without blanks", found=repr(text))
    return text


def parse_tmpfs_options(name: str, text: str) -> str:
    """The options of a tmpfs, sorted.

    Raises:
        InvalidInput: one is no option of any tmpfs.
    """
    options = sorted(option for option in text.split(",") if option)
    unknown = [option for option in options if option.partition("=")[0] not in _TMPFS_OPTIONS]
    if unknown:
        raise InvalidInput(name, expected="options such as size=64m, mode=1777 or noexec", found=unknown[0])
    return ",".join(options)


def refuse_nul(name: str, value: Any) -> None:
    """Refuses text with a NUL byte, at which the kernel would end it.

    Raises:
        InvalidInput: there is one somewhere in the value. The message does not repeat it: it may be a secret.
    """
    if isinstance(value, str) and "\0" in value:
        raise InvalidInput(name, expected="text without NUL bytes")
    if isinstance(value, Mapping):
        for key, item in value.items():
            refuse_nul(name, key)
            refuse_nul(f"{name} {key}", item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            refuse_nul(name, item)
