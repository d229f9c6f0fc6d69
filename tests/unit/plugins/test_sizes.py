# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No file of logic is over 400 lines and no function over 60, unless a comment says why.

This holds below plugins/ and tests/. The documentation of a plugin (``DOCUMENTATION``,
``EXAMPLES``, ``RETURN``) does not count, and neither do documentation fragments. Files of tests may
be longer, but not their functions. The reason is a comment line directly above a longer function,
above its decorators, or above the docstring of a longer file::

    # Long because it is one table: a row for each option.
    def options(): ...
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, List

import pytest

ROOT = Path(__file__).resolve().parents[3]
MAX_FILE = 400
MAX_FUNCTION = 60
REASON = "# Long because "
DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
FILES = sorted(
    path
    for directory in ("plugins", "tests")
    for path in ROOT.glob(f"{directory}/**/*.py")
    if not {"doc_fragments", "output"}.intersection(path.relative_to(ROOT).parts)
)


def lines_of_logic(source: str) -> int:
    """Count the lines of a file, without the documentation of a plugin."""
    documented = sum(
        node.end_lineno - node.lineno + 1
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in DOCUMENTATION
    )
    return len(source.splitlines()) - documented


def long_functions(source: str) -> Iterator[str]:
    """Find functions and methods overlong without a reason, as ``LINE NAME: LENGTH lines``."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        length = node.end_lineno - node.lineno + 1
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        above = lines[first - 2].strip() if first > 1 else ""
        if length > MAX_FUNCTION and not (above.startswith(REASON) and above != REASON.strip()):
            yield f"{node.lineno} {node.name}: {length} lines"


def is_long(source: str) -> bool:
    """Whether a file is overlong without a reason."""
    reasons = [line for line in source.partition('"""')[0].splitlines() if line.startswith(REASON)]
    return lines_of_logic(source) > MAX_FILE and not any(line != REASON for line in reasons)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_files_are_found() -> None:
    assert {
        "plugins/modules/wormhole_container.py",
        "plugins/module_utils/_base/errors.py",
        "plugins/action/tls_certificates.py",
        "tests/lab/supervisor.py",
        "tests/runner/cli.py",
    } <= set(map(name, FILES))


@pytest.mark.parametrize("path", [path for path in FILES if not path.name.startswith("test_")], ids=name)
def test_a_file_is_short_enough_to_be_read(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not is_long(source), f"{name(path)} has {lines_of_logic(source)} lines"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_long_function_says_why(path: Path) -> None:
    assert list(long_functions(path.read_text(encoding="utf-8"))) == []


def function(body: int, *above: str) -> str:
    """Return a function of ``body`` + 1 lines, below the given lines."""
    return "\n".join([*above, "def f():", *["    pass"] * body]) + "\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (function(59), []),
        (function(60), ["1 f: 61 lines"]),
        (function(60, "# Long because it is one table."), []),
        (function(60, "# Long because it is one table.", "@property"), []),
        (function(60, "# Long because ", "@property"), ["3 f: 61 lines"]),
        (function(60, "# Long because it is one table.", "x = 1"), ["3 f: 61 lines"]),
        (function(60, "# It is long."), ["2 f: 61 lines"]),
        ("class C:\n" + "".join(f"    {line}\n" for line in function(60).splitlines()), ["2 f: 61 lines"]),
    ],
)
def test_a_long_function_is_found(source: str, expected: List[str]) -> None:
    assert list(long_functions(source)) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('"""Files."""\n', True),
        ('# Long because \n\n"""Files."""\n', True),
        ('# Long because it is one table.\n\n"""Files."""\n', False),
    ],
)
def test_a_long_file_is_found(head: str, expected: bool) -> None:
    lines = head.count("\n")
    assert not is_long(head + "x = 1\n" * (MAX_FILE - lines))
    assert is_long(head + "x = 1\n" * (MAX_FILE + 1 - lines)) is expected


def test_documentation_does_not_count() -> None:
    assert lines_of_logic('DOCUMENTATION = """\na: 1\n"""\nRETURN = r"""\n"""\nx = 1\n') == 1
    assert lines_of_logic('OTHER = """\na: 1\n"""\n') == 3
