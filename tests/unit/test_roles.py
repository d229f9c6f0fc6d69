# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's defaults, its argument specification and the table in its README agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import jinja2
import pytest
import yaml
from jinja2 import nodes

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.scope import authority_directory

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
NAME = re.compile(r"`([a-z_]+)`")
WORD = re.compile(r"(?<![\w.])[A-Za-z_][A-Za-z0-9_]*")  # not the last part of a full name


class Row(NamedTuple):
    """A row of the README's table, found or expected."""

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
    """Return the rows of the table of variables in a README."""
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and NAME.fullmatch(cells[0]):
            rows.append(Row(cells[0].strip("`"), cells[1], cells[2].strip("`").replace("\\|", "|"), cells[3]))
    return rows


def expected_type(option):
    return "list of " + option["elements"] if option["type"] == "list" else option["type"]


def plain(description):
    """Return a description as one line, with its paragraphs joined."""
    return description if isinstance(description, str) else " ".join(description)


def test_there_are_roles():
    assert {"certificate_authority", "engine", "host", "identities", "listener", "wormholes"} <= set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specification_agree(role):
    specified = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert load(role, "defaults/main.yml") == specified


@pytest.mark.parametrize("role", ROLES)
def test_the_table_in_the_readme_agrees(role):
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
    # An option of a module may begin like a variable.
    text = re.sub(r"^ +\w+: (?=\S)", " ", text, flags=re.MULTILINE)
    used = {word for word in WORD.findall(text) if word.startswith(role + "_")}
    assert used <= set(options(role))


def names_in(condition, definitions):
    """Names that a condition reads, also by variables of the role that it refers to."""
    names, waiting = set(), [str(condition)]
    while waiting:
        new = set(WORD.findall(waiting.pop())) - names
        names |= new
        waiting += [str(definitions[name]) for name in new if name in definitions]
    return names


@pytest.mark.parametrize("role", ROLES)
def test_no_condition_reads_what_its_own_task_sets(role):
    """A task's variables also count for its condition, which would otherwise decide by them."""
    path = ROOT / "roles" / role / "vars/main.yml"
    definitions = yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.is_file() else {}
    for path in sorted((ROOT / "roles" / role).glob("tasks/*.yml")):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
            read = names_in(task.get("when", ""), definitions)
            assert not read & set(task.get("vars", ())), f"{path.name}: {task['name']}"


@pytest.mark.parametrize("role", ROLES)
def test_the_specification_has_author_and_version(role):
    specification = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]
    assert set(specification) >= {"short_description", "description", "author", "version_added"}
    assert load(role, "meta/main.yml")["galaxy_info"]["description"] == specification["short_description"]


CONDITIONS = {"that", "when", "until", "failed_when", "changed_when"}
FILTERS = {"bool": "bool", "int": "int", "float": "float"}
"""Filters that read a value which may be text, by the type of the option."""


def typed(options):
    """Return the names and types of truth values and numbers, also inside of lists."""
    found = {}
    for name, option in options.items():
        found.update(typed(option.get("options") or {}))
        if option["type"] in FILTERS:
            found[name] = option["type"]
    return found


def expressions(document, key=""):
    """Return the templates in a document, and its conditions as templates."""
    if isinstance(document, dict):
        return [found for name, value in document.items() for found in expressions(value, name)]
    if isinstance(document, list):
        return [found for value in document for found in expressions(value, key)]
    if not isinstance(document, str):
        return []
    return [f"{{% if {document} %}}{{% endif %}}" if key in CONDITIONS else document]


def read_as_text(template, types):
    """Return the variables in an expression whose value is used as it is, whatever its type.

    A template that passes a value on unchanged is no use: the module, or the keyword, converts it.
    """

    def visit(node, parents):
        name = {nodes.Name: "name", nodes.Getattr: "attr"}.get(type(node))
        if name and getattr(node, name) in types:
            used = getattr(node, name)
            above = [parent for parent in parents if getattr(parent, "name", "") != "default"]
            outer = above[-1]
            converted = isinstance(outer, nodes.Filter) and outer.name == FILTERS[types[used]]
            passed_on = isinstance(outer, nodes.Output) and len(outer.nodes) == 1
            tested = isinstance(outer, nodes.Test) and outer.name == "defined"
            if not (converted or passed_on or tested):
                yield used
        for child in node.iter_child_nodes():
            yield from visit(child, [*parents, node])

    return list(visit(jinja2.Environment().parse(template), []))


