# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ansible-test without containers and without its download server, and fail if it tested
nothing.

Facts about ansible-test:

* It must run below ``ansible_collections/NAMESPACE/NAME``. Each run uses its own copy of the
  collection, with its virtual environments and reports in ``tests/output``. So two ansible-core
  versions can run at the same time.
* Inside a git work tree it tests the files that git lists. Our copies are in an ignored directory,
  where git lists nothing: it would skip all targets and exit 0. With ``ANSIBLE_TEST_CONTENT_ROOT``
  it reads the files themselves.
* It exits 0 with "All targets skipped" if it finds nothing to test. Here, that text is a failure.
* It downloads ``get-pip.py`` from its own server, which may be unreachable although a package index
  is not. A small replacement in its cache installs the same version of pip from a wheel.
* It removes most environment variables. Facts for the tests are in ignored files of the copy.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from runner import tools
from runner.steps import Failed, Log, Outcome, Settings

NOTHING_TESTED = "All targets skipped"

_GET_PIP = '''\
"""Install pip from the wheel beside this file, in place of the get-pip.py that ansible-test would download."""

import os
import runpy
import sys

WHEEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "{wheel}")

if __name__ == "__main__":
    sys.argv = [sys.argv[0], "install", "--disable-pip-version-check", "--no-index", "--quiet", WHEEL]
    sys.path.insert(0, WHEEL)
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
'''


@dataclass(frozen=True)
class Core:
    """A version of ansible-core, and the Python version that it runs on.

    Attributes:
        version: ``major.minor``.
        python: ``major.minor`` of the controller's Python.
        targets: Python versions to run the modules' unit tests on.
        pip: version of pip that its ansible-test installs into virtual environments.
        pylint: whether a package index has everything that its ansible-test installs for pylint.
    """

    version: str
    python: str
    targets: tuple[str, ...]
    pip: str
    pylint: bool = True

    @property
    def name(self) -> str:
        return f"ansible-{self.version}"

    def __str__(self) -> str:
        return f"ansible-core {self.version} on Python {self.python}"


@dataclass(frozen=True)
class _Tested:
    """A tested version of ansible-core.

    Attributes:
        version: ``major.minor``.
        pythons: the controller's Python, in order of preference. The first one is Debian's.
        targets: the interpreters whose unit tests it runs, if they are found. Each interpreter is
            tested once, by a version that still supports it; and each version on its controller's.
        pip: see :class:`Core`.
        pylint: see :class:`Core`.
    """

    version: str
    pythons: tuple[str, ...]
    targets: tuple[str, ...]
    pip: str
    pylint: bool = True


# The oldest version, the newest one, and the next one, which is a release candidate.
_TESTED = (
    _Tested("2.19", ("3.11", "3.12", "3.13"), ("3.9", "3.10", "3.11"), "24.2"),
    _Tested("2.21", ("3.13", "3.12", "3.14"), ("3.12", "3.13"), "25.2"),
    # Its ansible-test installs, for pylint, a snapshot of dill that no package index has.
    _Tested("2.22", ("3.13", "3.14"), ("3.14",), "25.2", pylint=False),
)


def cores() -> tuple[list[Core], list[str]]:
    """Return the versions testable here, and a remark on each that is not testable as preferred."""
    found = tools.interpreters()
    result, remarks = [], []
    for tested in _TESTED:
        name, preferred = f"ansible-core {tested.version}", tested.pythons
        python = next((python for python in preferred if python in found), None)
        if python is None:
            remarks.append(f"{name} is not tested here: no Python {', '.join(preferred)} was found")
            continue
        if python != preferred[0]:
            remarks.append(f"{name} is tested on Python {python}: no Python {preferred[0]} was found")
        targets = [target for target in tested.targets if target in found]
        targets += [] if python in targets else [python]
        result.append(Core(tested.version, python, tuple(targets), tested.pip, tested.pylint))
    return result, remarks


def copy_collection(source: Path, tree: Path) -> Path:
    """Copy ``source`` to ``tree/ansible_collections/wormhole/docker``.

    The virtual environments there are kept.
    """
    target = tree / "ansible_collections/wormhole/docker"
    target.mkdir(parents=True, exist_ok=True)
    for entry in target.iterdir():
        if entry.name == "tests":
            _clear_tests(entry)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=_not_output(source))
    return target


