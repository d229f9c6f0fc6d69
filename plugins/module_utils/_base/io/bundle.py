# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module whose files came in one piece, as a mapping from their names to their text.

The controller makes the mapping (plugins/plugin_utils/bundle.py). Nothing of it is written to disk.

Source: importlib.abc of Python, for what a finder and a loader have to do.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import CodeType, ModuleType
from typing import Mapping, Optional, Sequence


class _Bundle(MetaPathFinder, InspectLoader):
    """Finds and loads modules whose text is in a mapping.

    Args:
        files: text by full name of the module, without packages.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._packages = {parent for name in files for parent in _parents(name)}

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
        # Without docstrings, which nothing reads here, it takes a quarter less time.
        text, path = self.get_source(fullname), _path(fullname)
        code: CodeType = compile(text, path, "exec", dont_inherit=True, optimize=2)
        return code


def run_bundled(module: str, files: Mapping[str, str]) -> None:
    """Run the function ``main`` of a module.

    Args:
        module: full name of the module.
        files: text of it, and of everything that it imports of this collection, by full name.
    """
    # Before all others: the packages that Ansible has already imported do not have these files.
    sys.meta_path.insert(0, _Bundle(files))
    importlib.import_module(module).main()


def _path(name: str) -> str:
    return f"{name.replace('.', '/')}.py"


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]
