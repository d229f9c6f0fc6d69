# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints the progress of a test run: each step as it starts and ends, and a summary."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from runner.steps import Log, Outcome, Result, Step

HEARTBEAT = 20.0
"""Seconds without output after which the running steps are printed, with their last line."""

_TAIL = 60

_MARKED = ("ERROR: ", "counted as a failure: ")


def clock(seconds: float) -> str:
    """``m:ss``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def numbers(outcome: Outcome) -> str:
    """Format an outcome: ``3 passed``, then failures, skips and the note, if any."""
    words = [f"{outcome.passed} passed"]
    words += [f"{outcome.failed} failed"] if outcome.failed else []
    words += [f"{outcome.skipped} skipped"] if outcome.skipped else []
    words += [outcome.note] if outcome.note else []
    return ", ".join(words)


def _excerpt(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines that are marked as errors, or the last lines if none is."""
    return [line for line in lines if line.startswith(_MARKED)][-_TAIL:] or lines[-_TAIL:]


class Progress:
    """Prints events from any thread, and the running steps if nothing has been printed for a while.

    Args:
        root: paths are shown relative to it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._spoken = self._begun
        self._active: dict[Step, tuple[float, Log]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._over.set()
        self._thread.join()

    def say(self, text: str) -> None:
        with self._lock:
            self._print(text)

    def started(self, step: Step, log: Log) -> None:
        with self._lock:
            self._active[step] = (time.monotonic(), log)
            self._print(f"{step.part:<12} {step.name} …")

    def ended(self, result: Result) -> None:
        step = result.step
        verdict = "FAILED" if result.outcome.failed else "ok"
        with self._lock:
            self._active.pop(step, None)
            self._print(
                f"{step.part:<12} {step.name}: {verdict} ({numbers(result.outcome)}) in {result.seconds:.1f} s"
            )
            if result.outcome.failed:
                print(f"    ┌── from {self._shown(result.log.path)}", flush=True)
                for line in _excerpt(result.log.lines()):
                    print(f"    │ {line}", flush=True)
                print("    └──", flush=True)

    def _print(self, text: str) -> None:
        self._spoken = time.monotonic()
        print(f"[{clock(self._spoken - self._begun):>5}] {text}", flush=True)

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)

    def _beat(self) -> None:
        while not self._over.wait(1):
            with self._lock:
                now = time.monotonic()
                if now - self._spoken < HEARTBEAT:
                    continue
                for step, (begun, log) in self._active.items():
                    last = (log.lines() or ["…"])[-1].strip()
                    self._print(f"{step.part:<12} {step.name}: {now - begun:.0f} s so far; {last[:90]}")

    def summary(self, results: Sequence[Result], parts: Iterable[str], seed: int) -> Outcome:
        """Print the totals; the last line is ``N passed, N failed``."""
        total = Outcome()
        print(f"\n{'part':<12} {'passed':>7} {'failed':>7} {'skipped':>8} {'time':>7}")
        for part in parts:
            mine = [result for result in results if result.step.part == part]
            counted = Outcome()
            for result in mine:
                outcome = result.outcome
                counted += Outcome(outcome.passed, outcome.failed, outcome.skipped)
            seconds = sum(result.seconds for result in mine)
            print(
                f"{part:<12} {counted.passed:>7} {counted.failed:>7} {counted.skipped:>8} {clock(seconds):>7}"
            )
            total += counted
        print(f"{'':<12} {'':>7} {'':>7} {'in all':>8} {clock(time.monotonic() - self._begun):>7}")
        failed = [result for result in results if result.outcome.failed]
        if failed:
            print("\nfailed:")
            for result in failed:
                print(f"  {result.step.part}: {result.step.name} → {self._shown(result.log.path)}")
            print(f"--seed {seed} repeats the random choices of this run")
        print(f"\n{total.passed} passed, {total.failed} failed", flush=True)
        return total
