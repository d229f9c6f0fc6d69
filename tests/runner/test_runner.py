# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the runner, mainly of what decides whether a test has failed."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import HostSpec, LabError, lifecycle
from lab.spec import DEBIAN, RELEASES, STABLE
from runner import ansible_test, docs, integration, lint, parts, report, sanity, steps, tools, unit
from runner.steps import ROOT, Failed, Log, Outcome, Result, Settings, Step
from runner.turns import SHARING, take_turn

CASES = """<testsuites><testsuite>
  <testcase name="a"/><testcase name="b"/>
  <testcase name="c"><failure>no</failure></testcase>
  <testcase name="d"><error>no</error></testcase>
  <testcase name="e"><skipped/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    stage = tmp_path / "collections/ansible_collections/wormhole/docker"
    stage.mkdir(parents=True)
    return Settings(tmp_path, stage, seed=1, thorough=False)


def test_junit_files_are_added_up(tmp_path: Path) -> None:
    for name in ("1.xml", "2.xml"):
        (tmp_path / name).write_text(CASES)
    assert ansible_test.count(sorted(tmp_path.glob("*.xml"))) == Outcome(passed=4, failed=4, skipped=2)


@pytest.mark.parametrize(
    ("status", "counted", "failed"),
    [
        (0, Outcome(passed=3), 0),
        (0, Outcome(), 1),
        (0, Outcome(skipped=3), 1),
        (1, Outcome(passed=3), 1),
        (1, Outcome(passed=3, failed=2), 2),
        (0, Outcome(passed=3, failed=2), 2),
        (steps.TIMED_OUT, Outcome(passed=3), 1),
    ],
)
def test_the_worse_of_status_and_reports_counts(status: int, counted: Outcome, failed: int) -> None:
    assert ansible_test.judge(status, counted).failed == failed


def test_a_program_is_terminated_with_its_children_after_the_timeout(tmp_path: Path, log: Log) -> None:
    pid = tmp_path / "pid"
    command = ["sh", "-c", f"sleep 600 & echo $! > {pid}; wait"]
    assert log.run(command, cwd=tmp_path, timeout=1) == steps.TIMED_OUT
    assert "not finished after 1 s" in log.text()
    assert gone(int(pid.read_text()))


def gone(pid: int) -> bool:
    """Return whether a process has ended, also as a zombie."""
    for _attempt in range(100):
        try:
            if "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]:
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_stopping_a_run_terminates_its_programs_and_starts_no_others(tmp_path: Path, log: Log) -> None:
    programs = steps.Programs()
    process = programs.start(["sleep", "600"], log=log.path, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})
    programs.stop()
    assert process.wait(10) == -signal.SIGTERM
    with pytest.raises(Failed):
        programs.start(["true"], log=log.path, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})


def test_a_shim_is_no_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.14"
    shim.write_text("#!/bin/sh\necho 3.14\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    assert tools.interpreters.__wrapped__().get("3.14") != shim


def test_an_interpreter_of_pyenv_is_found_by_its_real_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path(sys.executable).resolve()
    version = f"3.{sys.version_info.minor}"
    directory = tmp_path / "versions" / f"{version}.0" / "bin"
    directory.mkdir(parents=True)
    (directory / f"python{version}").symlink_to(real)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(tools, "_SYSTEM", ())
    assert tools.interpreters.__wrapped__() == {version: directory / f"python{version}"}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            ("3.9", "3.11", "3.13"),
            [("2.19", "3.11", ("3.9", "3.11")), ("2.21", "3.13", ("3.13",)), ("2.22", "3.13", ("3.13",))],
        ),
        (("3.13",), [(version, "3.13", ("3.13",)) for version in ("2.19", "2.21", "2.22")]),
        (
            ("3.12", "3.14"),
            [("2.19", "3.12", ("3.12",)), ("2.21", "3.12", ("3.12",)), ("2.22", "3.14", ("3.14",))],
        ),
        (("3.11",), [("2.19", "3.11", ("3.11",))]),
        ((), []),
    ],
)
def test_each_ansible_core_gets_an_installed_python(
    found: tuple[str, ...], expected: list[tuple[str, str, tuple[str, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "interpreters", lambda: dict.fromkeys(found, Path("/usr/bin")))
    cores, remarks = ansible_test.cores()
    assert [(core.version, core.python, core.targets) for core in cores] == expected
    assert len(remarks) == sum(f"'{preferred}'" not in str(found) for preferred in ("3.11", "3.13", "3.13"))


def packages_of_the_controller(source: str) -> set[str]:
    """Return what a test file imports and a managed node does not have."""
    here = {*sys.stdlib_module_names, "pytest", "hypothesis", "yaml", "cryptography", "docker"}
    names = [
        name
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    ]
    ours = "ansible_collections.wormhole.docker.plugins."
    return {
        name
        for name in names
        if name.partition(".")[0] not in here
        and not name.startswith("ansible.module_utils.")
        and not f"{name}.".startswith(ours)
        and not name.startswith("ansible_collections.wormhole.docker.tests.")
    }


def test_tests_of_modules_need_no_package_of_the_controller() -> None:
    """ansible-test runs them in an environment of a managed node, on a version selected by seed."""
    assert packages_of_the_controller("import os\nimport jinja2\nfrom ansible.errors import X") == {
        "jinja2",
        "ansible.errors",
    }
    tests = ROOT / "tests/unit/plugins"
    found = {
        str(path.relative_to(ROOT)): needed
        for folder in ("modules", "module_utils")
        for path in sorted((tests / folder).rglob("*.py"))
        if (needed := packages_of_the_controller(path.read_text()))
    }
    assert found == {}


def test_unit_tests_run_on_one_python_selected_by_seed_or_on_all(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    found = ("3.9", "3.10", "3.11", "3.12", "3.13")
    monkeypatch.setattr(tools, "interpreters", lambda: dict.fromkeys(found, Path("/usr/bin")))
    older, newer, next_one = ansible_test.cores()[0]
    runs = [replace(settings, seed=seed) for seed in (1, 2)]
    assert {unit.targets(older, run) for run in runs} == {("3.9",), ("3.11",)}
    assert {unit.targets(core, run) for core in (newer, next_one) for run in runs} == {("3.13",)}
    # Every second run tests the oldest version, the others one of the newer ones.
    cores = (older, newer, next_one)
    four = [replace(settings, seed=seed) for seed in range(4)]
    assert sorted(str(unit.chosen(cores, run)[0]) for run in four) == sorted(
        map(str, (older, newer, older, next_one))
    )
    assert [unit.chosen(cores, run) == (older,) for run in four] in ([True, False] * 2, [False, True] * 2)
    assert unit.chosen((newer,), runs[0]) == (newer,)
    # Four runs have the oldest version on both its Python versions.
    paired = [(unit.chosen(cores, run)[0], run) for run in four]
    assert {unit.targets(core, run) for core, run in paired if core == older} == {("3.9",), ("3.11",)}
    # The newest one that can run pylint is always among those that run sanity tests.
    chosen = {sanity.chosen(cores, [newer], run) for run in runs}
    assert chosen == {(older, newer), (newer, next_one)}
    assert sanity.chosen((newer,), [newer], runs[0]) == (newer,)
    thorough = replace(settings, thorough=True)
    assert unit.chosen(cores, thorough) == cores
    assert sanity.chosen(cores, [newer], thorough) == cores
    assert unit.targets(older, thorough) + unit.targets(newer, thorough) == found


def test_a_copy_keeps_environments_and_nothing_else(settings: Settings, tmp_path: Path) -> None:
    (settings.stage / "new").write_text("")
    (settings.stage / "tests").mkdir()
    copy = ansible_test.copy_collection(settings.stage, tmp_path / "tree")
    for kept, lost in (
        ("tests/output/.tmp/marker", "tests/output/junit/old.xml"),
        ("new", "plugins/gone.py"),
    ):
        for name in (kept, lost):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_text("")
    ansible_test.copy_collection(settings.stage, tmp_path / "tree")
    assert sorted(str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()) == [
        "new",
        "tests/output/.tmp/marker",
    ]


def test_a_file_without_a_licence_is_reported(settings: Settings, log: Log) -> None:
    (settings.stage / "bare.py").write_text("print()\n")
    (settings.stage / "marked.py").write_text(f"# {lint.COPYRIGHT}\n# {lint.SPDX}\n")
    (settings.stage / "COPYING").write_text("text of the licence\n")
    (settings.stage / "empty.py").write_text("")
    assert [path.name for path in lint.unmarked_files(settings, log)] == ["bare.py"]


def test_shell_scripts_are_found_by_their_first_line(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    for name, line in {
        ".ci/run": "#!/usr/bin/env bash",
        "a.sh": "#!/bin/sh",
        "b": "#!/usr/bin/env python",
        "c": "sh",
    }.items():
        (tmp_path / name).write_text(f"{line}\n")
    assert [str(path.relative_to(tmp_path)) for path in lint.shell_scripts(tmp_path)] == ["a.sh", ".ci/run"]


def test_fenced_blocks_are_found_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("Text\n\n```yaml\n- a: 1\n```\n\n1. Item\n\n   ```sh\n   ./dev demo\n   ```\n")
    assert [(block.line, block.language, block.text) for block in docs.blocks(path)] == [
        (3, "yaml", "- a: 1\n"),
        (9, "sh", "./dev demo\n"),
    ]


def test_tasks_become_a_playbook_and_variables_do_not() -> None:
    play = "- hosts: all\n  tasks: []\n"
    assert docs.as_playbook(play) == play
    assert "  tasks:\n    - name: A\n" in (docs.as_playbook("- name: A\n  ansible.builtin.debug:\n") or "")
    assert docs.as_playbook("a: 1\n") is None


def test_marked_lines_are_preferred_to_the_last_ones() -> None:
    assert report._excerpt(["a", "ERROR: b", "c"]) == ["ERROR: b"]
    assert report._excerpt(["a", "c"]) == ["a", "c"]


def test_the_last_line_is_the_total(tmp_path: Path, log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    step = Step("lint", "a", lambda _settings, _log: Outcome())
    results = [
        Result(step, Outcome(passed=2), 1.0, log),
        Result(step, Outcome(passed=1, failed=3, skipped=1), 1.0, log),
    ]
    assert report.Progress(tmp_path).summary(results, ["lint"], 7).failed == 3
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "3 passed, 3 failed"
    assert "--seed 7" in printed


def test_lanes_continue_after_a_failure_and_an_exception_is_a_failure(
    settings: Settings, tmp_path: Path
) -> None:
    def broken(_settings: Settings, _log: Log) -> Outcome:
        raise ValueError("unforeseen")

    lane = [Step("lint", "broken", broken), Step("lint", "fine", lambda _settings, _log: Outcome(passed=1))]
    results: list[Result] = []
    parts._run([lane], settings, tmp_path, report.Progress(tmp_path), results)
    assert [result.outcome for result in results] == [Outcome(failed=1), Outcome(passed=1)]
    assert "unforeseen" in results[0].log.text()


CONFTEST = """
import os

