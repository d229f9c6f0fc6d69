# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of images, hosts, users, limits, capabilities and mount options.

The parsers raise InvalidInput for what every engine rejects. Where engines differ, the engine
decides.

Sources: distribution's ``reference`` grammar; hostname(7) and ``__NEW_UTS_LEN``; moby's lookup of
users, of mount options (``pkg/mount``) and of limits (go-units, ``ulimit.go``); getrlimit(2),
capabilities(7), tmpfs(5).
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from .._base.errors import InvalidInput

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    # The engine checks the registry, apart from whitespace.
    rf"(?:[^\s/@]+/)?{_COMPONENT}(?:/{_COMPONENT})*(?::\w[\w.-]{{0,127}})?(?:@[A-Za-z][\w+.-]*:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)
_IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_LONGEST_HOST_NAME = 64

LIMITS = frozenset((
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
    "rss", "rtprio", "rttime", "sigpending", "stack",
))  # fmt: skip
"""Resources of a process that can be limited."""

CAPABILITIES = frozenset((
    "ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF",
    "CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID",
    "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE",
    "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE",
    "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME",
    "SYS_TTY_CONFIG", "WAKE_ALARM",
))  # fmt: skip

_TMPFS_OPTIONS = frozenset((
    "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "gid", "huge",
    "inode32", "inode64", "mand", "mode", "mpol", "noatime", "nodev", "nodiratime", "noexec",
    "nomand", "norelatime", "nostrictatime", "nosuid", "noswap", "nr_blocks", "nr_inodes",
    "private", "rbind", "relatime", "remount", "ro", "rprivate", "rshared", "rslave", "runbindable",
    "rw", "shared", "size", "slave", "strictatime", "suid", "sync", "uid", "unbindable",
))  # fmt: skip


def parse_image(name: str, text: str) -> str:
    """Return a reference or an ID of an image unchanged."""
    if not _REFERENCE.fullmatch(text):
        expected = "an image name in lower case, optionally with a tag or digest"
        raise InvalidInput(name, expected=expected, found=repr(text))
    return text


def is_image_id(text: str) -> bool:
    """Report whether a text is the ID of an image, which cannot be pulled."""
    return bool(_IMAGE_ID.fullmatch(text))


def parse_host_name(name: str, text: str) -> str:
    """Return the name of a host or a domain unchanged; it may be empty."""
    if re.search(r"[\s/]", text) or len(text.encode()) > _LONGEST_HOST_NAME:
        expected = f"a name of at most {_LONGEST_HOST_NAME} characters without whitespace"
        raise InvalidInput(name, expected=expected, found=repr(text))
    return text


def parse_user(name: str, text: str) -> str:
    """Return a user, optionally with a group after a colon, unchanged."""
    if text.count(":") > 1:
        raise InvalidInput(name, expected="a user, or user:group", found=repr(text))
    return text


def parse_plain_name(name: str, text: str) -> str:
    """Return a name unchanged, such as that of a group or an alias."""
    if not text or re.search(r"\s", text):
        raise InvalidInput(name, expected="a name without whitespace", found=repr(text))
    return text


def parse_tmpfs_options(name: str, text: str) -> str:
    """Return the options of a tmpfs, sorted."""
    options = sorted(option for option in text.split(",") if option)
    unknown = [option for option in options if option.partition("=")[0] not in _TMPFS_OPTIONS]
    if unknown:
        problem = f"{name}: {unknown[0]!r} is not an option of a tmpfs"
        raise InvalidInput(name, found=unknown[0], problem=problem)
    return ",".join(options)


def reject_nul(name: str, value: Any) -> None:
    """Reject text with a NUL byte, because the kernel would cut it off there.

    Raises:
        InvalidInput: the value contains one. The message does not quote it: it may be a secret.
    """
    if isinstance(value, str) and "\0" in value:
        raise InvalidInput(name, expected="text without NUL bytes")
    if isinstance(value, Mapping):
        for key, item in value.items():
            reject_nul(name, key)
            reject_nul(f"{name} {key}", item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            reject_nul(name, item)
