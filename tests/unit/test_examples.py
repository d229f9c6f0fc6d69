# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Examples in the documentation use existing modules, options and variables only."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NAME = "wormhole.docker."
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")])
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")


def constants(path):
    """Return the strings that a plugin's file assigns to names, in the module or in a class."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and hasattr(node.targets[0], "id")
    }


def module_options(name):
    documentation = yaml.safe_load(constants(ROOT / f"plugins/modules/{name}.py")["DOCUMENTATION"])
    found = {**documentation.get("options", {})}
    for fragment in documentation.get("extends_documentation_fragment", []):
        file, _dot, section = fragment.removeprefix(NAME).partition(".")
        texts = constants(ROOT / f"plugins/doc_fragments/{file}.py")
        found.update(yaml.safe_load(texts[section.upper() or "DOCUMENTATION"])["options"])
    return found


def role_variables():
    found = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found.update(entry.get("options", {}))
    return found


OPTIONS = {name: module_options(name) for name in MODULES}
VARIABLES = role_variables()
ROLES = tuple(f"{path.name}_" for path in (ROOT / "roles").iterdir())


def unknown(value, options):
    """Return the names in a value that its options lack. Templates are not evaluated."""
    if not isinstance(value, dict):
        return []
    found = [name for name in value if name not in options]
    for name, option in options.items():
        inner = option.get("suboptions") or option.get("options")
        items = value.get(name) if isinstance(value.get(name), list) else [value.get(name)]
        found += [f"{name}.{other}" for item in items if inner for other in unknown(item, inner)]
    return found


def wrong(node):
    """Return the unknown names of the examples in a document."""
    found = []
    for item in node if isinstance(node, list) else ():
        found += wrong(item)
    for key, value in node.items() if isinstance(node, dict) else ():
        module = str(key).removeprefix(NAME)
        if str(key).startswith(NAME) and module not in OPTIONS:
            found.append(key)
        elif str(key).startswith(NAME):
            found += [f"{module}: {name}" for name in unknown(value, OPTIONS[module])]
        elif str(key).startswith(ROLES) and key not in VARIABLES:
            found.append(key)
        elif key in VARIABLES:
            found += unknown({key: value}, VARIABLES)
        else:
            found += wrong(value)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_modules(name):
    examples = yaml.safe_load(constants(ROOT / f"plugins/modules/{name}.py")["EXAMPLES"])
    assert any(NAME + name in task for task in examples)
    assert wrong(examples) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_of_pages(page):
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        assert wrong(yaml.safe_load(block)) == [], block


def test_unknown_names_are_found():
    task = {NAME + "wormhole_container": {"name": "a", "type": "str", "networks": [{"nam": "ci"}]}}
    assert wrong([task]) == ["wormhole_container: type", "wormhole_container: networks.nam"]
    assert wrong({"vars": {"wormholes_containers": [{"imge": "x"}], "listener_prt": 1}}) == [
        "wormholes_containers.imge",
        "listener_prt",
    ]
    assert wrong({NAME + "nothing": {}}) == [NAME + "nothing"]
