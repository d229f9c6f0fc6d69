# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The imports of every file below plugins/ follow the order of the slices.

``module_utils`` is divided into slices by subject. A slice imports only slices below it, in the
order of ``SLICES``. A file is pure (it only imports modules without effects) unless its path
contains ``/io/`` or it is in ``_glue``. Files below ``io/`` may import the standard library and one
third-party library, so that its absence can be reported. ``_glue`` is the only slice that imports
Ansible. ``plugin_utils`` does so on the controller, for action plugins. Modules and other plugins
combine the slices, and nothing imports a plugin. Inside ``module_utils``, imports are relative.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set

import pytest

PLUGINS = Path(__file__).resolve().parents[4] / "plugins"
OURS = "ansible_collections.wormhole.docker.plugins."
SLICES = (
    "_base",
    "_policy",
    "_gate",
    "_networks",
    "_firewall",
    "_container",
    "_engine",
    "_gate_host",
    "_certificates",
    "_access",
    "_endpoint",
    "_listener",
    "_wiring",
    "_client",
    "_wormhole",
    "_glue",
)
"""The slices. Each may import those before it."""
BELOW = {"action": ("plugin_utils",), "plugin_utils": ("plugin_utils",)}
"""Code for the controller only, which action plugins may import."""

PURE = {
    "__future__", "base64", "bisect", "collections", "copy", "dataclasses", "datetime", "difflib", "enum", "fnmatch",
    "functools", "hashlib", "ipaddress", "itertools", "json", "math", "operator", "posixpath", "re", "shlex", "string",
    "struct", "sys.byteorder", "textwrap", "types", "typing", "urllib.parse", "zlib",
}  # fmt: skip
"""Modules of the standard library without effects, whose results only depend on their arguments."""

IMPURE_NAMES = {"open", "print", "input", "exec", "eval", "__builtins__"}
IMPORTERS = {"__import__", "import_module"}
CLOCKS = {"now", "utcnow", "today"}
LIBRARIES = {"docker", "requests", "urllib3", "cryptography"}
ONE_LIBRARY = ({"docker", "requests", "urllib3"}, {"cryptography"})
"""Libraries that count as one. The Docker SDK raises exceptions of its HTTP libraries."""


class Import(NamedTuple):
    """An imported name.

    Attributes:
        target: absolute dotted name.
        line: line of the import.
        guarded: whether the file loads without it.
        relative: whether the statement starts with a dot.
    """

    target: str
    line: int
    guarded: bool
    relative: bool = False


def imports(tree: ast.Module, name: str) -> Iterator[Import]:
    """Yield every import of the file ``name``, with the absolute name of its target."""
    package = OURS.split(".")[:-1] + list(Path(name).parts[:-1])

    def walk(node: ast.AST, guarded: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, guarded)
            elif isinstance(child, ast.ImportFrom):
                above = package[: len(package) + 1 - child.level] if child.level else []
                module = ".".join([*above, *([child.module] if child.module else [])])
                for alias in child.names:
                    # ``from package import module`` imports a module.
                    yield Import(f"{module}.{alias.name}", child.lineno, guarded, bool(child.level))
            else:
                inside = guarded or isinstance(child, (ast.Try, ast.FunctionDef)) or _is_guard(child)
                yield from walk(child, inside)

    return walk(tree, False)


def _is_guard(node: ast.AST) -> bool:
    """``if TYPE_CHECKING:`` or ``with contextlib.suppress(ImportError):``."""
    if isinstance(node, ast.With):
        return [ast.unparse(item.context_expr) for item in node.items] == ["contextlib.suppress(ImportError)"]
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def room_of(name: str) -> str:
    """Return the slice of a file below plugins/ (``_listener``) or its directory (``modules``)."""
    parts = Path(name).parts
    return parts[1] if parts[0] == "module_utils" and len(parts) > 1 else parts[0]


def is_pure(name: str) -> bool:
    """Return whether a file must be pure: outside ``_glue`` and outside every ``io/``."""
    return name.startswith("module_utils/") and "/io/" not in name and room_of(name) != "_glue"


def place(target: str) -> str:
    """Return the slice of an import; empty if it is not one of this collection."""
    return room_of(target[len(OURS) :].replace(".", "/")) if target.startswith(OURS) else ""


