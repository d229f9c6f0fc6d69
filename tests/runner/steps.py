# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of a test run, their outcomes, and the programs that they run.

A *step* is one thing that can fail by itself. It has its own log. Steps that must not overlap form
a *lane*. Lanes run side by side.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The clone."""

TIMED_OUT = 124
"""Exit status of a program that was terminated after its timeout, as with timeout(1)."""


class Failed(Exception):
    """A step could not run; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a step: numbers of tests (a linter counts as one), and a note."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            "; ".join(note for note in (self.note, other.note) if note),
        )


PASSED = Outcome(passed=1)
FAILED = Outcome(failed=1)


def passed_if(condition: bool) -> Outcome:
    """Return the outcome of one test."""
    return PASSED if condition else FAILED


@dataclass(frozen=True)
class Settings:
    """Settings of a test run.

    Attributes:
        root: the clone.
        stage: ``…/ansible_collections/wormhole/docker``, a copy of what git would commit.
        seed: seed of the property tests and of all samples.
        thorough: whether to run all test cases instead of a sample.
    """

    root: Path
    stage: Path
    seed: int
    thorough: bool

    @property
    def work(self) -> Path:
        """The directory for all generated files, which git ignores."""
        return self.root / ".dev"

    @property
    def collections(self) -> Path:
        """The directory that holds ``ansible_collections``."""
        return self.stage.parents[2]


class Programs:
    """The running programs, so that an interrupted run can terminate them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopping = False

    def start(
        self, argv: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopping:
                raise Failed("the test run is stopping")
            with log.open("ab") as output:
                # A separate session, so that the program and its children can be terminated
                # together.
                process = subprocess.Popen(
                    argv,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            self._running.add(process)
            return process

    @property
    def stopping(self) -> bool:
        """Whether the run is stopping. Failures from now on are a consequence."""
        return self._stopping

    def finished(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)

    def stop(self) -> None:
        """Terminate all programs, and prevent new ones from starting."""
        with self._lock:
            self._stopping = True
            running = list(self._running)
        for process in running:
            end(process)


def end(process: subprocess.Popen[bytes], grace: float = 10) -> None:
    """Terminate a program and its children: SIGTERM, and SIGKILL after ``grace`` seconds."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, grace)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


PROGRAMS = Programs()


@dataclass(frozen=True)
class Log:
    """The log file of a step."""

    path: Path

    def write(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(text.rstrip("\n") + "\n")

    def text(self) -> str:
        return self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.text().replace("\r", "\n").splitlines() if line.strip()]

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        timeout: float = 900,
    ) -> int:
        """Run a program, with its output in the log.

        Args:
            argv: the program and its arguments.
            cwd: working directory.
            env: complete environment (default: the environment of this process).
            timeout: seconds after which it and its children are terminated.

        Returns:
            the exit status; :data:`TIMED_OUT` after the timeout.
        """
        words = [str(word) for word in argv]
        self.write(f"$ cd {shlex.quote(str(cwd))} && {shlex.join(words)}")
        environment = dict(os.environ if env is None else env)
        started = time.monotonic()
        process = PROGRAMS.start(words, log=self.path, cwd=cwd, env=environment)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            end(process)
            status = TIMED_OUT
            self.write(f"terminated: not finished after {timeout:.0f} s")
        finally:
            PROGRAMS.finished(process)
        self.write(f"→ exit status {status} after {time.monotonic() - started:.1f} s")
        return status


Action = Callable[[Settings, Log], Outcome]


@dataclass(frozen=True)
class Step:
    """One thing that can fail by itself.

    Attributes:
        part: part of the tests: lint, sanity, unit, docs, integration.
        name: unique within the part.
        action: runs the step. An exception counts as one failed test.
    """

    part: str
    name: str
    action: Action

    @property
    def slug(self) -> str:
        """The name of the log file."""
        words = "".join(
            letter if letter.isalnum() or letter in ".-" else " " for letter in f"{self.part} {self.name}"
        )
        return "-".join(words.split())


Lane = Sequence[Step]


@dataclass(frozen=True)
class Result:
    """A step that has ended."""

    step: Step
    outcome: Outcome
    seconds: float
    log: Log = field(repr=False)
