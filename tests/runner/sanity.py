# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Part ``sanity``: ansible-test sanity, and a control that checks that a violation is reported."""

from __future__ import annotations

from runner import ansible_test
from runner.ansible_test import AnsibleTest, Core
from runner.steps import Action, Lane, Log, Outcome, Settings, Step, passed_if
from runner.turns import take_turn

_REQUIRED = (
    "ansible-doc",
    "compile",
    "import",
    "pep8",
    "pylint",
    "shebang",
    "validate-modules",
    "yamllint",
)
"""Sanity tests that must have targets: ansible-test skips a test without targets and exits 0."""

_VIOLATION = '''\
"""Violate the sanity test no-assert."""


def check(value):
    assert value
'''


def lanes(settings: Settings) -> list[Lane]:
    found, _remarks = ansible_test.cores()
    newest = [core for core in found if core.pylint][-1:]
    cores = chosen(tuple(found), newest, settings)
    lanes: list[list[Step]] = [[Step("sanity", str(core), _sanity(core, core in newest))] for core in cores]
    if cores:
        lanes[0].append(Step("sanity", "control: a violation is reported", _violation(cores[0])))
    return [*lanes]


def chosen(cores: tuple[Core, ...], newest: list[Core], settings: Settings) -> tuple[Core, ...]:
    """Return the versions to run the sanity tests with: the newest one that can run pylint, and of
    the others, one selected by seed.

    A thorough run uses all of them.
    """
    others = tuple(core for core in cores if core not in newest)
    if settings.thorough or not others:
        return cores
    turn = take_turn("sanity core", others, settings.seed)
    return tuple(core for core in cores if core in newest or core == turn)


def sanity(program: AnsibleTest, core: Core, *arguments: str) -> Outcome:
    """Run sanity tests and count them."""
    status = program.run(
        ["sanity", "--venv", "--junit", "--truncate", "0", "--color", "no", *arguments], pythons=core.targets
    )
    return ansible_test.judge(
        status,
        ansible_test.count(program.reports("ansible-test-sanity-*.xml")),
        note=f"modules imported on Python {', '.join(core.targets)}",
    )


def _sanity(core: Core, newest: bool) -> Action:
    """Run all sanity tests.

    Of the versions that can run pylint, which takes longest, only the newest does, unless the run is
    thorough.
    """

    def action(settings: Settings, log: Log) -> Outcome:
        program = AnsibleTest(settings, log, core, f"sanity-{core.version}")
        left_out = () if core.pylint and (newest or settings.thorough) else ("pylint",)
        outcome = sanity(program, core, *(word for test in left_out for word in ("--skip-test", test)))
        for test in set(_REQUIRED) - set(left_out):
            reports = program.reports(f"ansible-test-sanity-{test}*.xml")
            if ansible_test.count(reports).passed + ansible_test.count(reports).failed == 0:
                log.write(f"counted as a failure: the sanity test {test} tested nothing")
                outcome += Outcome(failed=1)
        return outcome

    return action


def _violation(core: Core) -> Action:
    def action(settings: Settings, log: Log) -> Outcome:
        program = AnsibleTest(settings, log, core, f"sanity-{core.version}")
        name = "plugins/module_utils/violation.py"
        (program.root / name).write_text(_VIOLATION)
        outcome = sanity(program, core, "--test", "no-assert", name)
        return passed_if(outcome.failed == 1 and f"{name}:5" in log.text())

    return action