TYPES = {name: type_ for role in ROLES for name, type_ in typed(options(role)).items()}
PLAYS = sorted([*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/[dtv]*/*.yml")])


@pytest.mark.parametrize("path", PLAYS, ids=lambda path: str(path.relative_to(ROOT)))
def test_truth_values_and_numbers_may_be_text(path):
    """Values from -e name=value are text, and the text "false" is true in a condition."""
    found = expressions(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert [name for template in found for name in read_as_text(template, TYPES)] == []


@pytest.mark.parametrize(
    "document, expected",
    [
        ({"when": "a and b | int > 0"}, ["a"]),
        ({"when": ["not a"]}, ["a"]),
        ({"x": "{{ b or omit }}"}, ["b"]),
        ({"x": "{{ c.a | default(true) and d }}"}, ["a"]),
        ({"x": "{{ a }}", "y": "{{ c.b | default(omit) }}", "when": "not (a | bool) or c.a is defined"}, []),
        ({"x": "is {{ a }}"}, ["a"]),
    ],
)
def test_a_value_that_is_used_as_text_is_found(document, expected):
    assert [
        n for template in expressions(document) for n in read_as_text(template, {"a": "bool", "b": "int"})
    ] == expected


def own_variables(role):
    """Return the variables that exist only where a role is public: its defaults and its vars."""
    found = set(load(role, "defaults/main.yml"))
    return found | set(load(role, "vars/main.yml") if (ROOT / "roles" / role / "vars").is_dir() else ())


def needed(template):
    """Return the variables that a template cannot do without."""

    def visit(node):
        if isinstance(node, nodes.Filter) and node.name == "default" and isinstance(node.node, nodes.Name):
            return
        if isinstance(node, nodes.Name):
            yield node.name
        for child in node.iter_child_nodes():
            yield from visit(child)

    return set(visit(jinja2.Environment().parse(template)))


def imports(document, action):
    """Return the arguments of all tasks with this action."""
    if isinstance(document, list):
        return [found for item in document for found in imports(item, action)]
    if not isinstance(document, dict):
        return []
    here = [document[action]] if action in document else []
    return here + [found for value in document.values() for found in imports(value, action)]


def read_by(role, name):
    """Return the variables that a file of tasks reads, with the role's vars and imported files."""
    tasks = load(role, f"tasks/{name}")
    more = load(role, "vars/main.yml") if (ROOT / "roles" / role / "vars").is_dir() else {}
    read = {found for template in expressions([tasks, more]) for found in needed(template)}
    given = {variable for task in tasks for variable in task.get("vars", ())}
    imported = imports(tasks, "ansible.builtin.import_tasks")
    return read.union(*(read_by(role, other) for other in imported)) - given


TASKS = sorted((path.parts[-3], path.name) for path in ROOT.glob("roles/*/tasks/*.yml"))


@pytest.mark.parametrize("role, name", TASKS)
def test_a_role_whose_variables_are_read_is_imported_publicly(role, name):
    """With private_role_vars = True in ansible.cfg, its variables are otherwise undefined."""
    imported = imports(load(role, f"tasks/{name}"), "ansible.builtin.import_role")
    others = {found["name"].rpartition(".")[2] for found in imported} - {role}
    public = {found["name"].rpartition(".")[2] for found in imported if found.get("public")}
    read = read_by(role, name)
    missing = {other: read & own_variables(other) for other in others - public}
    assert {other: used for other, used in missing.items() if used} == {}


@pytest.mark.parametrize("role, name", TASKS)
def test_what_one_host_does_for_all_is_done_again_if_a_condition_skips_that_host(role, name):
    """A condition on a role that the first host of the play does not fulfil skips run_once for all."""
    tasks = load(role, f"tasks/{name}")
    for task, following in zip(tasks, [*tasks[1:], {}]):
        if "run_once" not in task or "ansible.builtin.debug" in task:
            continue
        (module,) = [key for key in task if key.startswith("wormhole.docker.")]
        assert task[module] == following.get(module), task["name"]
        assert task["register"] in following["when"]
        assert "run_once" not in following


def test_the_listener_is_planned_as_its_change_begins():
    """In check mode, the module would reject what an interrupted run has left, instead of undoing it."""
    tasks = load("listener", "tasks/plan.yml")
    (planning,) = [task for task in tasks if task.get("ansible.builtin.import_tasks") == "listen.yml"]
    assert planning["vars"]["__listener_state"] == "planned"
    assert "check_mode" not in planning


def test_a_row_is_read_with_its_pipe():
    line = "| `a_b` | list of str | `\"{{ x \\| d('') }}\"` | Some *words*. |"
    assert table(line) == [Row("a_b", "list of str", "\"{{ x | d('') }}\"", "Some *words*.")]


def path_of(**variables):
    """Evaluate the conditions of role host, with variables that are text, as from the command line."""
    found = load("host", "vars/main.yml")
    environment = jinja2.Environment()
    environment.filters["bool"] = lambda value: str(value).lower() in ("true", "yes", "1")
    environment.filters["wormhole.docker.authority_directory"] = authority_directory
    variables["inventory_hostname"] = "ci1"

    def holds(name):
        return environment.from_string(found[name]).render(variables).strip() == "True"

    texts = (
        "__host_own_directory",
        "__host_directory",
        "__host_certificate_path",
        "__host_certificate_content",
    )
    for name in texts:
        variables[name] = environment.from_string(found[name]).render(variables)
    for name in ("__host_signed_elsewhere", "__host_reads_another_authority"):
        variables[name] = holds(name)
    if holds("__host_by_roles"):
        return "roles"
    return "elsewhere" if variables["__host_signed_elsewhere"] else "one task"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "one task"),
        ({"certificate_authority_directory": "/srv/ca"}, "one task"),
        ({"certificate_authority_become": "false"}, "one task"),
        ({"certificate_authority_become": "true"}, "roles"),
        ({"certificate_authority_host": "vault"}, "elsewhere"),
        ({"certificate_authority_host": "vault", "certificate_authority_become": "true"}, "elsewhere"),
        ({"certificate_authority_host": "vault", "certificates_ca_become": "true"}, "roles"),
        ({"certificate_authority_host": "vault", "certificates_ca_certificate_path": "/srv/ca.pem"}, "roles"),
        (
            {"certificate_authority_host": "vault", "certificate_authority_certificate_path": "/srv/ca.pem"},
            "elsewhere",
        ),
        ({"certificates_ca_certificate_path": "/srv/ca.pem"}, "one task"),
        ({"certificate_authority_rotation": "trust"}, "roles"),
        ({"certificate_authority_host": "vault", "certificate_authority_rotation": "trust"}, "roles"),
        ({"certificates_ca_host": "vault"}, "roles"),
        # The other way round, role certificates reads an authority that nobody creates.
        ({"certificates_ca_host": "localhost", "certificate_authority_host": "vault"}, "roles"),
        ({"certificates_ca_directory": "/srv/ca"}, "roles"),
        # The directory of the shared authority is not that of the host's own one.
        ({"certificates_ca_directory": "/srv/ca", "certificate_authority_directory": "/srv/ca"}, "roles"),
        (
            {"certificates_ca_directory": "/srv/ca/hosts/ci1", "certificate_authority_directory": "/srv/ca"},
            "one task",
        ),
        (
            {
                "certificates_ca_directory": "/srv/ca",
                "certificate_authority_directory": "/srv/ca",
                "certificate_authority_scope": "fleet",
            },
            "one task",
        ),
    ],
)
def test_role_host_chooses_its_path_by_where_the_authority_is(variables, expected):
    assert path_of(**variables) == expected
