# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's defaults, its argument specification and the table in its README tell the same, or this fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
NAME = re.compile(r"`([a-z_]+)`")
WORD = re.compile(r"(?<![\w.])[A-Za-z_][A-Za-z0-9_]*")  # not the last part of a full name


class Row(NamedTuple):
    """One line of the README's table, or what it has to be."""

    name: str
    type: str
    default: str
    description: str


def load(role, path):
    text = (ROOT / "roles" / role / path).read_text(encoding="utf-8")
    return yaml.safe_load(text) or {}


def options(role):
    return load(role, "meta/argument_specs.yml")["argument_specs"]["main"].get("options", {})


def table(text):
    """The rows of the table of variables in a README; empty if it has none."""
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and NAME.fullmatch(cells[0]):
            rows.append(Row(cells[0].strip("`"), cells[1], cells[2].strip("`").replace("\\|", "|"), cells[3]))
    return rows


def expected_type(option):
    return "list of " + option["elements"] if option["type"] == "list" else option["type"]


def plain(description):
    """A description as one line; several paragraphs are joined."""
    return description if isinstance(description, str) else " ".join(description)


def test_there_are_roles():
    assert {"certificate_authority", "engine", "host", "identities", "listener", "wormholes"} <= set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specification_agree(role):
    specified = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert load(role, "defaults/main.yml") == specified


@pytest.mark.parametrize("role", ROLES)
def test_the_table_in_the_readme_tells_the_same(role):
    rows = table((ROOT / "roles" / role / "README.md").read_text(encoding="utf-8"))
    assert [row.name for row in rows] == list(options(role))
    for row in rows:
        option = options(role)[row.name]
        assert row.type == expected_type(option)
        assert row.description == plain(option["description"])
        if "default" in option:
            assert yaml.safe_load(row.default) == option["default"], row.name
        else:
            assert row.default == "required" if option.get("required") else row.default in ("", "-")


@pytest.mark.parametrize("role", ROLES)
def test_variables_start_with_the_name_of_the_role(role):
    assert [name for name in options(role) if not name.startswith(role + "_")] == []


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_the_role_that_its_tasks_use_is_specified(role):
    text = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("tasks", "templates", "handlers")
        for path in sorted((ROOT / "roles" / role / folder).rglob("*"))
        if path.is_file()
    )
    used = {word for word in WORD.findall(text) if word.startswith(role + "_")}
    assert used <= set(options(role))


@pytest.mark.parametrize("role", ROLES)
def test_the_specification_says_who_and_since_when(role):
    specification = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]
    assert set(specification) >= {"short_description", "description", "author", "version_added"}
    assert load(role, "meta/main.yml")["galaxy_info"]["description"] == specification["short_description"]


def test_a_row_is_read_with_its_pipe():
    line = "| `a_b` | list of str | `\"{{ x \\| d('') }}\"` | Some *words*. |"
    assert table(line) == [Row("a_b", "list of str", "\"{{ x | d('') }}\"", "Some *words*.")]
