# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read dockerd's command line: its options, and the keys of daemon.json that they stand for.

dockerd does not start if an option and daemon.json set the same key. No environment variable
replaces a key that is set: ``DOCKER_CERT_PATH``, ``DOCKER_CONFIG`` and ``DOCKER_TLS_VERIFY`` only
change the default paths of the TLS options.

Sources: dockerd(8); moby, ``daemon/command/config_unix.go``, ``config.go`` and ``options.go``;
spf13/pflag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Optional, Sequence

from .._base.systemd_words import resolve
from .daemon_json import PATH

DEFAULT_HOST = "unix:///var/run/docker.sock"
"""Where dockerd listens without an option and without the key ``hosts``."""
SYSTEMD_SOCKETS = "fd://"
TLS_OPTIONS = ("tls", "tlsverify", "tlscacert", "tlscert", "tlskey")

_CONFIG_FILE = "config-file"
_SHORT = {
    "D": "debug",
    "H": "host",
    "G": "group",
    "b": "bridge",
    "g": "data-root",
    "h": "help",
    "l": "log-level",
    "p": "pidfile",
    "r": "restart",
    "s": "storage-driver",
    "v": "version",
}
_SWITCHES = "Dhrv"
"""Short options without a value."""
_SWITCH_KEYS = ("live-restore", "ipv6", "tls", "tlsverify", "icc", "iptables", "ip6tables", "userland-proxy")
_RENAMED = {"host": "hosts", "graph": "data-root"}


@dataclass(frozen=True)
class Option:
    """An option on a command line.

    Attributes:
        name: its long name, such as ``host``.
        value: its value; None without one.
        first: position of the word that names it.
        end: position of the first word after it.
        shared: short options before it in the same word, such as ``-D`` of ``-DH``.
    """

    name: str
    value: Optional[str]
    first: int
    end: int
    shared: str = ""


def parse_options(words: Sequence[str]) -> list[Option]:
    """The options of a command line; its first word is the program.

    dockerd takes no arguments besides its options. A word without a leading dash therefore belongs
    to the option before it.
    """
    found: list[Option] = []
    position = 1
    while position < len(words) and words[position] != "--":
        following = words[position + 1] if position + 1 < len(words) else "-"
        options = list(_options_in(words[position]))
        end = position + 1
        if options and options[-1][1] is None and not following.startswith("-"):
            name, _value, shared = options[-1]
            options[-1], end = (name, following, shared), end + 1
        found += [Option(name, value, position, end, shared) for name, value, shared in options]
        position = end
    return found


def hosts_of(words: Sequence[str]) -> tuple[str, ...]:
    """The values of the options ``-H`` and ``--host``."""
    return tuple(option.value or "" for option in parse_options(words) if option.name == "host")


def takes_systemd_sockets(words: Sequence[str]) -> bool:
    """Whether dockerd listens on the sockets that systemd passes to it."""
    return any(host.startswith(SYSTEMD_SOCKETS) for host in hosts_of(words))


def listens_otherwise(words: Sequence[str]) -> tuple[str, ...]:
    """The addresses that dockerd listens on in addition to the sockets of systemd."""
    return tuple(host for host in hosts_of(words) if not host.startswith(SYSTEMD_SOCKETS))


def tls_options_of(words: Sequence[str]) -> tuple[str, ...]:
    """The options for TLS as they are written; dockerd rejects a daemon.json that sets them too."""
    options = [option for option in parse_options(words) if option.name in TLS_OPTIONS]
    return tuple(
        f"--{option.name}" + ("" if option.value is None else f"={option.value}") for option in options
    )


def config_file(words: Sequence[str]) -> str:
    """The configuration file that dockerd reads; empty if an option turns it off."""
    named = [option.value or "" for option in parse_options(words) if option.name == _CONFIG_FILE]
    if not named:
        return PATH
    return resolve(named[-1]) if named[-1] else ""


def config_keys(words: Sequence[str]) -> dict[str, Any]:
    """The keys of daemon.json that the options stand for."""
    keys: dict[str, Any] = {}
    for option in parse_options(words):
        name = _RENAMED.get(option.name, option.name)
        if name == "hosts":
            keys[name] = [*keys.get(name, ()), option.value or ""]
        elif option.value is None or name in _SWITCH_KEYS:
            keys[name] = option.value is None or option.value.lower() in ("1", "t", "true")
        elif name != _CONFIG_FILE:
            keys[name] = option.value
    return keys


def without_options(words: Sequence[str], raw: Sequence[str], name: str) -> list[str]:
    """A command line without an option.

    Args:
        words: the words that are parsed.
        raw: the same words as they are written; the result has these.
    """
    kept = dict(enumerate(raw))
    for option in parse_options(words):
        if option.name == name:
            kept.update(dict.fromkeys(range(option.first, option.end), ""))
            if option.shared:
                kept[option.first] = option.shared
    return [word for position, word in sorted(kept.items()) if word]


def _options_in(word: str) -> Iterator[tuple[str, Optional[str], str]]:
    """Name, value and shared letters of the options in a word; the value may be in the next one."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        yield name, value if equals else None, ""
        return
    letters = word[1:] if word.startswith("-") else ""
    for position, letter in enumerate(letters):
        name, shared = _SHORT.get(letter, letter), f"-{letters[:position]}" if position else ""
        rest = letters[position + 1 :]
        if letter in _SWITCHES and not rest.startswith("="):
            yield name, None, shared
            continue
        yield name, rest[1:] if rest.startswith("=") else rest or None, shared
        return
