# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`./dev bench`: measure, print the table, and write the JSON file."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from bench.figures import Row, as_data, table
from bench.rows import MEASUREMENTS
from bench.sites import Sites
from lab import Lab, LabError
from lab.spec import Release
from runner.progress import Progress
from runner.stage import stage_collection
from system.reference import PACKAGE, reference_collections


def bench(root: Path, release: Release, rounds: int, names: Sequence[str], file: Path | None) -> int:
    """Measure some rows, or all; return the exit status.

    Args:
        root: the clone.
        release: Debian release of the hosts.
        rounds: how often each side is measured.
        names: some of the keys of MEASUREMENTS; none means all.
        file: receives all values as JSON (default: ``.dev/bench.json``).

    Raises:
        LabError: a name is unknown, or a playbook failed.
    """
    unknown = sorted(set(names) - set(MEASUREMENTS))
    if unknown:
        raise LabError(f"no such rows: {', '.join(unknown)}", expected=f"some of {', '.join(MEASUREMENTS)}")
    progress = Progress()
    signal.signal(signal.SIGTERM, _interrupt)
    log = root / ".dev/logs/bench.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    setting = _setting(release, rounds)
    results: dict[str, list[Row]] = {}
    try:
        with ExitStack() as exits, log.open("w", encoding="utf-8") as output:
            collections = f"{stage_collection(root)}:{reference_collections(root / '.dev/cache/reference')}"
            lab = Lab.attach(root=root) or exits.enter_context(Lab.owned(root=root, progress=progress))
            sites = Sites(lab, release, collections, exits)
            for name, measure in MEASUREMENTS.items():
                if name in names or not names:
                    progress(f"{name} …")
                    # Playbooks print their output.
                    with contextlib.redirect_stdout(output):
                        results[name] = measure(sites, rounds)
    finally:
        # Also the rows of an unfinished run.
        if results:
            _report(results, setting, file or root / ".dev/bench.json")
    return 0


def _setting(release: Release, rounds: int) -> dict[str, Any]:
    """Return what the values depend on."""
    return {
        "release": release,
        "rounds": rounds,
        "cores": os.cpu_count(),
        "load": [os.getloadavg()[0]],
        "python": platform.python_version(),
        "ansible-core": version("ansible-core"),
        "peers": PACKAGE,
    }


def _report(results: Mapping[str, Sequence[Row]], setting: dict[str, Any], file: Path) -> None:
    setting["load"].append(os.getloadavg()[0])
    file.write_text(json.dumps({**setting, "rows": as_data(results)}, indent=2) + "\n")
    print(table(results))
    load = " to ".join(f"{value:.1f}" for value in setting.pop("load"))
    print(
        f"\n{', '.join(f'{key} {value}' for key, value in setting.items())}; load {load}; all values: {file}"
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
