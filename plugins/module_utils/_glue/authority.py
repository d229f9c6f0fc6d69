# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an authority comes from, as options tell it: a directory of ours, other files, or content."""

from __future__ import annotations

import datetime
import os
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import authority_store, files, x509
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import Authority
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.trust import Trust
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import check_directory

SOURCES = ("directory", "certificate_path", "certificate_content")


def authority_arguments(prefix: str = "ca_") -> dict[str, Any]:
    """The options that name an authority with its key."""
    plain = {
        "directory": {"type": "str"},
        "certificate_path": {"type": "str"},
        "certificate_content": {"type": "str"},
        "private_key_path": {"type": "str", "no_log": False},
        "private_key_content": {"type": "str", "no_log": True},
        "trusted_content": {"type": "str"},
        "passphrase": {"type": "str", "no_log": True},
    }
    return {prefix + name: argument for name, argument in plain.items()}


def authority_constraints(prefix: str = "ca_", *alternatives: str) -> dict[str, Any]:
    """How these options go together, as AnsibleModule and validate_argument_spec take it."""
    sources = [*(prefix + name for name in SOURCES), *alternatives]
    keys = [prefix + "private_key_path", prefix + "private_key_content"]
    # A directory has files of its own for these.
    beside = [[prefix + "directory", name] for name in (*keys, prefix + "trusted_content")]
    return {"mutually_exclusive": [sources, keys, *beside], "required_one_of": [sources]}


def load_material(options: Mapping[str, Any], prefix: str = "ca_") -> tuple[str, authority_store.Material]:
    """Reads an authority; also says what to call its place.

    Raises:
        InvalidInput: an option cannot be meant, or the passphrase does not fit.
        WormholeError: something cannot be read.
    """
    x509.require()
    given = {name: options.get(prefix + name) for name in authority_arguments("")}
    passphrase = given["passphrase"]
    if passphrase == "":
        raise InvalidInput(
            prefix + "passphrase",
            expected="at least one character",
            found="none",
            remedy="Leave it out instead",
        )
    if given["directory"] is not None:
        directory = os.path.expanduser(given["directory"]).rstrip("/")
        check_directory(prefix + "directory", directory)
        return directory, authority_store.read_material(directory, passphrase)
    certificate = _content(prefix, "certificate", given["certificate_path"], given["certificate_content"])
    key = _content(prefix, "private_key", given["private_key_path"], given["private_key_content"])
    trusted = (given["trusted_content"] or "").encode()
    place = given["certificate_path"] or f"option {prefix}certificate_content"
    return place, authority_store.parse_material(certificate or b"", key, passphrase, trusted)


def _content(prefix: str, name: str, path: Optional[str], content: Optional[str]) -> Optional[bytes]:
    if content is not None:
        return content.encode()
    if path is None:
        return None
    found = files.read_file(os.path.expanduser(path))
    if found is None:
        raise InvalidInput(
            f"{prefix}{name}_path",
            expected="a file where certificates are signed",
            found=f"none at {path}",
        )
    return found.content


def pack_authority(authority: Authority) -> dict[str, str]:
    """What hosts are told, as JSON: certificates, which are public, and no key."""
    trust = authority.trust
    parts = {name: getattr(trust, name) for name in _PARTS}
    return {
        **{name: "".join(anchor.pem for anchor in anchors) for name, anchors in parts.items()},
        "obstacle": authority.obstacle,
        "clock": "" if authority.clock is None else authority.clock.isoformat(),
    }


def unpack_authority(packed: Mapping[str, Any]) -> Authority:
    """What arrives there.

    Raises:
        InvalidInput: it is not what :func:`pack_authority` makes.
        VerificationFailed: something in it is no certificate.
    """
    strange = sorted(set(packed) - {*_PARTS, "obstacle", "clock"})
    if strange:
        raise InvalidInput(
            "authority",
            expected="what wormhole.docker.certificate_signature returns",
            found=", ".join(strange),
        )
    anchors = {name: x509.read_bundle(packed[name].encode()) if packed.get(name) else () for name in _PARTS}
    chain = [x509.read_certificate(anchor.pem.encode()) for anchor in anchors["issuing"]]
    clock = packed.get("clock") or ""
    return Authority(
        trust=Trust(**anchors),
        certificate=chain[0] if chain else None,
        chain=tuple(chain[1:]),
        obstacle=packed.get("obstacle") or "",
        clock=datetime.datetime.fromisoformat(clock) if clock else None,
    )


_PARTS = ("issuing", "successor", "former", "retired")
