# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may import whom, held by walking the imports of every file below plugins/.

``_core`` is pure: a list of modules without effects, and itself. ``_adapters`` has the effects: the standard library,
``_core``, and one library of its own, imported so that its absence can be told. ``_glue`` joins both with Ansible;
``plugin_utils`` does so on the controller, below action plugins. Modules and other plugins wire these together, and
nothing imports a plugin.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, List, NamedTuple

import pytest

PLUGINS = Path(__file__).resolve().parents[4] / "plugins"
OURS = "ansible_collections.wormhole.docker.plugins."
LAYERS = ("_core", "_adapters", "_glue")
BELOW = {"action": ("plugin_utils",), "plugin_utils": ("plugin_utils",)}
"""What else may be imported where: controller-only code, by action plugins."""

PURE = {
    "__future__", "base64", "bisect", "collections", "copy", "dataclasses", "datetime", "difflib", "enum", "fnmatch",
    "functools", "hashlib", "ipaddress", "itertools", "json", "math", "operator", "posixpath", "re", "shlex", "string",
    "sys.byteorder", "textwrap", "types", "typing", "urllib.parse",
}  # fmt: skip
"""Modules of the standard library that have no effect and depend on nothing but their arguments."""

IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
CLOCKS = {"now", "utcnow", "today"}
LIBRARIES = {"docker", "requests", "urllib3", "cryptography"}
ONE_LIBRARY = ({"docker", "requests", "urllib3"}, {"cryptography"})
"""What counts as one library: the Docker SDK raises the exceptions of the HTTP libraries that it is made of."""


class Import(NamedTuple):
    """``target`` is a dotted name; ``guarded`` tells whether its absence is survived when the file is loaded."""

    target: str
    line: int
    guarded: bool


