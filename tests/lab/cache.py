# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are built once.

Their names contain a hash of their inputs, and they only appear when complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

Progress = Callable[[str], None]


def key(parts: Iterable[str], modules: Iterable[str] = ()) -> str:
    """Hash the inputs of a build: words, and the source of this package's modules that run it."""
    sources = (Path(__file__).with_name(f"{module}.py").read_text() for module in modules)
    digest = hashlib.sha256()
    for part in (*parts, *sources):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:12]


def build_once(target: Path, build: Callable[[Path], None], what: str, progress: Progress) -> Path:
    """Return `target`; if it is missing, run `build(draft)` first.

    An interrupted build leaves no target.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return target  # another process built it meanwhile
        draft = target.with_name(f"draft-{target.name}")
        remove(draft)
        progress(f"building {what} (once) …")
        began = time.monotonic()
        try:
            build(draft)
            draft.rename(target)
        finally:
            remove(draft)
        progress(f"built {what} in {time.monotonic() - began:.1f} s")
    return target


def remove(path: Path) -> None:
    """Remove a file or directory, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
