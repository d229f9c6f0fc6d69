# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the access of identities through the gate, from files only: most runs change nothing."""

from __future__ import annotations

import grp
import os
import stat
from typing import Iterable, Optional

from ..._base.errors import VerificationFailed
from ..._base.io import files
from ..._gate import places, units
from ..._gate.io import admitted
from ..model import AccessState

POLICY_MODE = 0o640
"""Mode of a policy's file, which belongs to root and the group of the gate."""


def observe_access(identity: str, certificates: Iterable[str] = ()) -> AccessState:
    """Read the access of an identity.

    Args:
        certificates: paths of the certificates that may use its policy. Missing ones are left out.

    Raises:
        WormholeError: a file cannot be read.
    """
    unit = units.unix_unit(identity)
    policy = files.read_file(places.policy_path(identity))
    group = gate_group()
    owner = _socket_owner(units.socket_path(identity))
    expected = (POLICY_MODE, 0, group)
    return AccessState(
        gate=is_installed(),
        policy=None if policy is None else policy.text,
        protected=policy is None or (policy.mode, policy.uid, policy.gid) == expected,
        unit=files.read_text(units.unit_path(unit)),
        enabled=all(map(os.path.lexists, units.wants_links(unit))),
        owner=None if owner is None else owner.st_uid,
        private=owner is None or stat.S_IMODE(owner.st_mode) == 0o600,
        fingerprints=read_fingerprints(certificates),
    )


def is_installed() -> bool:
    """Report whether the gate is installed on this host."""
    paths = (units.unit_path(units.SERVICE), units.unit_path(units.DOOR), units.PROGRAM)
    return gate_group() is not None and all(map(os.path.isfile, paths))


def gate_group() -> Optional[int]:
    """Return the number of the gate's group; None if the host has no such group."""
    try:
        return grp.getgrnam(units.USER).gr_gid
    except KeyError:
        return None


def read_fingerprints(certificates: Iterable[str]) -> tuple[str, ...]:
    """Return the fingerprints of certificates, without those that do not exist.

    Raises:
        WormholeError: a file cannot be read, or is no certificate.
    """
    found = ((path, files.read_file(path)) for path in certificates)
    return tuple(fingerprint(file.content, path) for path, file in found if file is not None)


def fingerprint(certificate: bytes, path: str) -> str:
    """Return the SHA-256 of a certificate in PEM form, as the gate computes it.

    Raises:
        VerificationFailed: this is no certificate.
    """
    found = admitted.fingerprint(certificate)
    if not found:
        raise VerificationFailed(path, problem=f"{path} is not a certificate in PEM form")
    return found


def _socket_owner(path: str) -> Optional[os.stat_result]:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found if stat.S_ISSOCK(found.st_mode) else None
