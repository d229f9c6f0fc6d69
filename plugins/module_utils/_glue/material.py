# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the authority that options name, with its key, from a directory, other files or content.

Modules that only need its public part do not import this.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Mapping, Optional

from .._base.errors import InvalidInput
from .._base.io import files
from .._certificates.checks import check_directory
from .._certificates.io import authority as authority_store
from .._certificates.io import decoding
from .._certificates.trust import Trust
from .authority_options import authority_arguments

_OTHERS = 0o066
"""Permission bits of group and others to read and to write."""


def load_material(options: Mapping[str, Any], prefix: str = "ca_") -> tuple[str, authority_store.Material]:
    """Read an authority; return its directory, path or option, for messages, and the authority.

    Raises:
        InvalidInput: an option is invalid, or the passphrase is wrong.
        WormholeError: a file cannot be read.
    """
    decoding.require()
    place, material = _load(options, prefix)
    previous = _previous_directory(options, prefix)
    trust = material.trust.replacing(authority_store.read_trust(previous) if previous else Trust())
    return place, replace(material, trust=trust, previous_directory=previous)


def load_previous(options: Mapping[str, Any], prefix: str = "ca_") -> Trust:
    """Read the public part of the authority that this one replaces; empty without one."""
    directory = _previous_directory(options, prefix)
    return authority_store.read_trust(directory) if directory else Trust()


def _previous_directory(options: Mapping[str, Any], prefix: str) -> str:
    option = f"{prefix}previous_directory"
    if options.get(option) is None:
        return ""
    directory = _expand(option, options[option]).rstrip("/")
    check_directory(option, directory)
    return directory


def _load(options: Mapping[str, Any], prefix: str) -> tuple[str, authority_store.Material]:
    given = {name: options.get(prefix + name) for name in authority_arguments("")}
    passphrase = given["passphrase"]
    if passphrase == "":
        name = prefix + "passphrase"
        raise InvalidInput(name, problem=f"{name} is empty", remedy="Remove the option instead")
    if given["directory"] is not None:
        directory = _expand(prefix + "directory", given["directory"]).rstrip("/")
        check_directory(prefix + "directory", directory)
        return directory, authority_store.read_material(directory, passphrase)
    certificate, _mode = _content(
        prefix, "certificate", given["certificate_path"], given["certificate_content"]
    )
    key, mode = _content(prefix, "private_key", given["private_key_path"], given["private_key_content"])
    trusted = (given["trusted_content"] or "").encode()
    place = given["certificate_path"] or f"option {prefix}certificate_content"
    material = authority_store.parse_material(certificate or b"", key, passphrase, trusted)
    return place, replace(material, warning=_exposure(given["private_key_path"], mode))


def _exposure(path: Optional[str], mode: int) -> str:
    """A warning about a private key that other users can read or write; empty if they cannot."""
    if not mode & _OTHERS:
        return ""
    return (
        f"The authority's private key {path} has mode {mode:04o}: other users can read or replace it. Whoever has it "
        "can become root on every host that trusts the authority. Run chmod 0600 there"
    )


def _content(
    prefix: str, name: str, path: Optional[str], content: Optional[str]
) -> tuple[Optional[bytes], int]:
    """The content of an option or of its file, and the mode of the file; 0 without a file."""
    if content is not None:
        return content.encode(), 0
    if path is None:
        return None, 0
    option = f"{prefix}{name}_path"
    path = _expand(option, path)
    with authority_store.naming_user(path):
        found = files.read_file(path, any_link=True)
    if found is None:
        problem = f"{option}: there is no file at {path} where certificates are signed"
        raise InvalidInput(option, problem=problem)
    return found.content, found.mode


def _expand(option: str, path: str) -> str:
    """Replace ``~`` by the home directory of the user who signs certificates."""
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        problem = f"{option} is {path!r}, but where certificates are signed, the home directory is unknown"
        raise InvalidInput(option, problem=problem, remedy="Set it to an absolute path, or set HOME there")
    return expanded
