# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies the working tree to a place where Ansible finds it as a collection."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def stage_collection(root: Path) -> Path:
    """Copy the files that git tracks, or would track, to .dev/stage; return the collections root.

    The copy includes uncommitted work. An existing copy is updated: unchanged files keep their
    times, and files that are no longer in the working tree are removed.
    """
    collections = root / ".dev" / "stage"
    target = collections / "ansible_collections" / "wormhole" / "docker"
    wanted = {target / name for name in listed_files(root)}
    folders = {
        target,
        *(folder for path in wanted for folder in path.parents if folder.is_relative_to(target)),
    }
    for folder in sorted(folders):
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        folder.mkdir(parents=True, exist_ok=True)
    for path in wanted:
        source = root / path.relative_to(target)
        if not _same(source, path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            shutil.copy2(source, path, follow_symlinks=False)
    for folder_name, folder_names, file_names in os.walk(target, topdown=True):
        here = Path(folder_name)
        for name in list(folder_names):
            if here / name not in folders and here / name not in wanted:
                shutil.rmtree(here / name)
                folder_names.remove(name)
        for name in file_names:
            if here / name not in wanted:
                (here / name).unlink()
    return collections


def listed_files(root: Path) -> list[str]:
    """Return the files of the working tree that git does not ignore."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    # A tracked file may be deleted in the working tree.
    return sorted(name for name in listing.split("\0") if name and os.path.lexists(root / name))


def _same(source: Path, copy: Path) -> bool:
    if source.is_symlink() or copy.is_symlink() or not copy.is_file():
        return False
    ours, theirs = source.stat(), copy.stat()
    return (ours.st_mtime_ns, ours.st_size, ours.st_mode) == (
        theirs.st_mtime_ns,
        theirs.st_size,
        theirs.st_mode,
    )
