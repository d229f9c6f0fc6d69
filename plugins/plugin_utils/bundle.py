# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules in one piece: a module with everything that it imports of this collection, as one file.

Ansible can pack a module by itself, but takes more than a second of CPU time for the larger ones: it
parses each file, and looks for each imported name as for a file (ansible-core 2.19 to 2.22; see
findings/imported-names.sh). Here, only import statements are read. Nothing else differs: the host
gets the same files and compiles what it imports.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Iterator

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader

from ansible_collections.wormhole.docker.plugins.plugin_utils.run_files import once_in_a_run

_ROOT = Path(__file__).resolve().parents[1]
_PLUGINS = "ansible_collections.wormhole.docker.plugins"
_MODULES = f"{_PLUGINS}.modules"
_UTILS = f"{_PLUGINS}.module_utils"
_LOADER = f"{_UTILS}._base.io.bundle"
_IMPORT = re.compile(r"^[ \t]*from +(\.*[\w.]*) +import +(?:\(([^)]*)\)|(.*))", re.MULTILINE)
_NAME = re.compile(r"(\w+)(?: +as +\w+)? *(?:,|\Z)")
_COMMENT = re.compile("#.*")
_ANSIBLE = "ansible.module_utils"
_LARGE = ("dockerd_listener", "wormhole_container", "wormhole_containers", "wormhole_host")
"""Modules whose compiled code a host keeps for the next task."""

_TEMPLATE = """\
#!/usr/bin/python
{imports}
from {loader} import run_bundled

if __name__ == "__main__":
    run_bundled({module}, {files}, {digest!r})
"""


class BundledAction(ActionBase):
    """Runs the module of the same name in one piece."""

    def _configure_module(self, module_name: str, *arguments: Any, **options: Any) -> Any:
        # Ansible calls this for the program to send. If a version of it does not, it packs the module.
        return super()._configure_module(find_bundle(module_name), *arguments, **options)


def find_bundle(module: str) -> str:
    """Make a module available in one piece, and return the name under which Ansible finds it.

    Args:
        module: full name of a module of this collection.
    """
    leaf = module.rpartition(".")[2]
    name = f"wormhole_docker_{leaf}"
    # Ansible looks into a directory once in a process, so each module has its own.
    path = once_in_a_run(f"{leaf}/{name}.py", lambda: render_bundle(leaf))
    module_loader.add_directory(str(path.parent))
    return f"ansible.legacy.{name}"


def render_bundle(module: str) -> str:
    """Return the program of a module, for Ansible.

    Args:
        module: name of the module, without that of the collection.
    """
    files = read_files(module)
    imported = {
        f"from {origin} import {name}"
        for text in files.values()
        for origin, name in _imported(text)
        if origin.startswith(_ANSIBLE)
    }
    # JSON of texts is also an expression of Python.
    text = json.dumps(files, sort_keys=True)
    return _TEMPLATE.format(
        imports="\n".join(sorted(imported)),
        loader=_LOADER,
        module=repr(f"{_MODULES}.{module}"),
        files=text,
        digest=hashlib.sha256(text.encode()).hexdigest() if module in _LARGE else "",
    )


def read_files(module: str) -> dict[str, str]:
    """Read a module and everything that it imports of this collection.

    Returns:
        Text by full name, such as ``ansible_collections.wormhole.docker.plugins.modules.engine_info``.
    """
    places = {
        f"{_UTILS}.{path.relative_to(_ROOT / 'module_utils').with_suffix('').as_posix().replace('/', '.')}": path
        for path in (_ROOT / "module_utils").rglob("*.py")
    }
    places[f"{_MODULES}.{module}"] = _ROOT / "modules" / f"{module}.py"
    found: dict[str, str] = {}
    waiting = [f"{_MODULES}.{module}"]
    while waiting:
        name = waiting.pop()
        if name in places and name not in found:
            found[name] = text = places[name].read_text(encoding="utf-8")
            for origin, imported in _imported(text, name):
                waiting += (origin, f"{origin}.{imported}")
    return found


def _imported(text: str, importer: str = "") -> Iterator[tuple[str, str]]:
    """Find import statements.

    Args:
        importer: full name of the module with this text, to which relative imports refer.

    Returns:
        Where something is imported from, and its name there: of a file, or of something in a file.
    """
    for origin, enclosed, listed in _IMPORT.findall(text):
        relative = origin.lstrip(".")
        if level := len(origin) - len(relative):
            origin = ".".join(filter(None, [*importer.split(".")[:-level], relative]))
        for name in _NAME.findall(_COMMENT.sub("", enclosed or listed)):
            yield origin, name
