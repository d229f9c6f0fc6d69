# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts and stops a lab."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lab import container_images, control, engine, network, rootfs
from lab.cache import Progress
from lab.errors import LabError
from lab.paths import LabPaths
from lab.process import run
from lab.residue import clear
from lab.spec import Release

_START_SECONDS = 60


def prepare(paths: LabPaths, releases: Iterable[Release], progress: Progress) -> None:
    """Build what hosts of these releases need, if it is missing. This is slow, and done once."""
    builds: list[Callable[[], Any]] = [
        *(
            lambda release=release: rootfs.ensure_rootfs(paths, release, progress)
            for release in sorted(set(releases))
        ),
        lambda: container_images.ensure_images(paths, progress),
        lambda: engine.ensure_programs(paths, progress),
    ]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for future in [pool.submit(build) for build in builds]:
            future.result()


def start(paths: LabPaths, progress: Progress, *, owned: bool) -> tuple[subprocess.Popen[bytes], int | None]:
    """Start the guardian and the supervisor, and wait until the supervisor answers.

    Returns the guardian and, for an owned lab, a descriptor that keeps the lab running while it is
    open.
    """
    lock = _lock(paths)
    try:
        left = clear(paths)
        if left:
            raise LabError(
                "an earlier lab was not removed",
                found="; ".join(left),
                remedy="run ./dev lab down, then try again",
            )
        paths.run.mkdir(mode=0o700)
        # Prevents labs of two clones from choosing the same addresses.
        choosing = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(choosing, fcntl.LOCK_EX)
        try:
            subnet = network.choose_subnet(_routes(), paths.key)
            progress(f"starting the lab at {subnet} …")
            process, lifeline = _spawn(paths, subnet, lock, owned=owned)
            try:
                _wait(paths, process)
            except BaseException:
                process.terminate()
                process.wait()
                raise
        finally:
            os.close(choosing)
    finally:
        os.close(lock)  # the guardian also holds it, while the lab runs
    return process, lifeline


def stop(paths: LabPaths) -> list[str]:
    """Stop the lab of this clone in any state; return what could not be removed."""
    pid = _lock_holder(paths)
    if pid is not None:
        os.kill(pid, 15)
    deadline = time.monotonic() + 20
    while True:
        try:
            os.close(_lock(paths))
            return clear(paths)
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _spawn(
    paths: LabPaths, subnet: network.Subnet, lock: int, *, owned: bool
) -> tuple[subprocess.Popen[bytes], int | None]:
    argv = [sys.executable, "-m", "lab.guardian", str(paths.root), str(subnet)]
    descriptors = [lock]
    lifeline = None
    if owned:
        owner, lifeline = os.pipe()
        argv += ["--owner", str(owner)]
        descriptors.append(owner)
    tests = Path(__file__).resolve().parent.parent
    with paths.log.open("wb") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=descriptors,
            # The owner handles Ctrl-C at the terminal. The lab ends with the owner, not before it.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(tests), "PYTHONUNBUFFERED": "1"},
        )
    if owned:
        os.close(owner)
    (paths.lab / "guardian.pid").write_text(f"{process.pid}\n")
    return process, lifeline


def _wait(paths: LabPaths, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while control.supervisor_pid(paths) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            words = paths.log.read_text(errors="replace").strip()[-2000:]
            raise LabError("the lab did not start", found=f"{words}\n  log: {paths.log}")
        time.sleep(0.02)


def _lock(paths: LabPaths) -> int:
    """Acquire the lock of this clone's lab."""
    paths.lab.mkdir(parents=True, exist_ok=True)
    lock = os.open(paths.lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise LabError(
            "a lab of this clone is running, starting or stopping",
            found=f"{paths.lock} is held",
            remedy="see ./dev lab status, or run ./dev lab down",
        ) from None
    return lock


def _lock_holder(paths: LabPaths) -> int | None:
    """Return the process ID of this clone's guardian, if it is running."""
    try:
        pid = int((paths.lab / "guardian.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    ours = b"lab.guardian" in command and str(paths.root).encode() in command
    return pid if ours else None


def _routes() -> list[str]:
    """Return the destinations of this machine's routes, in all tables."""
    entries = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]")
    return [entry["dst"] for entry in entries]
