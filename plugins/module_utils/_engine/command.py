# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How systemd starts dockerd: the vendor's unit, an administrator's drop-ins, and our drop-in.

Sources: systemd.service(5), "ExecStart="; systemd.exec(5), "Environment="; systemd.unit(5),
"drop-in"; dockerd(8), "--host".
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional, Sequence

from .._base import systemd_units, systemd_words
from . import options

UNIT = "docker.service"
"""The service that starts dockerd."""

_PROGRAM = "dockerd"
_PREFIXES = "@-:+!|"


@dataclass(frozen=True)
class EngineCommand:
    """How dockerd is started.

    Attributes:
        running: the running dockerd's command line, with quotes where a word needs them; empty if
            none runs.
        configured: the effective ExecStart= without our drop-in, as it is written; variables are
            not expanded. Empty if there is none, or more than one.
        source: path of the unit file or drop-in that sets it.
        drop_ins: paths of the drop-ins of docker.service other than ours.
        override_path: path of our drop-in; empty if there is none.
        override_text: its content.
        stale: systemd has not read the present files yet.
        guard_path: path of our guard's drop-in; empty if there is none.
        guard_text: its content.
        guard_loaded: whether systemd knows that drop-in; true if there is none.
        environment: the variables of Environment= and EnvironmentFile=.
        variable_sources: the file that sets each of them, by name.
        missing: environment files that do not exist and that the service does not start without.
    """

    running: str = "dockerd -H fd://"
    configured: str = "/usr/sbin/dockerd -H fd://"
    source: str = "/usr/lib/systemd/system/docker.service"
    drop_ins: tuple[str, ...] = ()
    override_path: str = ""
    override_text: str = ""
    stale: bool = False
    guard_path: str = ""
    guard_text: str = ""
    guard_loaded: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    variable_sources: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The configured command line as dockerd gets it, with expanded variables."""
        return tuple(word for words in self._expanded for word in words)

    @property
    def written_words(self) -> tuple[str, ...]:
        """The configured command line, word by word, with a dash for each variable of options."""
        kept = []
        for word, expanded in zip(_command(self.configured), self._expanded):
            literal = not word.text.startswith("$") or word.text.startswith(("${", "$$"))
            if literal or (len(expanded) == 1 and not expanded[0].startswith("-")):
                kept.append(expanded[0])
            else:
                kept.append("-")
        return tuple(kept)

    @property
    def running_words(self) -> tuple[str, ...]:
        """The words of the running dockerd's command line."""
        return tuple(word.text for word in systemd_words.split(self.running) or ())

    @property
    def starts_dockerd(self) -> bool:
        """Whether the unit starts dockerd itself, and not another program that may start it."""
        return posixpath.basename(self.words[0] if self.words else "") == _PROGRAM

    @property
    def config_file(self) -> str:
        """The configuration file that dockerd reads when it starts; empty for none."""
        return options.config_file(self.effective_words)

    @property
    def running_config_file(self) -> str:
        """The configuration file that the running dockerd reads; empty for none."""
        return options.config_file(self.running_words or self.effective_words)

    @property
    def config_keys(self) -> dict[str, Any]:
        """The keys of the configuration file that the command line sets."""
        return options.config_keys(self.effective_words)

    @property
    def effective_words(self) -> tuple[str, ...]:
        """The configured command line; that of the running dockerd if another program starts it."""
        return self.words if self.starts_dockerd else self.running_words

    @property
    def _expanded(self) -> list[list[str]]:
        texts = [systemd_words.expand_specifiers(word.text, UNIT) for word in _command(self.configured)]
        if not texts:
            return []
        prefix, arguments = _prefix(texts[0]), [[text] for text in texts[1:]]
        if ":" not in prefix:
            arguments = [systemd_words.expand_variables(text, self.environment) for text in texts[1:]]
        return [[texts[0][len(prefix) :]], *arguments]


@dataclass(frozen=True)
class EnvironmentFile:
    """A value of ``EnvironmentFile=``.

    Attributes:
        pattern: a path, or a pattern of paths.
        optional: whether the service starts without it.
    """

    pattern: str
    optional: bool


ReadEnvironment = Callable[[EnvironmentFile], Sequence[tuple[str, str]]]
"""Reads the paths and contents of the files that a value names."""


