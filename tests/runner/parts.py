# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``./dev test``: select the parts and run their lanes."""

from __future__ import annotations

import contextlib
import fcntl
import queue
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from runner import docs, integration, lint, sanity, unit
from runner.ansible_test import copy_collection
from runner.report import Progress
from runner.stage import stage_collection
from runner.steps import FAILED, PROGRAMS, ROOT, Failed, Lane, Log, Result, Settings

PARTS: dict[str, Callable[[Settings], list[Lane]]] = {
    "lint": lint.lanes,
    "unit": unit.lanes,
    "sanity": sanity.lanes,
    "docs": docs.lanes,
    "integration": integration.lanes,
}

WORKERS = 3
"""Number of concurrent lanes. Measured: three keep two cores busy, more are not faster."""


def main(parts: Sequence[str], thorough: bool, seed: int | None) -> int:
    """Run parts of the tests, or all of them if none is named.

    Args:
        parts: some of :data:`PARTS`.
        thorough: run all test cases instead of a sample.
        seed: seed of all random choices; None for a random one.

    Returns:
        the exit status: 0 if all tests passed, 1 if some failed, 2 for an unknown part, 130 if
            interrupted.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        print(f"no such part: {', '.join(unknown)}. Choose from {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    chosen = [part for part in PARTS if part in parts or not parts]
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    signal.signal(signal.SIGTERM, _interrupt)
    results: list[Result] = []
    with _alone(), Progress(ROOT) as progress:
        logs = ROOT / ".dev/logs/test"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        # A copy of the stage, which later edits do not change.
        staged = stage_collection(ROOT) / "ansible_collections/wormhole/docker"
        settings = Settings(ROOT, copy_collection(staged, ROOT / ".dev/trees/snapshot"), seed, thorough)
        progress.say(
            f"parts: {', '.join(chosen)}; seed {seed}{'; thorough' if thorough else ''}; logs in .dev/logs/test"
        )
        try:
            if "integration" in chosen:
                integration.prepare(Log(logs / "integration-lab-images.log"), progress.say)
            lanes = [lane for part in chosen for lane in PARTS[part](settings)]
            for remark in unit.remarks() if {"unit", "sanity", "integration"} & set(chosen) else []:
                progress.say(remark)
            _run(lanes, settings, logs, progress, results)
        except KeyboardInterrupt:
            progress.say("interrupted: stopping the running steps")
            return 130
        finally:
            PROGRAMS.stop()
            integration.clean_up()
    total = progress.summary(results, chosen, seed)
    missing = [part for part in chosen if not any(result.step.part == part for result in results)]
    return 1 if total.failed or missing else 0


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock for test runs of this clone, which share directories."""
    path = ROOT / ".dev/test.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another ./dev test of this clone …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(
    lanes: Sequence[Lane], settings: Settings, logs: Path, progress: Progress, results: list[Result]
) -> None:
    """Run lanes side by side, in order, until all have ended."""
    waiting: queue.SimpleQueue[Lane] = queue.SimpleQueue()
    for lane in lanes:
        waiting.put(lane)

    def work() -> None:
        while True:
            try:
                lane = waiting.get_nowait()
            except queue.Empty:
                return
            for step in lane:
                log = Log(logs / f"{step.slug}.log")
                progress.started(step, log)
                begun = time.monotonic()
                try:
                    outcome = step.action(settings, log)
                except Failed as error:
                    log.write(str(error))
                    outcome = FAILED
                except Exception:
                    log.write(traceback.format_exc())
                    outcome = FAILED
                if PROGRAMS.stopping:
                    return
                result = Result(step, outcome, time.monotonic() - begun, log)
                results.append(result)
                progress.ended(result)

    workers = [threading.Thread(target=work, daemon=True) for _number in range(min(WORKERS, len(lanes)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            worker.join(0.5)
