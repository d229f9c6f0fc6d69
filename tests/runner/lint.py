# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Part ``lint``: static checks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from runner import tools
from runner.ansible_test import copy_collection
from runner.steps import Lane, Log, Outcome, Settings, Step, passed_if

NOT_STRICT = ("_glue",)
"""Slices that import Ansible, which has no types. They are checked with the modules."""
PLUGINS = "ansible_collections.wormhole.docker.plugins"

SPDX = "SPDX-License-Identifier: GPL-3.0-or-later"
COPYRIGHT = "Copyright: Contributors to the wormhole.docker project"

UNMARKED = (
    "LICENSES/",
    "COPYING",
    "changelogs/changelog.yaml",
    "changelogs/fragments/",
    "tests/sanity/ignore-",
)
"""Files without a licence header: licence texts, generated files, and files without comments."""

Command = Callable[[Path], Sequence[str | Path]]
"""Returns a command line for the root of the copy to check."""


def lanes(_settings: Settings) -> list[Lane]:
    checks = (
        tool("ruff", lambda root: ["ruff", "check", "--no-cache", "--output-format", "concise", "."]),
        tool("ruff format", lambda root: ["ruff", "format", "--no-cache", "--check", "."]),
        Step("lint", "licence headers", lambda settings, log: passed_if(not unmarked_files(settings, log))),
        tool("yamllint", lambda root: ["yamllint", "--strict", "--format", "parsable", "."]),
        tool("shellcheck", shellcheck),
        tool("changelog", lambda root: ["antsibull-changelog", "lint"]),
        tool("mypy, strict: module_utils", mypy_strict),
        tool("mypy: modules, action plugins and _glue", lambda root: mypy("--package", PLUGINS)),
        tool(
            "mypy, strict: lab, runner and bench",
            lambda root: mypy("--strict", "--package", "lab", "--package", "runner", "--package", "bench"),
        ),
    )
    # ansible-lint takes longer than all other checks together.
    slow = tool(
        "ansible-lint, profile production",
        lambda root: ["ansible-lint", "--offline", "--profile", "production", "--strict", "--nocolor"],
        tree="ansible-lint",
    )
    return [checks, (slow,)]


def mypy(*arguments: str) -> list[str]:
    return ["mypy", "--config-file", "pyproject.toml", *arguments]


def mypy_strict(root: Path) -> list[str]:
    slices = sorted(path.name for path in (root / "plugins/module_utils").iterdir() if path.is_dir())
    packages = [f"{PLUGINS}.module_utils.{name}" for name in slices if name not in NOT_STRICT]
    return mypy("--strict", *(word for package in packages for word in ("--package", package)))


def shellcheck(root: Path) -> list[str]:
    return [
        "shellcheck",
        "--external-sources",
        *(str(path.relative_to(root)) for path in shell_scripts(root)),
    ]


def shell_scripts(root: Path) -> list[Path]:
    """Return the files whose first line names a shell."""
    return [
        path
        for path in files_of(root)
        if first_line(path).startswith(b"#!") and first_line(path).endswith(b"sh")
    ]


def first_line(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.readline(200).rstrip()


def files_of(root: Path) -> list[Path]:
    """Return the files of the collection, without the output of ansible-test."""
    found = []
    for directory, names, files in os.walk(root):
        if Path(directory) == root / "tests":
            names[:] = [name for name in names if name != "output"]
        names[:] = sorted(name for name in names if not name.startswith(".") or name == ".ci")
        found += [Path(directory, name) for name in sorted(files)]
    return [path for path in found if not path.is_symlink()]


def tool(name: str, command: Command, tree: str = "lint") -> Step:
    """Return a step that runs a linter and passes if it exits 0.

    Linters that run at the same time need separate trees.
    """

    def action(settings: Settings, log: Log) -> Outcome:
        binaries = tools.environment(settings, log, "lint")
        root = copy_collection(settings.stage, settings.work / "trees" / tree)
        env = tools.plain_environment(
            binaries,
            HOME=settings.work / "home/lint",
            MYPYPATH=f"{root.parents[2]}:{root / 'tests'}",
            MYPY_CACHE_DIR=settings.work / "cache/mypy",
            ANSIBLE_COLLECTIONS_PATH=root.parents[2],
        )
        Path(env["HOME"]).mkdir(parents=True, exist_ok=True)
        return passed_if(log.run(command(root), cwd=root, env=env, timeout=600) == 0)

    return Step("lint", name, action)


def unmarked_files(settings: Settings, log: Log) -> list[Path]:
    """Return the files that do not name licence and copyright holder within the first lines."""
    missing = []
    for path in files_of(settings.stage):
        name = str(path.relative_to(settings.stage))
        if name.startswith(UNMARKED) or path.stat().st_size == 0:
            continue
        head = path.read_text(encoding="utf-8").splitlines()[:10]
        if not all(any(words in line for line in head) for words in (SPDX, COPYRIGHT)):
            missing.append(path)
            log.write(f"{name}: the header is missing: {COPYRIGHT} … {SPDX}")
    log.write(f"{len(missing)} files without a licence header")
    return missing