def violations(source: str, name: str) -> List[str]:
    """Return the violations of a text at a path such as ``module_utils/_listener/plan.py``."""
    tree = ast.parse(source)
    found: List[str] = []
    libraries = set()
    for target, line, guarded, relative in imports(tree, name):
        where, root = place(target), target.split(".")[0]
        if target.endswith(".*"):
            said = "imports name what they import"
        elif target.rpartition(".")[2] in IMPORTERS:
            said = "imports are statements, which can be read"
        elif where:
            said = _of_ours(target, where, name, relative)
        elif root in LIBRARIES:
            libraries.add(root)
            said = _of_a_library(name, guarded)
        else:
            said = _of_others(target, root, name)
        found += [f"line {line}: {target}: {said}"] if said else []
    if len(libraries) > 1 and not any(libraries <= together for together in ONE_LIBRARY):
        found.append("several libraries in one file: " + ", ".join(sorted(libraries)))
    if is_pure(name):
        found += _impure_names(tree)
    return [*found, *_hidden_imports(tree), *_branches_on_check_mode(tree)]


def _of_ours(target: str, where: str, name: str, relative: bool) -> str:
    room = room_of(name)
    if where not in (*SLICES, *BELOW.get(room, ())):
        return "nothing imports a plugin"
    if relative != (room in SLICES):
        return "imports are relative inside module_utils, and absolute outside"
    if room in SLICES and SLICES.index(where) > SLICES.index(room):
        return f"{where} is above {room}"
    if is_pure(name) and ".io." in target[len(OURS) :] + ".":
        return f"{name} has no effects, and imports none"
    return ""


def _of_a_library(name: str, guarded: bool) -> str:
    if "/io/" not in name:
        return "libraries are imported below io/ only"
    return "" if guarded else "it may be absent, which a message has to report"


def _of_others(target: str, root: str, name: str) -> str:
    room = room_of(name)
    if root in ("ansible", "ansible_collections"):
        return f"{room} knows no Ansible" if room in SLICES and room != "_glue" else ""
    if is_pure(name) and not _is_listed(target):
        return "not on the list of modules without effects"
    return ""


def _is_listed(target: str) -> bool:
    parts = target.split(".")
    return any(".".join(parts[:length]) in PURE for length in range(1, len(parts) + 1))