def pytest_addoption(parser):
    parser.addoption("--release")

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "empty" not in item.name or "WORMHOLE_THOROUGH" in os.environ]
"""


def scenarios(settings: Settings, name: str, number: int) -> None:
    folder = settings.root / "tests/system"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conftest.py").write_text(CONFTEST)
    tests = "".join(f"def test_{name}_{index}():\n    pass\n\n\n" for index in range(number))
    (folder / f"test_{name}.py").write_text(tests)


def test_files_with_the_most_scenarios_come_first_and_empty_ones_are_left_out(settings: Settings) -> None:
    for name, number in (("few", 1), ("many", 3), ("empty", 2)):
        scenarios(settings, name, number)
    many, few, empty = (f"tests/system/test_{name}.py" for name in ("many", "few", "empty"))
    assert list(integration.scenario_files(settings).items()) == [
        ((release, file), number) for file, number in ((many, 3), (few, 1)) for release in RELEASES
    ]
    thorough = replace(settings, thorough=True)
    assert [file for _release, file in integration.scenario_files(thorough)] == [
        file for file in (many, empty, few) for _release in RELEASES
    ]


@given(st.text(max_size=9), st.lists(st.integers(), min_size=1, max_size=4), st.integers(0, 2**31))
def test_consecutive_seeds_cover_each_choice(name: str, choices: list[int], seed: int) -> None:
    runs = range(seed, seed + len(choices))
    assert sorted(take_turn(name, tuple(choices), run) for run in runs) == sorted(choices)


def test_twelve_runs_have_each_target_on_each_release_and_a_thorough_one_has_all(settings: Settings) -> None:
    targets = [path.name for path in (ROOT / "tests/integration/targets").iterdir()]
    runs = [targets_of(replace(settings, seed=seed)) for seed in range(SHARING * len(RELEASES))]
    assert sorted(run for chosen in runs for run in chosen) == sorted(
        (target, position) for target in targets for position in range(len(RELEASES))
    )
    assert min(map(len, runs)) > 1
    thorough = targets_of(replace(settings, thorough=True))
    assert len(thorough) == len(targets) * len(RELEASES)


def targets_of(settings: Settings) -> list[tuple[str, int]]:
    """Return the targets that a run has, each with the position of its release."""
    lanes = [lane for lane in integration.lanes(settings) if lane[0].name.startswith("a host of")]
    assert len(lanes) == len(RELEASES)
    names = {path.name for path in (ROOT / "tests/integration/targets").iterdir()}
    steps = [(step.name.split()[0], position) for position, lane in enumerate(lanes) for step in lane]
    return [(name, position) for name, position in steps if name in names]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> integration.Hosts:
    """The hosts of a run in which the images of moving releases cannot be built."""

    def prepare(_paths: object, releases: Iterable[int], progress: Callable[[str], None]) -> None:
        if not set(releases) <= set(STABLE):
            raise LabError("mmdebstrap failed", found="unmet dependencies")

    hosts = integration.Hosts()
    monkeypatch.setattr(lifecycle, "prepare", prepare)
    monkeypatch.setattr(integration, "_hosts_of_run", hosts)
    return hosts


def outcome_on(release: int, settings: Settings, log: Log) -> Outcome:
    step = Step("integration", "seven scenarios", lambda _settings, _log: Outcome(passed=7))
    return integration._on(release, 7, step).action(settings, log)


@pytest.mark.parametrize("release", RELEASES)
def test_a_moving_release_whose_images_cannot_be_built_is_skipped(
    release: int, hosts: integration.Hosts, settings: Settings, log: Log
) -> None:
    said: list[str] = []
    integration.build_images(hosts, log, said.append)
    assert (hosts.images_ready.is_set(), hosts.images_error) == (True, "")
    moving = sorted(set(RELEASES) - set(STABLE))
    assert said == [f"the images of Debian {each} cannot be built: its tests are skipped" for each in moving]
    assert "unmet dependencies" in log.text()
    if release in STABLE:
        assert outcome_on(release, settings, log) == Outcome(passed=7)
    else:
        note = f"the images of Debian {release} cannot be built"
        assert outcome_on(release, settings, log) == Outcome(skipped=7, note=note)


def test_a_moving_release_whose_engine_cannot_be_installed_is_skipped(
    hosts: integration.Hosts, settings: Settings, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds: list[int] = []

    class FakeLab:
        def build(self, spec: HostSpec) -> None:
            builds.append(spec.release)
            raise LabError("docker build failed", found="docker.io depends on a package that is gone")

    monkeypatch.setattr(lifecycle, "prepare", lambda *_arguments: None)
    monkeypatch.setattr(hosts, "lab", FakeLab)
    integration.build_images(hosts, log, lambda _text: None)
    assert [outcome_on(RELEASES[-1], settings, log).skipped for _twice in range(2)] == [7, 7]
    assert builds == [RELEASES[-1]]
    assert "a package that is gone" in log.text()


def test_a_stable_release_whose_images_cannot_be_built_fails(
    hosts: integration.Hosts, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(*_arguments: object) -> None:
        raise LabError("mmdebstrap failed")

    monkeypatch.setattr(lifecycle, "prepare", prepare)
    integration.build_images(hosts, log, lambda _text: None)
    with pytest.raises(Failed, match="mmdebstrap failed"):
        hosts.lab()


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_a_role_names_the_tested_releases(role: str) -> None:
    meta = (ROOT / "roles" / role / "meta/main.yml").read_text()
    suites = "".join(f"        - {debian.suite}\n" for debian in DEBIAN.values())
    assert f"    - name: Debian\n      versions:\n{suites}" in meta


def test_an_invalid_file_of_scenarios_is_an_error(settings: Settings) -> None:
    scenarios(settings, "good", 1)
    (settings.root / "tests/system/test_bad.py").write_text("import nosuch")
    with pytest.raises(Failed, match="nosuch"):
        integration.scenario_files(settings)


def test_two_lanes_run_side_by_side(settings: Settings, tmp_path: Path) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet(_settings: Settings, _log: Log) -> Outcome:
        meeting.wait()
        return Outcome(passed=1)

    results: list[Result] = []
    lanes = [[Step("lint", name, meet)] for name in ("a", "b")]
    parts._run(lanes, settings, tmp_path, report.Progress(tmp_path), results)
    assert [result.outcome.passed for result in results] == [1, 1]


def test_an_unknown_part_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert parts.main(["lnt"], thorough=False, seed=None) == 2
    assert "no such part: lnt" in capsys.readouterr().err


def test_the_user_s_environment_does_not_reach_a_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANSIBLE_STRATEGY", "DOCKER_HOST", "PYTHONPATH", "PYTEST_ADDOPTS"):
        monkeypatch.setenv(name, "x")
    env = tools.plain_environment(Path("/first"))
    assert not {"ANSIBLE_STRATEGY", "DOCKER_HOST", "PYTHONPATH", "PYTEST_ADDOPTS"} & set(env)
    assert env["PATH"].startswith("/first:")


def test_the_ci_script_returns_the_status_and_terminates_the_run_with_itself(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    (clone / ".ci").mkdir(parents=True)
    (clone / ".ci/run").write_text((steps.ROOT / ".ci/run").read_text())
    subprocess.run(["git", "init", "--quiet", clone], check=True)
    dev = clone / "dev"

    dev.write_text("#!/bin/sh\nexit 7\n")
    dev.chmod(0o755)
    assert subprocess.run(["bash", ".ci/run"], cwd=clone, check=False).returncode == 7

    dev.write_text(
        "#!/bin/bash\necho $$ >pid\ntrap 'echo ended >ended; exit 1' TERM\nwhile :; do sleep 0.1; done\n"
    )
    with subprocess.Popen(["bash", ".ci/run"], cwd=clone) as run:
        for _attempt in range(100):
            if (clone / "pid").exists():
                break
            time.sleep(0.05)
        run.terminate()
        assert run.wait(20) == 143
    assert (clone / "ended").exists()
    assert gone(int((clone / "pid").read_text()))
