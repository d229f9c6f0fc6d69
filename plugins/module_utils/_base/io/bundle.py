# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module whose files came in one piece, as a mapping from their names to their text.

The controller makes the mapping (plugins/plugin_utils/bundle.py). To compile the texts takes a
quarter of the time of a task that changes nothing. So a host that has a wormhole keeps compiled code
for the next task, as Python does for its own libraries: in memory (/run), where only root can write.

Sources, all of Python: importlib.abc, for what a finder and a loader have to do; marshal, for what
compiled code may be read by: the same version of Python, which MAGIC_NUMBER tells; gc.freeze().
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import marshal
import os
import stat
import sys
import tempfile
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER, spec_from_loader
from types import CodeType, ModuleType
from typing import Mapping, Optional, Sequence

CODE = "/run/wormhole-code"
"""Directory of the compiled code: a file for each module."""
_MANAGED = "/var/lib/wormhole"
"""Exists on hosts on which this collection has set something up, until teardown."""


class _Bundle(MetaPathFinder, InspectLoader):
    """Finds and loads modules whose text is in a mapping.

    Args:
        files: text by full name of the module, without packages.
        codes: compiled code by the same names, of some of them.
    """

    def __init__(self, files: Mapping[str, str], codes: Mapping[str, CodeType]) -> None:
        self._files = files
        self._packages = {parent for name in files for parent in _parents(name)}
        self.kept = codes
        self.codes = dict(codes)

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname in self._packages:
            return spec_from_loader(fullname, self, is_package=True)
        if fullname not in self._files:
            return None
        spec = ModuleSpec(fullname, self, origin=_path(fullname))
        # The module gets __file__, with which inspect and tracebacks find its text.
        spec.has_location = True
        return spec

    def get_source(self, fullname: str) -> str:
        return self._files.get(fullname, "")

    def get_code(self, fullname: str) -> CodeType:
        if fullname not in self.codes:
            # Without docstrings, which nothing reads here, it takes a quarter less time.
            text, path = self.get_source(fullname), _path(fullname)
            self.codes[fullname] = compile(text, path, "exec", dont_inherit=True, optimize=2)
        return self.codes[fullname]


class _Running:
    """The bundle of this process; None if its module did not come in a bundle."""

    bundle: Optional[_Bundle] = None
    file: str = ""


def run_bundled(module: str, files: Mapping[str, str], digest: str) -> None:
    """Run the function ``main`` of a module.

    Args:
        module: full name of the module.
        files: text of it, and of everything that it imports of this collection, by full name.
        digest: hash of the files, in hexadecimal, by which compiled code is found; empty to keep none.
    """
    if digest and os.geteuid() == 0:
        name = module.rpartition(".")[2]
        _Running.file = f"{name}-{hashlib.sha256(MAGIC_NUMBER + digest.encode()).hexdigest()}"
    _Running.bundle = _Bundle(files, _read_codes(_Running.file) if _Running.file else {})
    # Before all others: the packages that Ansible has already imported do not have these files.
    sys.meta_path.insert(0, _Running.bundle)
    # What is imported is never garbage, and looking for some in it takes time.
    gc.disable()
    loaded = importlib.import_module(module)
    gc.freeze()
    gc.enable()
    loaded.main()


def spare_exit() -> None:
    """Have Python not look for garbage when it exits: it takes a tenth of a second or two, for nothing.

    Does nothing if the module did not come in a bundle: other processes go on.
    """
    if _Running.bundle is not None:
        gc.freeze()


def keep_code() -> None:
    """Keep what this process has compiled for the next task, on a host that has a wormhole.

    Does nothing if the module did not come in a bundle, and if the files cannot be written.
    """
    bundle, file = _Running.bundle, _Running.file
    if bundle is None or not file or len(bundle.codes) == len(bundle.kept) or not os.path.isdir(_MANAGED):
        return
    with contextlib.suppress(OSError):
        os.makedirs(CODE, mode=0o700, exist_ok=True)
        if not _is_private():
            return
        module = file.rpartition("-")[0]
        handle, temporary = tempfile.mkstemp(prefix=f"{module}-", dir=CODE)
        with os.fdopen(handle, "wb") as stream:
            marshal.dump(bundle.codes, stream)
        os.replace(temporary, f"{CODE}/{file}")
        # Of other versions of the collection or of Python, and of tasks that were killed here.
        for other in os.listdir(CODE):
            if other != file and other.rpartition("-")[0] == module:
                os.unlink(f"{CODE}/{other}")


def _read_codes(file: str) -> Mapping[str, CodeType]:
    try:
        if _is_private():
            with open(f"{CODE}/{file}", "rb") as content:
                codes: dict[str, CodeType] = marshal.load(content)
                return codes
    except (OSError, EOFError, ValueError, TypeError):
        pass
    return {}


def _is_private() -> bool:
    """Whether only root can write to the directory."""
    found = os.lstat(CODE)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o077


def _path(name: str) -> str:
    return f"{name.replace('.', '/')}.py"


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]
