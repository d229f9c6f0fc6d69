# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running ansible-test without a container, without its download server, and without believing an empty run.

Facts about ansible-test that shape this file:

* It must run below ``ansible_collections/NAMESPACE/NAME``. Each run gets a copy of its own: virtual environments and
  reports live in ``tests/output`` there, so runs of two ansible-core versions can go side by side.
* Inside a git work tree it tests what git lists. Our copies are in an ignored directory, where git lists nothing: it
  would skip all targets and exit 0. With ``ANSIBLE_TEST_CONTENT_ROOT`` it looks at the files themselves.
* It exits 0 with "All targets skipped" when it finds nothing to test. That text counts as failure here.
* It fetches ``get-pip.py`` from a server of its own, which need not be reachable where a package index is. A small
  stand-in in its cache installs the very same pip from a wheel.
* It passes hardly any environment variable on. Facts reach the tests through ignored files in the copy.
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

_STAND_IN = '''\
"""Installs pip from the wheel beside this file; stands in for the get-pip.py that ansible-test would download."""

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
    """A version of ansible-core with the Python that its controller side runs on here.

    Attributes:
        version: ``major.minor``.
        python: ``major.minor`` of the controller's Python.
        targets: Python versions that unit tests of modules run on with this one.
        pip: the version of pip that its ansible-test puts into virtual environments.
    """

    version: str
    python: str
    targets: tuple[str, ...]
    pip: str

    @property
    def name(self) -> str:
        return f"ansible-{self.version}"

    def __str__(self) -> str:
        return f"ansible-core {self.version} on Python {self.python}"


# The oldest and the newest that are tested; Python in order of preference. The first one is the distribution's.
_WANTED = (("2.19", ("3.11", "3.12", "3.13"), "24.2"), ("2.21", ("3.13", "3.12", "3.14"), "25.2"))


def cores() -> tuple[list[Core], list[str]]:
    """The combinations that this machine can run, and a sentence for each that it cannot or not as preferred."""
    found = tools.interpreters()
    chosen: list[tuple[str, str, str]] = []
    remarks = []
    for version, preferred, pip in _WANTED:
        python = next((python for python in preferred if python in found), None)
        if python is None:
            remarks.append(
                f"ansible-core {version} is not tested here: no Python {', '.join(preferred)} was found"
            )
            continue
        if python != preferred[0]:
            remarks.append(
                f"ansible-core {version} is tested on Python {python}: no Python {preferred[0]} was found"
            )
        chosen.append((version, python, pip))
    # Each interpreter is tested once: the older ones with the older ansible-core, which still serves them.
    borders = {"2.19": ("3.9", "3.10", "3.11"), "2.21": ("3.12", "3.13", "3.14")}
    result = []
    for version, python, pip in chosen:
        targets = [target for target in borders[version] if target in found]
        targets += [] if python in targets else [python]
        result.append(Core(version, python, tuple(targets), pip))
    return result, remarks


def copy_collection(source: Path, tree: Path) -> Path:
    """Make ``tree/ansible_collections/wormhole/docker`` a copy of ``source``, keeping its virtual environments."""
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
    """Leaves out what ansible-test wrote into ``source``."""

    def ignored(directory: str, names: list[str]) -> set[str]:
        return {"output"} & set(names) if Path(directory) == source / "tests" else set()

    return ignored


class AnsibleTest:
    """ansible-test of one ansible-core, in a copy of the collection that is its own.

    Args:
        settings: of the run.
        log: where everything goes that it prints.
        core: which one.
        tree: the name of the copy.
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
        """What ansible-test takes for the user's home directory: it keeps caches and its SSH key there."""
        return self._home

    def run(
        self,
        arguments: Sequence[str],
        *,
        pythons: Iterable[str] = (),
        prefix: Sequence[str | Path] = (),
        timeout: float = 2400,
    ) -> int:
        """Run it.

        Args:
            arguments: those of ansible-test.
            pythons: versions that it has to find.
            prefix: a program that runs it, such as one that enters a network namespace.
            timeout: in seconds.

        Returns:
            the exit status; 1 where it skipped everything and said 0.
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
        """JUnit files of the last run."""
        return sorted((self.root / "tests/output/junit").glob(pattern))

    def _provide_pip(self) -> None:
        """Put the stand-in for get-pip.py and the wheel it installs into the cache."""
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
            script.write_text(_STAND_IN.format(wheel=wheel.name))


def count(reports: Iterable[Path]) -> Outcome:
    """Add up JUnit files."""
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
    """Make exit status and reports agree, to the worse of the two: an empty run has failed."""
    failed = counted.failed
    if failed == 0 and (status != 0 or counted.passed == 0):
        failed = 1
    return Outcome(counted.passed, failed, counted.skipped, note)