def _impure_names(tree: ast.Module) -> Iterator[str]:
    """Yield what has effects although it is not imported, called here or handed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in IMPURE_NAMES:
            yield f"line {node.lineno}: {node.id}: a pure file has no effects"
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            yield f"line {node.lineno}: .{node.attr}: a pure file is given the time"


def _hidden_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        if name in IMPORTERS:
            yield f"line {node.lineno}: {name}: imports are statements, which can be read"


def _branches_on_check_mode(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.If, ast.IfExp, ast.While)):
            for inner in ast.walk(node.test):
                name = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
                if name == "check_mode":
                    yield f"line {node.lineno}: the only branch on check mode is in _glue/execute.py"


def files() -> List[str]:
    return sorted(str(path.relative_to(PLUGINS)) for path in PLUGINS.rglob("*.py"))


@pytest.mark.parametrize("name", files())
def test_a_file_imports_what_its_slice_may(name):
    found = violations((PLUGINS / name).read_text(encoding="utf-8"), name)
    if name == "module_utils/_glue/execute.py":
        # Before a plan is carried out, and before what it requires is made.
        assert len(found) == 2, found
        assert "check mode" in found[0]
    elif name == "module_utils/_base/io/bundle.py":
        # It runs the module whose files it has.
        [only] = found
        assert "import_module" in only
    else:
        assert found == []


def test_every_slice_has_files():
    """Check that files are found. The test above would pass without any."""
    assert {room_of(name) for name in files()} >= {*SLICES, "modules"}
    assert {room_of(name) for name in files() if name.startswith("module_utils/")} == set(SLICES)


def circles(graph: Dict[str, Set[str]]) -> List[str]:
    """Return the nodes that can reach themselves."""

    def reached(start: str) -> Set[str]:
        seen: Set[str] = set()
        waiting = [start]
        while waiting:
            new = graph.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        return seen

    return sorted(node for node in graph if node in reached(node))


def graph_of(sources: Dict[str, str]) -> Dict[str, Set[str]]:
    """Return which of these files each file imports, anywhere in the file."""
    paths = {OURS + name[:-3].replace("/", "."): name for name in sources}
    graph: Dict[str, Set[str]] = {name: set() for name in sources}
    for name, source in sources.items():
        for found in imports(ast.parse(source), name):
            for target in (found.target, found.target.rpartition(".")[0]):
                if target in paths:
                    graph[name].add(paths[target])
    return graph


def test_no_file_imports_itself_in_a_circle():
    graph = graph_of({name: (PLUGINS / name).read_text(encoding="utf-8") for name in files()})
    assert sum(len(targets) for targets in graph.values()) > 300, "the walk found hardly an import"
    assert circles(graph) == []


def test_a_circle_is_named():
    sources = {
        "module_utils/_base/a.py": "from .b import f",
        "module_utils/_base/b.py": "def f():\n    from . import c",
        "module_utils/_base/c.py": "from .a import g",
        "module_utils/_base/d.py": "from .a import g",
    }
    assert circles(graph_of(sources)) == [f"module_utils/_base/{letter}.py" for letter in "abc"]


PLAN, OBSERVE = "module_utils/_listener/plan.py", "module_utils/_listener/io/observe.py"
POLICY = "module_utils/_policy/decide.py"
GLUE, MODULE = "module_utils/_glue/execute.py", "modules/gateway_info.py"

BREACHES = [
    (PLAN, "import os", "without effects"),
    (PLAN, "import time", "without effects"),
    (PLAN, "import random", "without effects"),
    (PLAN, "from urllib.request import urlopen", "without effects"),
    (PLAN, "import docker", "below io/ only"),
    (PLAN, "from ansible.module_utils.basic import AnsibleModule", "knows no Ansible"),
    (PLAN, "from .io import observe", "imports none"),
    (PLAN, "from .io.observe import observe_listener", "imports none"),
    (PLAN, "from .._base.io import files", "imports none"),
    (PLAN, "from .._base.io.files import write_file", "imports none"),
    (POLICY, "from .._networks.routes import Route", "_networks is above _policy"),
    (POLICY, "import socket", "without effects"),
    (PLAN, "from .._wiring import spec", "_wiring is above _listener"),
    (PLAN, "from .._wormhole.model import WormholeState", "_wormhole is above _listener"),
    (PLAN, "from .._glue.execute import execute", "_glue is above _listener"),
    (PLAN, "def f():\n    import socket", "without effects"),
    (PLAN, "from " + OURS + "module_utils._base.errors import InvalidInput", "relative inside"),
    (PLAN, "text = open('/etc/hosts').read()", "no effects"),
    (PLAN, "opener = open", "no effects"),
    (PLAN, "import datetime\nnow = datetime.datetime.now()", "given the time"),
    (PLAN, "import datetime\nnow = datetime.datetime.now", "given the time"),
    ("module_utils/_base/errors.py", "from .._networks.routes import Route", "_networks is above _base"),
    ("module_utils/_networks/routes.py", "from .._firewall import model", "_firewall is above _networks"),
    (OBSERVE, "from ansible.module_utils.basic import AnsibleModule", "knows no Ansible"),
    (
        OBSERVE,
        "from ansible_collections.community.docker.plugins.module_utils import util",
        "knows no Ansible",
    ),
    (OBSERVE, "from ..._wormhole.io import proof", "_wormhole is above _listener"),
    (OBSERVE, "from ..._glue.execute import execute", "_glue is above _listener"),
    (OBSERVE, "import importlib\nplan = importlib.import_module('wormhole')", "can be read"),
    (OBSERVE, "from importlib import import_module as load", "can be read"),
    (OBSERVE, "__import__('wormhole')", "can be read"),
    (OBSERVE, "import docker", "may be absent"),
    (OBSERVE, "def f():\n    import docker\n    import cryptography", "several libraries"),
    (GLUE, "from ...modules.gateway_info import gather", "nothing imports a plugin"),
    (GLUE, "def f():\n    import cryptography", "below io/ only"),
    (GLUE, "from .._base.errors import *", "name what they import"),
    (MODULE, "def f():\n    import docker", "below io/ only"),
    (MODULE, "from ..module_utils._base.errors import InvalidInput", "absolute outside"),
    (MODULE, "from " + OURS + "modules.engine_info import gather", "nothing imports a plugin"),
    (MODULE, "def f(module):\n    if not module.check_mode:\n        pass", "check mode"),
    ("action/tls_certificates.py", "def f(check_mode):\n    return 1 if check_mode else 2", "check mode"),
]


@pytest.mark.parametrize(("name", "source", "words"), BREACHES)
def test_a_breach_is_named(name, source, words):
    assert any(words in text for text in violations(source, name)), violations(source, name)


def test_what_is_allowed_is_not_named():
    allowed = {
        PLAN: "import datetime\nfrom urllib.parse import urlsplit\nfrom .._base import plan\nfrom . import model",
        "module_utils/_firewall/plan.py": "from .._networks.gateways import Topology",
        OBSERVE: "import os\ntry:\n    import docker\n    import requests\nexcept ImportError:\n    docker = None\n"
        "from ..._base.plan import Plan\nfrom ..model import ListenerState\nfrom ..._engine.io import sdk",
        GLUE: "from ansible.module_utils.basic import AnsibleModule\nfrom .._base.io import files",
        MODULE: "from " + OURS + "module_utils._glue.execute import execute\n"
        "def f(module):\n    return execute(check_mode=module.check_mode)",
        "action/tls_certificates.py": "from " + OURS + "plugin_utils.signing import SigningAction",
    }
    assert {name: violations(source, name) for name, source in allowed.items()} == {
        name: [] for name in allowed
    }
