# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`./dev bench gate`: measure the gate beside its engine and its peer."""

from __future__ import annotations

import json
import os
import platform
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from bench.gate.figures import GateRow, as_data, table
from bench.gate.rows import CROWD, MEASUREMENTS
from bench.gate.stage import Stage
from lab import HostSpec, Lab, LabError
from lab.spec import Release
from runner.progress import Progress
from runner.stage import stage_collection


def bench_gate(root: Path, release: Release, rounds: int, names: Sequence[str], file: Path | None) -> int:
    """Measure some rows, or all, on a new host; return the exit status.

    Args:
        root: the clone.
        release: Debian release of the host.
        rounds: how often each side is measured.
        names: some of the keys of MEASUREMENTS; none means all.
        file: receives all values as JSON (default: ``.dev/bench-gate.json``).

    Raises:
        LabError: a name is unknown, or a call failed.
    """
    unknown = sorted(set(names) - set(MEASUREMENTS))
    if unknown:
        raise LabError(f"no such rows: {', '.join(unknown)}", expected=f"some of {', '.join(MEASUREMENTS)}")
    progress = Progress()
    signal.signal(signal.SIGTERM, _interrupt)
    results: dict[str, list[GateRow]] = {}
    load = [os.getloadavg()[0]]
    setting: dict[str, Any] = {}
    try:
        with ExitStack() as exits:
            lab = Lab.attach(root=root) or exits.enter_context(Lab.owned(root=root, progress=progress))
            (host,) = lab.add_hosts([HostSpec(release)])
            exits.callback(host.destroy)
            stage = Stage(lab, host, stage_collection(root))
            stage.prepare(CROWD)
            setting = _setting(stage, release, rounds)
            for name, measure in MEASUREMENTS.items():
                if name in names or not names:
                    progress(f"{name} …")
                    results[name] = measure(stage, rounds)
    finally:
        # Also the rows of an unfinished run.
        if results:
            load.append(os.getloadavg()[0])
            _report(results, {**setting, "load": load}, file or root / ".dev/bench-gate.json")
    return 0


def _setting(stage: Stage, release: Release, rounds: int) -> dict[str, Any]:
    """Return what the values depend on."""
    said = stage.host.run(
        "docker version --format '{{.Server.Version}}'; python3 -V | cut -d' ' -f2; haproxy -v | cut -d' ' -f3 | head -n1"
    ).stdout.split()
    versions = dict(zip(("engine", "python", "haproxy"), said, strict=True))
    return {
        "release": release,
        "rounds": rounds,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        **versions,
    }


def _report(results: Mapping[str, Sequence[GateRow]], setting: dict[str, Any], file: Path) -> None:
    file.write_text(json.dumps({**setting, "rows": as_data(results)}, indent=2) + "\n")
    print(table(results))
    load = " to ".join(f"{value:.1f}" for value in setting.pop("load"))
    print(
        f"\n{', '.join(f'{key} {value}' for key, value in setting.items())}; load {load}; all values: {file}"
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
