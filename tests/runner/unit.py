# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Part ``unit``: ansible-test units, with controls.

The controls check that failing, missing and empty tests are reported.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from runner import ansible_test, tools
from runner.ansible_test import AnsibleTest, Core
from runner.steps import Action, Lane, Log, Outcome, Settings, Step, passed_if
from runner.turns import take_turn

_CONTROL = "tests/unit/plugins/module_utils/test_control.py"

_FAILING = '''\
"""One test that passes and one that fails."""


def test_passes():
    assert True


def test_fails():
    assert False
'''

_EMPTY = '"""A test module without a test."""\n'


def lanes(settings: Settings) -> list[Lane]:
    cores = chosen(tuple(ansible_test.cores()[0]), settings)
    lanes: list[list[Step]] = [[Step("unit", str(core), _all(core))] for core in cores]
    if cores:
        lanes[0] += [
            Step("unit", "control: a failing test is reported", _failing(cores[0])),
            Step("unit", "control: a module without tests is reported", _empty(cores[0])),
            Step("unit", "control: a run without tests is reported", _missing(cores[0])),
        ]
    return [*lanes, [Step("unit", "the runner itself", _runner)]]


def chosen(cores: tuple[Core, ...], settings: Settings) -> tuple[Core, ...]:
    """Return the versions to run the unit tests with: in turns, the oldest one, and one of the newer
    ones, which run on the same Python.

    A thorough run uses all of them.
    """
    if settings.thorough or not cores:
        return cores
    turns = tuple(core for newer in cores[1:] for core in (cores[0], newer)) or cores
    return (take_turn("unit core", turns, settings.seed),)


def remarks() -> list[str]:
    """Return remarks on what this machine cannot test."""
    found = tools.interpreters()
    absent = [version for version in tools.VERSIONS if version not in found]
    said = [f"testing on Python {', '.join(found)}; not installed: {', '.join(absent) or 'none'}"]
    return said + ansible_test.cores()[1]


def _all(core: Core) -> Action:
    def action(settings: Settings, log: Log) -> Outcome:
        program = AnsibleTest(settings, log, core, f"unit-{core.version}")
        return units(program, core.python, targets(core, settings))

    return action


def targets(core: Core, settings: Settings) -> tuple[str, ...]:
    """Return the Python versions to run unit tests of modules on: the oldest one or the
    controller's, selected by seed.

    A thorough run uses all versions. Part sanity compiles and imports everything on all versions in
    any case.
    """
    oldest = next(iter(tools.interpreters()))
    choices = tuple(target for target in core.targets if target in (oldest, core.python))
    # Half of the seed, because the versions of ansible-core alternate with the seed itself.
    return core.targets if settings.thorough else (take_turn("unit", choices, settings.seed // 2),)


def units(program: AnsibleTest, controller: str, pythons: tuple[str, ...], *paths: str) -> Outcome:
    """Run and count unit tests on several Python versions. A version without any test fails."""
    arguments = [
        "units",
        "--color",
        "no",
        "--num-workers",
        "1",
        "--controller",
        f"origin:python=venv/{controller}",
    ]
    for target in pythons:
        arguments += ["--target-python", f"venv/{target}"]
    status = program.run([*arguments, *paths], pythons=pythons)
    total, ran = Outcome(), []
    for target in pythons:
        counted = ansible_test.count(program.reports(f"python{target}-*-units.xml"))
        ran.append(f"{target}: {counted.passed}")
        total += counted if counted.passed + counted.failed else Outcome(failed=1)
    return ansible_test.judge(status, total, note=f"Python {', '.join(ran)}")


def _control(settings: Settings, log: Log, core: Core, content: str | None) -> Outcome:
    """Run the unit tests of a copy with ``content`` as its only test module, or without tests."""
    program = AnsibleTest(settings, log, core, f"unit-{core.version}")
    shutil.rmtree(program.root / "tests/unit")
    control = program.root / _CONTROL
    control.parent.mkdir(parents=True)
    if content is None:
        control.with_name("helper.py").write_text(_EMPTY)
        return units(program, core.python, (core.python,))
    control.write_text(content)
    return units(program, core.python, (core.python,), _CONTROL)


def _failing(core: Core) -> Action:
    def action(settings: Settings, log: Log) -> Outcome:
        outcome = _control(settings, log, core, _FAILING)
        return passed_if((outcome.passed, outcome.failed) == (1, 1))

    return action


def _empty(core: Core) -> Action:
    def action(settings: Settings, log: Log) -> Outcome:
        outcome = _control(settings, log, core, _EMPTY)
        return passed_if(outcome.passed == 0 and outcome.failed > 0)

    return action


def _missing(core: Core) -> Action:
    def action(settings: Settings, log: Log) -> Outcome:
        outcome = _control(settings, log, core, None)
        return passed_if(
            outcome.passed == 0 and outcome.failed > 0 and ansible_test.NOTHING_TESTED in log.text()
        )

    return action


def _runner(settings: Settings, log: Log) -> Outcome:
    """Run the runner's unit tests, which do not need Ansible."""
    binaries = tools.environment(settings, log, "lint")
    report = log.path.with_suffix(".xml")
    env = tools.plain_environment(binaries, PYTHONPATH=settings.root / "tests")
    command: list[str | Path] = ["pytest", "-c", "pyproject.toml", "--junit-xml", report, "tests/runner"]
    status = log.run(command, cwd=settings.root, env=env, timeout=300)
    return ansible_test.judge(status, ansible_test.count([report] if report.exists() else []))
