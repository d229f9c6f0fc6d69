# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files, functions and headings in the documentation exist, the functions in the files that it
names. Its prose fits 100 columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLICES = ROOT / "plugins/module_utils"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/*/README.md")])
DEVELOPERS = [ROOT / "CONTRIBUTING.md", ROOT / "docs/development.md"]
WIDTH = 100

EXAMPLE = re.compile(r"^ *```python\n *(.*?)\n *```", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"(?:[\w.*-]+/)+[\w.*-]*|[\w-]+\.py")
CALL = re.compile(r"(?:(\w+)\.)?(\w+)\(\)")
PLACED = re.compile(r"((?:`[\w.]+(?:\(\))?`(?:,| and| or)? +)+)in `([\w./*-]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)#([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
DEFINITIONS = frozenset(
    name
    for folder in ("plugins", "files")
    for path in (ROOT / folder).rglob("*.py")
    for name in re.findall(r"^ *def (\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
) | frozenset(
    re.findall(r"^(\w+)\(\) \{", (ROOT / "files/wormhole-discover").read_text(encoding="utf-8"), re.MULTILINE)
)
BELOW_IO = ("io/",)
"""Directories that every slice may have, files that several have: named without their slice."""
IN_SLICES = ("spec.py", "model.py", "plan.py", "test_plan.py")


def prose(text):
    """A page without its fenced blocks."""
    return FENCED.sub("", text)


def missing(text):
    """Paths and functions in backticks that do not exist."""
    found = []
    for code in CODE.findall(prose(text)):
        call = CALL.fullmatch(code)
        is_path = PATH.fullmatch(code) and code not in (*BELOW_IO, *IN_SLICES, "./dev")
        if (call and call[2] not in DEFINITIONS) or (is_path and not files(code)):
            found.append(code)
    return found


def files(path):
    """The files and directories that a path in a page stands for."""
    below = SLICES if path.startswith("_") else ROOT
    return list(below.glob(path.rstrip("/")))


def misplaced(text):
    """What "`name` in `path`" says of a name that the file does not define, and of other files."""
    found = []
    for names, path in PLACED.findall(" ".join(prose(text).split())):
        texts = [file.read_text(encoding="utf-8") for file in files(path) if file.is_file()]
        for name in CODE.findall(names):
            if not any(map(definition(name).search, texts)):
                found.append(f"{name} in {path}")
    return found


def definition(name):
    """A pattern of a definition in Python, shell or YAML: a function, a method, a class, a variable."""
    call = CALL.fullmatch(name)
    if not call:
        return re.compile(rf"^ *(?:class )?{name}\b(?: ?[=:(]|$)", re.MULTILINE)
    owner = rf"^class {call[1]}\b.*?" if call[1] else ""
    return re.compile(rf"{owner}^ *(?:def {call[2]}\(|{call[2]}\(\) \{{)", re.MULTILINE | re.DOTALL)


def anchor(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower().strip()).replace(" ", "-")


def anchors(page):
    return {anchor(heading) for heading in HEADING.findall(prose(page.read_text(encoding="utf-8")))}


def long_lines(text):
    """Lines of prose that are too long; not those of tables, which cannot be wrapped."""
    lines = re.sub(r"<!--.*?-->", "", prose(text), flags=re.DOTALL).splitlines()
    return [line for line in lines if len(line) > WIDTH and not line.lstrip().startswith(("|", "#"))]


@pytest.mark.parametrize("page", DEVELOPERS, ids=lambda page: page.name)
def test_files_and_functions_exist(page):
    text = page.read_text(encoding="utf-8")
    assert (missing(text), misplaced(text)) == ([], [])


def test_examples_of_code_are_lines_of_the_code():
    (row,) = EXAMPLE.findall(DEVELOPERS[1].read_text(encoding="utf-8"))
    code = "".join(path.read_text(encoding="utf-8") for path in (SLICES / "_container").glob("*.py"))
    assert f"    {row},\n" in code


@pytest.mark.parametrize("client, package", [("Docker SDK for Python", "docker"), ("aiodocker", "aiodocker")])
def test_the_pinned_clients_are_in_the_table(client, package):
    pinned = (ROOT / "tests/requirements/clients.txt").read_text(encoding="utf-8")
    (version,) = re.findall(rf"^{package}==(.*)$", pinned, re.MULTILINE)
    page = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| {client} \| (.*?) \| (scenario.*?) \|", page, re.MULTILINE)
    assert version in row[0]
    assert version in row[1] or row[1] == "scenario"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_headings(page):
    for target, name in LINK.findall(page.read_text(encoding="utf-8")):
        assert name in anchors(page.parent / target if target else page), f"{target}#{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_fits_its_width(page):
    assert long_lines(page.read_text(encoding="utf-8")) == []


def unshown(text):
    """Tests that a page names after their file, as "`file`: `test`, `test`", and that are not in it."""
    found, file = [], None
    for name in re.findall(r"`((?:[\w./]+/)?test_\w+(?:\.py)?)`", text):
        if name.endswith(".py"):
            file = ROOT / "tests" / ("unit" if "/" in name else "system") / name
            found += [] if file.is_file() else [name]
        elif file is None or not file.is_file() or f"\ndef {name}(" not in file.read_text(encoding="utf-8"):
            found.append(name)
    return found


def test_the_tests_that_hold_a_promise_exist():
    text = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    assert text.count("`test_") > 50
    assert unshown(text) == []


def test_what_is_wrong_is_found():
    text = "`_listener/nothing.py`, `tests/nowhere/`, `no_such_function()`, `roles/*/tasks/none.yml`, `nothing.py`"
    assert missing(text) == CODE.findall(text)
    assert missing("`_listener/plan.py`, `roles/*/defaults/main.yml`, `execute()`, `/etc/docker`") == []
    text = "`execute()` and `nothing()`, `NAME` in `_glue/execute.py`, `Run.no()` in `_glue/host.py`"
    assert misplaced(text) == [
        "nothing() in _glue/execute.py",
        "NAME in _glue/execute.py",
        "Run.no() in _glue/host.py",
    ]
    text = "`HostRun.run()`\nin `_glue/host.py`, `find_candidates()` in `files/wormhole-discover`, `OPTIONS` in `_container/options.py`"
    assert misplaced(text) == []
    text = (
        "`test_scopes.py`: `test_nothing`, `test_which_engine_a_stolen_key_opens`; `test_none.py`: `test_it`"
    )
    assert unshown(text) == ["test_nothing", "test_none.py", "test_it"]
    assert anchor("Add a `container` option, in six steps") == "add-a-container-option-in-six-steps"
    assert long_lines("x" * 101) == ["x" * 101]
    assert long_lines("```\n" + "x" * 101 + "\n```\n| " + "x" * 101) == []