def parse_files(
    unit_files: Sequence[tuple[str, str]],
    running: str,
    stale: bool = False,
    read_environment: Optional[ReadEnvironment] = None,
) -> EngineCommand:
    """Finds the effective ExecStart=.

    Args:
        unit_files: paths and contents of docker.service and its drop-ins, in the order of systemd.
        running: the running dockerd's command line.
        stale: systemd has not read these files yet.
        read_environment: reads environment files; None if there are none.
    """
    commands: list[tuple[str, str]] = []
    drop_ins, path_of_ours, text_of_ours = [], "", ""
    guard = ("", "")
    for path, content in unit_files:
        if is_override(path):
            path_of_ours, text_of_ours = path, content
            continue
        if is_guard(path):
            guard = (path, content)
            continue
        if path.endswith(".conf"):
            drop_ins.append(path)
        for key, value in systemd_units.assignments(content, "Service"):
            if key == "ExecStart":
                # An empty value discards those before it.
                commands = [*commands, (value, path)] if value else []
    configured, source = commands[-1] if commands else ("", unit_files[0][0] if unit_files else "")
    read = read_environment or (lambda file: ())
    environment = _environment(unit_files, read)
    required = [
        file for _path, file in environment_files(unit_files) if read_environment and not file.optional
    ]
    return EngineCommand(
        running=running,
        # systemd does not load a service of this type with more than one command.
        configured=configured if len(commands) == 1 and _command(configured) else "",
        source=source,
        drop_ins=tuple(drop_ins),
        override_path=path_of_ours,
        override_text=text_of_ours,
        stale=stale,
        environment={name: value for name, (value, _path) in environment.items()},
        variable_sources={name: path for name, (_value, path) in environment.items()},
        missing=tuple(file.pattern for file in required if not read(file)),
        guard_path=guard[0],
        guard_text=guard[1],
    )


def is_override(path: str) -> bool:
    """Whether a file is our drop-in for docker.service."""
    return systemd_units.overridden_unit(path) == UNIT


def is_guard(path: str) -> bool:
    """Whether a file is the drop-in of our guard for docker.service."""
    return systemd_units.guarded_unit(path) == UNIT


def override_path(command: EngineCommand) -> str:
    """The path that our drop-in needs, to be read after the others."""
    return systemd_units.override_path(UNIT, command.drop_ins)


def render_override(command: EngineCommand, hosts: Sequence[str] = ()) -> str:
    """The drop-in that starts dockerd as configured, but only on systemd's sockets and these."""
    raw = [word.raw for word in _command(command.configured)]
    program, *rest = options.without_options(command.written_words, raw, "host")
    if "@" in _prefix(program) and rest:
        program, rest = f"{program} {rest[0]}", rest[1:]
    listeners = [f"-H {systemd_words.escape(host)}" for host in (options.SYSTEMD_SOCKETS, *hosts)]
    line = " ".join([program, *listeners, *rest])
    return (
        f"{systemd_units.MANAGED}# Instead of the ExecStart in {command.source}, whose listeners it has adopted.\n"
        "[Service]\n"
        "ExecStart=\n"
        f"ExecStart={line}\n"
    )


def hosts_of_override(command: EngineCommand) -> tuple[str, ...]:
    """Where our drop-in makes dockerd listen in addition to systemd's sockets."""
    lines = dict(systemd_units.assignments(command.override_text, "Service"))
    return options.listens_otherwise(EngineCommand(configured=lines.get("ExecStart", "")).words)


def environment_files(unit_files: Sequence[tuple[str, str]]) -> list[tuple[str, EnvironmentFile]]:
    """The values of ``EnvironmentFile=`` that count, with the paths of the files that set them."""
    found: list[tuple[str, EnvironmentFile]] = []
    for path, content in unit_files:
        for key, value in systemd_units.assignments(content, "Service"):
            if key == "EnvironmentFile":
                pattern = systemd_words.expand_specifiers(value, UNIT)
                file = EnvironmentFile(pattern.lstrip("-"), pattern.startswith("-"))
                found = [*found, (path, file)] if value else []
    return found


def _environment(unit_files: Sequence[tuple[str, str]], read: ReadEnvironment) -> dict[str, tuple[str, str]]:
    """The variables of the service with the path that sets each; files beat ``Environment=``."""
    found: dict[str, tuple[str, str]] = {}
    for path, content in unit_files:
        for key, value in systemd_units.assignments(content, "Service"):
            if key == "Environment":
                added = systemd_words.parse_environment(value, UNIT)
                found = {**found, **{name: (text, path) for name, text in added.items()}} if value else {}
    for _unit_file, file in environment_files(unit_files):
        for path, content in read(file):
            variables = systemd_words.parse_environment_file(content)
            found.update({name: (value, path) for name, value in variables.items()})
    return found


def _command(value: str) -> list[systemd_words.Word]:
    """The words of a value of ExecStart=; none if it is invalid or has several commands."""
    words = systemd_words.split(value) or []
    if any(word.raw == ";" for word in words[:-1]):
        return []
    return [word._replace(text=";") if word.raw == "\\;" else word for word in words if word.raw != ";"]


def _prefix(program: str) -> str:
    """The special characters before the path of a program (systemd.service(5))."""
    return program[: len(program) - len(program.lstrip(_PREFIXES))]
