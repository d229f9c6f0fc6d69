# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No module returns its arguments, which may hold secrets. ansible-core adds them, if asked to.

Since ansible-core 2.22, a module's result is sent as it is: secrets are masked only where the
controller displays them.
"""

from __future__ import annotations

import importlib
import json
import socket
from pathlib import Path

import pytest
import yaml

from ansible_collections.wormhole.docker.plugins import modules
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run
from ansible_collections.wormhole.docker.tests.unit.plugins.modules.running import ON_DEMAND, run_module

NAMES = sorted(path.stem for path in Path(modules.__path__[0]).glob("*.py") if path.stem != "__init__")
SECRET = "sesame-open-thyself"


def load(name):
    return importlib.import_module(f"{modules.__name__}.{name}")


def examples(name):
    """Return the arguments of a module's documented examples."""
    tasks = yaml.safe_load(load(name).EXAMPLES)
    return [task.get(f"wormhole.docker.{name}") or {} for task in tasks if f"wormhole.docker.{name}" in task]


def secret_options(module, monkeypatch):
    """Return the options that the module declares as secret."""
    declared = {}
    with monkeypatch.context() as patch:
        patch.setattr(module, "run", lambda _body, arguments, **_constraints: declared.update(arguments))
        module.main()
    return [option for option, declaration in declared.items() if declaration.get("no_log")]


def keys(value):
    """Yield all keys in a result."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    for part in value if isinstance(value, list) else []:
        yield from keys(part)


def own_part(result):
    """Return what the module itself has put into its result."""
    added = {"_ansible_new_secrets"} | (set() if ON_DEMAND else {"invocation"})
    return {key: value for key, value in result.items() if key not in added}


def holds_arguments(result):
    text = json.dumps(result)
    return bool({"invocation", "module_args"} & set(keys(result))) or SECRET in text


@pytest.fixture
def disconnected(monkeypatch, tmp_path):
    """Keep a module away from this machine's engine, from any network and from the home directory."""

    def refuse(_socket, address):
        raise ConnectionRefusedError(f"no connection to {address} in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("disconnected")
def test_no_result_holds_the_arguments(name, monkeypatch):
    module = load(name)
    tasks = examples(name)
    assert tasks
    for arguments in tasks:
        for secret in (None, *secret_options(module, monkeypatch)):
            given = {**arguments, **({secret: SECRET} if secret else {})}
            result = own_part(run_module(module, given, check_mode=True, with_arguments=False))
            assert not holds_arguments(result), (given, result)


def test_the_authority_with_a_passphrase_does_not_return_it(tmp_path):
    given = {"directory": str(tmp_path / "ca"), "passphrase": SECRET}
    created = run_module(load("certificate_authority"), given, with_arguments=False)
    assert created["changed"]
    wrong = run_module(load("certificate_authority"), {**given, "passphrase": "x"}, with_arguments=False)
    assert wrong["failed"]
    assert not any(holds_arguments(own_part(result)) for result in (created, wrong))


def test_a_module_that_returned_its_arguments_would_be_found():
    def body(module):
        return {"found": [{"invocation": {"module_args": dict(module.params)}}]}

    class Module:
        @staticmethod
        def main():
            run(body, {"secret": {"type": "str", "no_log": True}})

    assert holds_arguments(own_part(run_module(Module, {"secret": SECRET}, with_arguments=False)))
