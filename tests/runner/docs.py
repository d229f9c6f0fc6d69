# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Part ``docs``: check that docs render, examples are valid, and the built collection works."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from runner import tools
from runner.ansible_test import copy_collection
from runner.steps import Action, Failed, Lane, Log, Outcome, Settings, Step, passed_if

NAME = "wormhole.docker"

KINDS = {"module": "modules", "lookup": "lookup", "filter": "filter", "test": "test", "callback": "callback"}
"""ansible-doc's plugin types and their directories. Modules document their action plugins."""

DEVELOPMENT = (
    ".",
    "dev",
    "pyproject.toml",
    "tests/contract/",
    "tests/lab/",
    "tests/runner/",
    "tests/system/",
    "tests/output/",
)
"""Files that the built collection must not contain."""

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z0-9+-]*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.M | re.S
)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]+)(?:#[^)\s]*)?\)")
_FQCN = re.compile(r"\bansible-playbook\b[^\n]*?\bwormhole\.docker\.(?P<name>[a-z_]+)")


def lanes(_settings: Settings) -> list[Lane]:
    return [
        [
            Step("docs", "antsibull-docs", _antsibull),
            Step("docs", "ansible-doc renders every plugin and role", _ansible_doc),
            Step("docs", "examples in Markdown", _examples),
            Step("docs", "links in Markdown", _links),
            Step("docs", "collection: build, install, playbooks by FQCN", _artefact),
        ]
    ]


@dataclass(frozen=True)
class Workshop:
    """A copy of the collection, and the tools to check it.

    Attributes:
        settings, log: settings and log of the step.
        root: the copy.
        place: an empty directory for the step's files.
    """

    settings: Settings
    log: Log
    root: Path
    place: Path

    def run(self, *command: str | Path, collections: Path | None = None) -> bool:
        """Run a tool that finds collections in one place only; return whether it exited 0."""
        binaries = tools.environment(self.settings, self.log, "lint")
        env = tools.plain_environment(
            binaries,
            HOME=self.place,
            ANSIBLE_HOME=self.place / "ansible",
            ANSIBLE_COLLECTIONS_PATH=collections or self.root.parents[2],
            ANSIBLE_LOCALHOST_WARNING="false",
            ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
            # Part lint runs it on the same files, with the settings of this project.
            GALAXY_IMPORTER_RUN_ANSIBLE_LINT="false",
        )
        return self.log.run(command, cwd=self.place, env=env, timeout=300) == 0


def _with_workshop(name: str, work: Callable[[Workshop], Outcome]) -> Action:
    def action(settings: Settings, log: Log) -> Outcome:
        place = settings.work / "docs" / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return work(Workshop(settings, log, copy_collection(settings.stage, place / "tree"), place))

    return action


def _antsibull(settings: Settings, log: Log) -> Outcome:
    def work(shop: Workshop) -> Outcome:
        return passed_if(
            shop.run(
                "antsibull-docs",
                "lint-collection-docs",
                "--plugin-docs",
                "--validate-collection-refs",
                "self",
                shop.root,
            )
        )

    return _with_workshop("antsibull", work)(settings, log)


def _ansible_doc(settings: Settings, log: Log) -> Outcome:
    def work(shop: Workshop) -> Outcome:
        total = Outcome()
        for kind, names in _documented(shop.root).items():
            rendered = shop.run("ansible-doc", "--type", kind, *names)
            total += passed_if(rendered)
        return total

    return _with_workshop("ansible-doc", work)(settings, log)


def _documented(root: Path) -> dict[str, list[str]]:
    """Return the full names of all documented plugins and roles, by ansible-doc's type."""
    found: dict[str, list[str]] = {}
    for kind, directory in KINDS.items():
        files = sorted((root / "plugins" / directory).glob("*.py"))
        found[kind] = [f"{NAME}.{path.stem}" for path in files if not path.name.startswith("_")]
    found["role"] = [
        f"{NAME}.{path.parent.parent.name}" for path in sorted(root.glob("roles/*/meta/argument_specs.yml"))
    ]
    return {kind: names for kind, names in found.items() if names}


def markdown_files(root: Path) -> list[Path]:
    return sorted(
        [
            *root.glob("*.md"),
            *root.glob("docs/**/*.md"),
            *root.glob("roles/*/*.md"),
            *root.glob("tests/**/*.md"),
        ]
    )


@dataclass(frozen=True)
class Block:
    """A fenced block of a Markdown file."""

    path: Path
    line: int
    language: str
    text: str


def blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        indent = len(match["indent"])
        body = "".join(line[indent:] for line in match["body"].splitlines(keepends=True))
        yield Block(path, text.count("\n", 0, match.start()) + 1, match["language"], body)


def as_playbook(text: str) -> str | None:
    """Return a YAML example as a playbook. Tasks are put into a play. None if it is neither.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    data = yaml.safe_load(text)
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        return None
    if all({"hosts", "import_playbook", "ansible.builtin.import_playbook"} & set(item) for item in data):
        return text
    indented = "".join(f"    {line}" for line in text.splitlines(keepends=True) if line.strip() != "---")
    return f"- name: Example\n  hosts: localhost\n  tasks:\n{indented}"


def _examples(settings: Settings, log: Log) -> Outcome:
    return _with_workshop("examples", _check_examples)(settings, log)


def _check_examples(shop: Workshop) -> Outcome:
    """Check that YAML parses, playbooks and tasks pass the syntax check, and shell parses.

    Playbooks that shell examples name must exist.
    """
    playbooks, wrong, number = [], 0, 0
    for block in (block for path in markdown_files(shop.root) for block in blocks(path)):
        where = f"{block.path.relative_to(shop.root)}:{block.line}"
        number += 1
        if block.language in ("yaml", "yml"):
            try:
                text = as_playbook(block.text)
            except yaml.YAMLError as error:
                shop.log.write(f"{where}: {error}")
                wrong += 1
                continue
            if text is not None:
                target = shop.place / f"{where.replace('/', '_').replace(':', '_line_')}.yml"
                target.write_text(text, encoding="utf-8")
                playbooks.append(target)
        elif block.language in ("sh", "bash", "shell", "console"):
            script = (
                re.sub(r"^\$ ", "", block.text, flags=re.M) if block.language == "console" else block.text
            )
            for match in _FQCN.finditer(script):
                if not (shop.root / "playbooks" / f"{match['name']}.yml").exists():
                    shop.log.write(f"{where}: unknown playbook {NAME}.{match['name']}")
                    wrong += 1
            if block.language != "console" and not shop.run("bash", "-n", "-c", script):
                wrong += 1
    for target in playbooks:
        # One after the other: a run over several stops at the first that is wrong.
        wrong += 0 if shop.run("ansible-playbook", "--syntax-check", "-i", "localhost,", target) else 1
    if number == 0:
        raise Failed("no Markdown file has an example, but README.md must have several")
    return Outcome(passed=number - wrong, failed=wrong)


def _links(settings: Settings, log: Log) -> Outcome:
    """Check that relative links lead to existing files."""
    total = Outcome()
    for path in markdown_files(settings.stage):
        dead = [
            match["target"]
            for match in _LINK.finditer(path.read_text(encoding="utf-8"))
            if ":" not in match["target"] and not (path.parent / match["target"]).exists()
        ]
        for target in dead:
            log.write(f"{path.relative_to(settings.stage)}: {target} does not exist")
        total += passed_if(not dead)
    return total


def _artefact(settings: Settings, log: Log) -> Outcome:
    return _with_workshop("artefact", _check_artefact)(settings, log)


def _check_artefact(shop: Workshop) -> Outcome:
    """Build the collection, install it into an empty directory, and use it by full name."""
    shop.run("ansible-galaxy", "collection", "build", shop.root, "--output-path", shop.place)
    artefacts = list(shop.place.glob("wormhole-docker-*.tar.gz"))
    if len(artefacts) != 1:
        raise Failed("the collection was not built")
    artefact, installed = artefacts[0], shop.place / "installed"
    with tarfile.open(artefact) as archive:
        surplus = [name for name in archive.getnames() if name.startswith(DEVELOPMENT)]
    for name in surplus:
        shop.log.write(
            f"{name} is in the built collection, but only developers need it. Add it to build_ignore in galaxy.yml"
        )
    total = passed_if(not surplus)
    # What Ansible Galaxy checks on an upload; it leaves importer_result.json behind.
    total += passed_if(shop.run("python", "-m", "galaxy_importer.main", artefact))

    shutil.rmtree(shop.place / "tree")
    install = ("ansible-galaxy", "collection", "install", "--offline", artefact, "-p", installed)
    total += passed_if(shop.run(*install, collections=installed))
    playbooks = sorted((installed / "ansible_collections/wormhole/docker/playbooks").glob("*.yml"))
    for path in playbooks:
        check = ("ansible-playbook", "--syntax-check", "-i", "localhost,", f"{NAME}.{path.stem}")
        total += passed_if(shop.run(*check, collections=installed))
    return total if playbooks else total + Outcome(failed=1)
