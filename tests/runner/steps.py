# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a test run is made of: steps, what came of them, and the programs they run.

A *step* is one thing that can fail by itself and has a log of its own. Steps that must not overlap form a *lane*;
lanes run side by side.
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
"""Exit status reported for a program that was ended because its time was up (as timeout(1) does)."""


class Failed(Exception):
    """A step could not be carried out; the text says why."""


@dataclass(frozen=True)
class Outcome:
    """What came of a step: numbers of tests (a linter counts as one), and a remark for the summary."""

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
    """One test."""
    return PASSED if condition else FAILED


@dataclass(frozen=True)
class Settings:
    """What a run was asked for.

    Attributes:
        root: the clone.
        stage: ``…/ansible_collections/wormhole/docker``, a copy of what git would commit.
        seed: of the property tests and of sampled campaigns.
        thorough: whether to run the long campaigns in full.
    """

    root: Path
    stage: Path
    seed: int
    thorough: bool

    @property
    def work(self) -> Path:
        """The ignored directory for everything we make."""
        return self.root / ".dev"

    @property
    def collections(self) -> Path:
        """The directory that holds ``ansible_collections``."""
        return self.stage.parents[2]


class Programs:
    """The programs that are running, so that an interrupted run leaves none behind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopping = False

    def start(
        self, argv: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopping:
                raise Failed("the run is being ended")
            with log.open("ab") as output:
                # A session of its own: what the program starts can be ended together with it.
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
        """Whether the run is being ended: what fails now, fails because of that."""
        return self._stopping

    def finished(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)

    def stop(self) -> None:
        """End all of them, and let no other one start."""
        with self._lock:
            self._stopping = True
            running = list(self._running)
        for process in running:
            end(process)


def end(process: subprocess.Popen[bytes], grace: float = 10) -> None:
    """End a program and what it started: politely, and after ``grace`` seconds in earnest."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, grace)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


PROGRAMS = Programs()


@dataclass(frozen=True)
class Log:
    """The file that tells what a step did."""

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
        """Run a program to its end, all it prints going to the log.

        Args:
            argv: the program and its arguments.
            cwd: where it runs.
            env: its whole environment (default: ours).
            timeout: seconds after which it is ended, with everything it started.

        Returns:
            the exit status; :data:`TIMED_OUT` where its time was up.
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
            self.write(f"ended by the runner: not finished after {timeout:.0f} s")
        finally:
            PROGRAMS.finished(process)
        self.write(f"→ exit status {status} after {time.monotonic() - started:.1f} s")
        return status


Action = Callable[[Settings, Log], Outcome]


@dataclass(frozen=True)
class Step:
    """One thing that can fail by itself.

    Attributes:
        part: of the command line: lint, sanity, unit, docs, integration.
        name: unique within the part.
        action: does it; an exception counts as one failed test.
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
    """A step that is over."""

    step: Step
    outcome: Outcome
    seconds: float
    log: Log = field(repr=False)
