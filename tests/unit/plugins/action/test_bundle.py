# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each module is sent in one piece, which has everything that it imports and nothing else."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.wormhole.docker.plugins import action
from ansible_collections.wormhole.docker.plugins.plugin_utils import bundle, run_files

PLUGINS = Path(bundle.__file__).parents[1]
NAME = "ansible_collections.wormhole.docker.plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py") if path.stem != "__init__")


def imported(path, name):
    """Find what a file imports of this collection, by Python's own parser."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = ".".join(name.split(".")[: -node.level]) if node.level else ""
            origin = ".".join(filter(None, [base, node.module]))
            yield from (origin, *(f"{origin}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def reachable(module):
    """Full names of the files that a module imports, itself included."""
    found, waiting = set(), [f"{NAME}.modules.{module}"]
    while waiting:
        name = waiting.pop()
        path = PLUGINS.joinpath(*name.split(".")[4:]).with_suffix(".py")
        if name not in found and name.startswith(f"{NAME}.") and path.is_file():
            found.add(name)
            waiting += imported(path, name)
    return found


PACK = """
import json, sys
from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar

collections, modules = json.loads(sys.argv[1])
init_plugin_loader([collections])
from ansible_collections.wormhole.docker.plugins.plugin_utils import bundle

variables = {"ansible_python_interpreter": sys.executable}
packed = {}
for module in modules:
    full = f"wormhole.docker.{module}"
    name = bundle.find_bundle(full)
    packed[module] = modify_module(
        module_name=name,
        module_path=module_loader.find_plugin(name),
        module_args={"no_such_option": 1, "_ansible_module_name": full},
        templar=Templar(DataLoader(), variables),
        task_vars=variables,
        module_compression="ZIP_DEFLATED",
    ).b_module_data.decode()
print(json.dumps(packed))
"""


@pytest.fixture(scope="module")
def programs():
    """What Ansible sends for a task with an unknown option, by module."""
    arguments = json.dumps([str(PLUGINS.parents[3]), MODULES])
    done = subprocess.run([sys.executable, "-c", PACK, arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", MODULES)
def test_the_bundle_has_the_files_that_python_finds(module):
    files = bundle.read_files(module)
    assert set(files) == reachable(module)
    path = PLUGINS / "modules" / f"{module}.py"
    assert files[f"{NAME}.modules.{module}"] == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("module", MODULES)
def test_the_program_runs_without_the_collection(module, programs, tmp_path):
    """It gets as far as the options of its module, which only the files of the bundle declare."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-I", "-"],
        input=programs[module].encode(),
        capture_output=True,
        cwd=tmp_path,
        env={**environment, "HOME": str(tmp_path)},
        check=False,
    )
    answer = json.loads(done.stdout.decode() or json.dumps({"msg": done.stderr.decode()}))
    unknown = f"Unsupported parameters for (wormhole.docker.{module}) module: no_such_option"
    assert unknown in answer["msg"] or "required" in answer["msg"]


@pytest.mark.parametrize("module", MODULES)
def test_the_action_of_each_module_sends_the_bundle(module, monkeypatch):
    sent, searched = [], []
    monkeypatch.setattr(ActionBase, "_configure_module", lambda _self, name, *_more: sent.append(name))
    monkeypatch.setattr(bundle.module_loader, "add_directory", searched.append)
    plugin = import_module(f"{action.__name__}.{module}").ActionModule
    plugin._configure_module(object.__new__(plugin), f"wormhole.docker.{module}", {}, {})
    assert sent == [f"ansible.legacy.wormhole_docker_{module}"]
    assert searched == [f"{run_files.constants.DEFAULT_LOCAL_TMP}/wormhole.docker/{module}"]
    program = Path(searched[0], f"wormhole_docker_{module}.py").read_text(encoding="utf-8")
    assert program == bundle.render_bundle(module)


def test_ansible_runs_the_bundle(tmp_path):
    """Otherwise it would pack the module by itself, and only the time would tell."""
    (tmp_path / "play.yml").write_text(
        json.dumps(
            [{"hosts": "all", "gather_facts": False, "tasks": [{"wormhole.docker.gateway_info": {"a": 1}}]}]
        )
    )
    # Not by the program ansible-playbook, which the environment of ansible-test does not have.
    options = f"-vvv -i localhost, -c local -e ansible_python_interpreter={sys.executable}"
    command = [sys.executable, "-m", "ansible.cli.playbook", *options.split(), "play.yml"]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(PLUGINS.parents[3]), "HOME": str(tmp_path)}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert "Unsupported parameters for (wormhole.docker.gateway_info)" in done.stdout, done.stderr
    [used] = [line for line in done.stdout.splitlines() if "Using module file" in line]
    assert used.endswith("/wormhole.docker/gateway_info/wormhole_docker_gateway_info.py")
    assert not Path(used.rpartition(" ")[2]).exists()


def test_a_file_of_a_run_is_made_once(monkeypatch, tmp_path):
    monkeypatch.setattr(run_files.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    made = []

    def make():
        made.append(1)
        return "text"

    paths = [run_files.once_in_a_run("name", make) for _count in range(2)]
    assert (len(made), paths[0].read_text(), paths[0]) == (1, "text", paths[1])
    assert paths[0].stat().st_mode & 0o777 == 0o600


def test_a_file_of_a_run_that_cannot_be_made_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(run_files.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))

    def make():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_files.once_in_a_run("name", make)
    assert list((tmp_path / "wormhole.docker").iterdir()) == []
