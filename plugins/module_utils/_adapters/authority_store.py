# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate authority's directory on the controller."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import glob
import os
from dataclasses import dataclass
from typing import Any, Iterator, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files, x509
from ansible_collections.wormhole.docker.plugins.module_utils._core.authority import (
    CERTIFICATE_FILE,
    CERTIFICATE_MODE,
    DIRECTORY_MODE,
    KEY_FILE,
    KEY_MODE,
    AuthorityAction,
    AuthoritySpec,
    AuthorityState,
    CreateAuthority,
    check_authority,
    check_issuer,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import Authority
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    ApplyFailed,
    Refused,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan

_LOCK_FILE = ".lock"
_OWN = (KEY_FILE, CERTIFICATE_FILE)


@dataclass(frozen=True)
class Material:
    """What an authority consists of; kept in memory only as long as it is needed.

    Attributes:
        state: what there is, decoded.
        certificate_pem: the content of ``ca.pem``; empty if there is none.
        key: the private key, as the library holds it; None if there is none.
    """

    state: AuthorityState
    certificate_pem: bytes = b""
    key: Any = None


def read_material(directory: str, passphrase: Optional[str]) -> Material:
    """Reads an authority; waits for another process that is making it.

    Raises:
        InvalidInput: the passphrase does not fit.
        WormholeError: something is there that cannot be read.
    """
    material = _read_locked(directory, passphrase)
    if material.state.directory_mode is not None and (material.key is None or not material.certificate_pem):
        # Perhaps another process made the directory after the look for its lock: now the lock is there.
        material = _read_locked(directory, passphrase)
    return material


def offer_authority(
    directory: str, material: Material, now: datetime.datetime, *, may_be_missing: bool = False
) -> Authority:
    """What hosts are told about an authority before it has to sign.

    A lost key is an obstacle only once something has to be issued: until then, hosts are mended without it.

    Args:
        directory: where the material was read.
        material: what was read there.
        now: the controller's clock.
        may_be_missing: whether another task is going to make the authority, as check mode has to assume.

    Raises:
        Refused: what is there is no usable authority.
    """
    if not material.certificate_pem and material.key is None:
        remedy = "Run wormhole.docker.certificate_authority for it first"
        return Authority(
            obstacle="" if may_be_missing else f"there is none in {directory}. {remedy}", clock=now
        )
    obstacle = ""
    try:
        certificate = check_authority(directory, material.state, now)
    except Refused as error:
        if material.key is not None or material.state.certificate is None:
            raise
        certificate = material.state.certificate
        check_issuer(directory, certificate, now)
        obstacle = str(error)
    return Authority(material.certificate_pem.decode("utf-8", "replace"), certificate, obstacle, now)


def apply_authority(
    spec: AuthoritySpec, plan: Plan[AuthorityAction], passphrase: Optional[str], now: datetime.datetime
) -> None:
    """Carries out a plan; of two processes at once, the second one finds the first one's authority.

    Raises:
        ApplyFailed: a file could not be written.
    """
    uid, gid = os.geteuid(), os.getegid()
    for action in plan.actions:
        if not isinstance(action, CreateAuthority):
            path = os.path.join(spec.directory, action.name)
            try:
                os.chmod(path, action.mode)
            except OSError as error:
                raise ApplyFailed(
                    path, expected=f"mode {action.mode:04o}", found=error.strerror or ""
                ) from error
            continue
        files.make_directory(spec.directory, mode=DIRECTORY_MODE, uid=uid, gid=gid)
        with files.locked(os.path.join(spec.directory, _LOCK_FILE)):
            if _read(spec.directory, passphrase).state.certificate is not None:
                return
            _remove_temporaries(spec.directory)
            key = x509.make_key(spec.key_type)
            certificate = x509.make_authority(spec, key, now)
            for name, content, mode in (
                (KEY_FILE, x509.write_key(key, passphrase), KEY_MODE),
                (CERTIFICATE_FILE, certificate, CERTIFICATE_MODE),
            ):
                files.write_file(os.path.join(spec.directory, name), content, mode=mode, uid=uid, gid=gid)


def _read(directory: str, passphrase: Optional[str]) -> Material:
    found = files.read_directory(directory)
    if found is None:
        return Material(AuthorityState())
    key_path, certificate_path = os.path.join(directory, KEY_FILE), os.path.join(directory, CERTIFICATE_FILE)
    key_file, certificate_file = files.read_file(key_path), files.read_file(certificate_path)
    key = None
    if key_file:
        with _naming(key_path):
            key = x509.read_key(key_file.content, passphrase)
    facts = None
    if certificate_file:
        with _naming(certificate_path):
            facts = x509.read_certificate(certificate_file.content)
    state = AuthorityState(
        directory_mode=found.mode,
        key_mode=key_file.mode if key_file else None,
        key=x509.key_facts(key) if key else None,
        certificate_mode=certificate_file.mode if certificate_file else None,
        certificate=facts,
        foreign=tuple(
            sorted(name for name in os.listdir(directory) if name not in _OWN and not name.startswith("."))
        ),
    )
    return Material(state, certificate_file.content if certificate_file else b"", key)


def _read_locked(directory: str, passphrase: Optional[str]) -> Material:
    """Reads under a shared lock if there is a lock file; makes none, since to look is not to touch."""
    try:
        handle = os.open(os.path.join(directory, _LOCK_FILE), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return _read(directory, passphrase)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        return _read(directory, passphrase)
    finally:
        os.close(handle)


def _remove_temporaries(directory: str) -> None:
    """Removes what a process left that was killed while it wrote a file."""
    for name in _OWN:
        for path in glob.glob(os.path.join(glob.escape(directory), f".{name}.*.new")):
            files.remove_file(path)


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Puts a file's path in front of what is said about its content."""
    try:
        yield
    except WormholeError as error:
        raise type(error)(
            f"{path}: {error.subject}", expected=error.expected, found=error.found, remedy=error.remedy
        ) from error
