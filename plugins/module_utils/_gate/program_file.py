# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program as one file, which Python runs as it is (zipapp).

The archive is the same, byte for byte, whichever version of Python packs it: no compression, no times,
sorted names. So its hash tells whether a host has the program of this version of the collection.

Sources: APPNOTE.TXT of PKWARE, 4.3.7, 4.3.12 and 4.3.16; zipapp and zipimport of Python.
"""

from __future__ import annotations

import hashlib
import posixpath
import struct
import zlib
from typing import Iterable, Mapping, Optional

ENTRY_POINT = "wormhole-gate/__main__.py"
"""Path of the entry point below the collection's files/."""

_SLICES = ("_base/", "_policy/", "_gate/")
_PACKAGE = "wormhole_gate"
_VERSION = 20
_FIRST_DAY = (1 << 5) | 1
"""The first of January 1980, as archives write it."""
_MODE = 0o100644 << 16
_UNIX = 3 << 8
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")


def program_files(names: Iterable[str]) -> dict[str, str]:
    """Which files are part of the program.

    Args:
        names: paths of files below plugins/module_utils.

    Returns:
        Name in the archive by path below plugins/module_utils. The entry point is in addition:
        files/ENTRY_POINT, with the name ``__main__.py``.
    """
    return {name: f"{_PACKAGE}/{name}" for name in names if name.startswith(_SLICES) and name.endswith(".py")}


def pack_program(files: Mapping[str, bytes]) -> bytes:
    """Packs the program.

    Args:
        files: content by name in the archive.
    """
    packages = {f"{parent}/__init__.py" for name in files for parent in _parents(name)}
    contents = {**dict.fromkeys(packages, b""), **files}
    local, central = b"", b""
    for name, content in sorted(contents.items()):
        path, size, check = name.encode("ascii"), len(content), zlib.crc32(content)
        common = (_VERSION, 0, 0, 0, _FIRST_DAY, check, size, size, len(path), 0)
        central += _CENTRAL.pack(0x02014B50, _UNIX | _VERSION, *common, 0, 0, 0, _MODE, len(local)) + path
        local += _LOCAL.pack(0x04034B50, *common) + path + content
    count = len(contents)
    return local + central + _END.pack(0x06054B50, 0, 0, count, count, len(central), len(local), 0)


def program_hash(packed: Optional[bytes]) -> str:
    """The SHA-256 of a packed program in hexadecimal; empty if there is none."""
    return "" if packed is None else hashlib.sha256(packed).hexdigest()


def _parents(name: str) -> Iterable[str]:
    parent = posixpath.dirname(name)
    while parent:
        yield parent
        parent = posixpath.dirname(parent)