def imports(tree: ast.Module) -> Iterator[Import]:
    """Every import of a file, wherever in it."""

    def walk(node: ast.AST, guarded: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for name in child.names:
                    yield Import(name.name, child.lineno, guarded)
            elif isinstance(child, ast.ImportFrom):
                module = "." * child.level + (child.module or "")
                for name in child.names:
                    # ``from package import module`` imports a module, and only the name tells.
                    yield Import(module + "." + name.name, child.lineno, guarded)
            else:
                inside = guarded or isinstance(child, (ast.Try, ast.FunctionDef)) or _is_type_checking(child)
                yield from walk(child, inside)

    return walk(tree, False)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def place(target: str) -> str:
    """Where in our own plugins an import leads, such as ``_core`` or ``modules``; empty for a foreign one."""
    if not target.startswith(OURS):
        return ""
    rest = target[len(OURS) :].split(".")
    return rest[1] if rest[0] == "module_utils" and len(rest) > 1 else rest[0]


def violations(source: str, layer: str) -> List[str]:
    """What a file of this text breaks in this layer: ``_core``, ``_adapters``, ``_glue``, ``modules``, ``action``, …"""
    tree = ast.parse(source)
    found = []
    libraries = set()
    for target, line, guarded in imports(tree):
        where, root = place(target), target.split(".")[0]
        if target.startswith(".") or target.endswith(".*"):
            found.append(f"line {line}: {target}: imports are absolute and name what they import")
        elif where and where not in (*LAYERS, *BELOW.get(layer, ())):
            found.append(f"line {line}: {target}: nothing imports a plugin")
        elif where and layer in LAYERS and LAYERS.index(where) > LAYERS.index(layer):
            found.append(f"line {line}: {target}: {where} is above {layer}")
        elif root in ("ansible", "ansible_collections") and not where and layer in ("_core", "_adapters"):
            found.append(f"line {line}: {target}: {layer} knows no Ansible")
        elif layer == "_core" and not where and not _is_pure(target):
            found.append(f"line {line}: {target}: not on the list of modules without effects")
        elif root in LIBRARIES:
            libraries.add(root)
            if layer != "_adapters":
                found.append(f"line {line}: {target}: libraries are imported in _adapters only")
            elif not guarded:
                found.append(
                    f"line {line}: {target}: it may be absent, which is to be told and not to be died of"
                )
    if len(libraries) > 1 and not any(libraries <= together for together in ONE_LIBRARY):
        found.append("several libraries in one adapter: " + ", ".join(sorted(libraries)))
    if layer == "_core":
        found += _impure_calls(tree)
    return [*found, *_branches_on_check_mode(tree)]


def _is_pure(target: str) -> bool:
    parts = target.split(".")
    return any(".".join(parts[:length]) in PURE for length in range(1, len(parts) + 1))


def _impure_calls(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"line {node.lineno}: {node.func.id}(): _core has no effects"
        if isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            yield f"line {node.lineno}: .{node.func.attr}(): _core is told the time"


def _branches_on_check_mode(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.If, ast.IfExp, ast.While)):
            for inner in ast.walk(node.test):
                name = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
                if name == "check_mode":
                    yield f"line {node.lineno}: the only branch on check mode is in _glue/execute.py"


def files() -> List[str]:
    return sorted(str(path.relative_to(PLUGINS)) for path in PLUGINS.rglob("*.py"))


def layer_of(name: str) -> str:
    parts = Path(name).parts
    return parts[1] if parts[0] == "module_utils" else parts[0]


@pytest.mark.parametrize("name", files())
def test_a_file_imports_what_its_layer_may(name):
    found = violations((PLUGINS / name).read_text(encoding="utf-8"), layer_of(name))
    if name == "module_utils/_glue/execute.py":
        assert len(found) == 1, found
        assert "check mode" in found[0]
    else:
        assert found == []


def test_every_layer_has_files():
    """The walk found something to hold: a moved directory would make the test above pass by checking nothing."""
    assert {layer_of(name) for name in files()} >= {*LAYERS, "modules"}


BREACHES = [
    ("_core", "import os", "without effects"),
    ("_core", "import time", "without effects"),
    ("_core", "import random", "without effects"),
    ("_core", "from urllib.request import urlopen", "without effects"),
    ("_core", "import docker", "without effects"),
    ("_core", "from ansible.module_utils.basic import AnsibleModule", "knows no Ansible"),
    ("_core", "from " + OURS + "module_utils._adapters import files", "is above"),
    ("_core", "from " + OURS + "module_utils._adapters.files import write", "is above"),
    ("_core", "def f():\n    import socket", "without effects"),
    ("_core", "from .errors import InvalidInput", "absolute"),
    ("_core", "text = open('/etc/hosts').read()", "no effects"),
    ("_core", "import datetime\nnow = datetime.datetime.now()", "told the time"),
    ("_adapters", "from ansible.module_utils.basic import AnsibleModule", "knows no Ansible"),
    (
        "_adapters",
        "from ansible_collections.community.docker.plugins.module_utils import util",
        "knows no Ansible",
    ),
    ("_adapters", "from " + OURS + "module_utils._glue.execute import run", "is above"),
    ("_adapters", "import docker", "may be absent"),
    ("_adapters", "def f():\n    import docker\n    import cryptography", "several libraries"),
    ("_glue", "from " + OURS + "modules.gateway_info import gather", "nothing imports a plugin"),
    ("_glue", "def f():\n    import cryptography", "in _adapters only"),
    ("_glue", "from " + OURS + "module_utils._core.errors import *", "absolute"),
    ("modules", "def f():\n    import docker", "in _adapters only"),
    ("modules", "from " + OURS + "modules.gateway_info import gather", "nothing imports a plugin"),
    ("modules", "def f(module):\n    if not module.check_mode:\n        pass", "check mode"),
    ("action", "def f(check_mode):\n    return 1 if check_mode else 2", "check mode"),
]


@pytest.mark.parametrize(("layer", "source", "words"), BREACHES)
def test_a_breach_is_named(layer, source, words):
    assert any(words in text for text in violations(source, layer))


def test_what_is_allowed_is_not_named():
    allowed = {
        "_core": "import datetime\nfrom urllib.parse import urlsplit\nfrom "
        + OURS
        + "module_utils._core import plan",
        "_adapters": "import os\ntry:\n    import docker\n    import requests\nexcept ImportError:\n    docker = None\n"
        "from " + OURS + "module_utils._core.plan import Plan",
        "_glue": "from ansible.module_utils.basic import AnsibleModule\n"
        "from " + OURS + "module_utils._adapters import files",
        "modules": "from " + OURS + "module_utils._glue.execute import execute\n"
        "def f(module):\n    return execute(check_mode=module.check_mode)",
    }
    assert {layer: violations(source, layer) for layer, source in allowed.items()} == {
        layer: [] for layer in allowed
    }