def _clear_tests(tests: Path) -> None:
    """Remove everything below tests/ except the virtual environments in output/.tmp."""
    for entry in tests.iterdir():
        if entry.name == "output":
            for report in entry.iterdir():
                if report.name != ".tmp":
                    shutil.rmtree(report)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _not_output(source: Path) -> Callable[[str, list[str]], set[str]]:
    """Exclude the output of ansible-test in ``source`` from a copy."""

    def ignored(directory: str, names: list[str]) -> set[str]:
        return {"output"} & set(names) if Path(directory) == source / "tests" else set()

    return ignored


class AnsibleTest:
    """ansible-test of one ansible-core, in its own copy of the collection.

    Args:
        settings: settings of the test run.
        log: receives the output.
        core: version of ansible-core.
        tree: name of the copy.
    """

    def __init__(self, settings: Settings, log: Log, core: Core, tree: str) -> None:
        self._settings = settings
        self._log = log
        self._core = core
        self._place = settings.work / "trees" / tree
        self._home = settings.work / "home" / core.name
        python = tools.interpreters()[core.python]
        self.bin = tools.environment(settings, log, core.name, python)
        self._provide_pip()
        self.root = copy_collection(settings.stage, self._place)
        facts = {"seed": settings.seed, "thorough": settings.thorough}
        run_file = self.root / "tests/unit/run.json"
        run_file.parent.mkdir(parents=True, exist_ok=True)
        run_file.write_text(json.dumps(facts))

    @property
    def home(self) -> Path:
        """The home directory for ansible-test, which keeps caches and its SSH key there."""
        return self._home

    def run(
        self,
        arguments: Sequence[str],
        *,
        pythons: Iterable[str] = (),
        prefix: Sequence[str | Path] = (),
        timeout: float = 2400,
    ) -> int:
        """Run ansible-test.

        Args:
            arguments: arguments of ansible-test.
            pythons: Python versions that it must find.
            prefix: command to run it with, such as one that enters a network namespace.
            timeout: in seconds.

        Returns:
            the exit status; 1 if it skipped all targets and exited 0.
        """
        found = tools.interpreters()
        directories = dict.fromkeys(found[python].parent for python in (self._core.python, *pythons))
        env = tools.plain_environment(
            self.bin, *directories, HOME=self._home, ANSIBLE_TEST_CONTENT_ROOT=self.root, LC_ALL="C.UTF-8"
        )
        before = len(self._log.text())
        status = self._log.run(
            [*prefix, self.bin / "ansible-test", *arguments], cwd=self.root, env=env, timeout=timeout
        )
        if NOTHING_TESTED in self._log.text()[before:]:
            self._log.write("counted as a failure: ansible-test found nothing to test")
            return status or 1
        return status

    def reports(self, pattern: str) -> list[Path]:
        """Return the JUnit files of the last run."""
        return sorted((self.root / "tests/output/junit").glob(pattern))

    def _provide_pip(self) -> None:
        """Write the replacement for get-pip.py, and the wheel that it installs, into the cache."""
        cache = self._home / ".ansible/test/cache"
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            script = cache / f"get_pip_{self._core.pip.replace('.', '_')}.py"
            if script.exists():
                return
            options: list[str | Path] = [
                "--disable-pip-version-check",
                "download",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
                cache,
            ]
            command = [self.bin / "python", "-m", "pip", *options, f"pip=={self._core.pip}"]
            if self._log.run(command, cwd=cache) != 0:
                raise Failed(f"pip {self._core.pip} could not be downloaded")
            wheel = next(cache.glob(f"pip-{self._core.pip}-*.whl"))
            script.write_text(_GET_PIP.format(wheel=wheel.name))


def count(reports: Iterable[Path]) -> Outcome:
    """Count the tests in JUnit files."""
    total = Outcome()
    for report in reports:
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                total += Outcome(failed=1)
            elif "skipped" in kinds:
                total += Outcome(skipped=1)
            else:
                total += Outcome(passed=1)
    return total


def judge(status: int, counted: Outcome, *, note: str = "") -> Outcome:
    """Return the worse of exit status and reports. A run without tests has failed."""
    failed = counted.failed
    if failed == 0 and (status != 0 or counted.passed == 0):
        failed = 1
    return Outcome(counted.passed, failed, counted.skipped, note)
