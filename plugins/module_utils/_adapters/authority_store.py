# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificate authorities where certificates are signed: in a directory of ours, or brought along by path or by content."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import glob
import os
from dataclasses import dataclass, replace
from typing import Any, Iterator, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files, x509
from ansible_collections.wormhole.docker.plugins.module_utils._core.authority import (
    CERTIFICATE_FILE,
    DIRECTORY,
    DIRECTORY_MODE,
    FORMER_CERTIFICATE_FILE,
    FORMER_KEY_FILE,
    KEY_FILE,
    MODES,
    NEXT_CERTIFICATE_FILE,
    NEXT_KEY_FILE,
    RETIRED_FILE,
    AuthorityAction,
    AuthoritySpec,
    AuthorityState,
    CreateAuthority,
    CreateSuccessor,
    DropFormer,
    SetMode,
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
from ansible_collections.wormhole.docker.plugins.module_utils._core.trust import Anchor, Trust

_LOCK_FILE = ".lock"
_FILES = tuple(name for name in MODES if name != DIRECTORY)


@dataclass(frozen=True)
class Material:
    """What an authority consists of; kept in memory only as long as it is needed.

    Attributes:
        state: what there is, decoded.
        trust: it, and the others that take part in a rotation, as certificates in PEM form.
        key: the private key, as the library holds it; None if there is none.
    """

    state: AuthorityState
    trust: Trust = Trust()
    key: Any = None

    @property
    def issuer_pem(self) -> bytes:
        """The issuing certificate."""
        return self.trust.issuing[0].pem.encode()


def read_material(directory: str, passphrase: Optional[str]) -> Material:
    """Reads the authority in a directory; waits for another process that is changing it.

    Raises:
        InvalidInput: the passphrase does not fit.
        WormholeError: something is there that cannot be read.
    """
    material = _read_locked(directory, passphrase)
    if material.state.modes and (material.key is None or not material.trust.issuing):
        # Perhaps another process made the directory after the look for its lock: now the lock is there.
        material = _read_locked(directory, passphrase)
    return material


def parse_material(
    certificate: bytes, key: Optional[bytes], passphrase: Optional[str], trusted: bytes = b""
) -> Material:
    """An authority that the options bring along, instead of a directory of ours.

    Args:
        certificate: its certificate in PEM form, and the chain above it.
        key: its private key in PEM form.
        passphrase: of the key.
        trusted: certificates of further authorities to trust, while one takes over from the other.

    Raises:
        InvalidInput: the passphrase does not fit.
        WormholeError: something cannot be read.
    """
    with _naming("certificate of the authority"):
        issuing = x509.read_bundle(certificate)
    with _naming("further authorities to trust"):
        others = x509.read_bundle(trusted) if trusted.strip() else ()
    private = None
    if key is not None:
        with _naming("private key of the authority"):
            private = x509.read_key(key, passphrase)
    facts = [x509.read_certificate(anchor.pem.encode()) for anchor in issuing]
    state = AuthorityState(
        key=x509.key_facts(private) if private else None,
        certificate=facts[0],
        chain=tuple(facts[1:]),
        chain_fault=x509.chain_fault(issuing),
    )
    return Material(state, Trust(issuing=issuing, successor=others), private)


def offer_authority(
    place: str, material: Material, now: datetime.datetime, *, may_be_missing: bool = False
) -> Authority:
    """What hosts are told about an authority before it has to sign.

    A lost key is an obstacle only once something has to be issued: until then, hosts are mended without it.

    Args:
        place: where the material was read, for messages.
        material: what was read there.
        now: the controller's clock.
        may_be_missing: whether another task is going to make the authority, as check mode has to assume.

    Raises:
        Refused: what is there is no usable authority.
    """
    state = material.state
    if state.certificate is None and state.key is None:
        remedy = "Run wormhole.docker.certificate_authority for it first"
        return Authority(obstacle="" if may_be_missing else f"there is none in {place}. {remedy}", clock=now)
    obstacle = ""
    try:
        certificate = check_authority(place, state, now)
    except Refused as error:
        if state.key is not None or state.certificate is None:
            raise
        certificate = state.certificate
        check_issuer(place, state, now)
        obstacle = str(error)
    return Authority(material.trust, certificate, state.chain, obstacle, now)


def apply_authority(
    spec: AuthoritySpec, plan: Plan[AuthorityAction], passphrase: Optional[str], now: datetime.datetime
) -> None:
    """Carries out a plan; of two processes at once, the second one finds what the first one has done.

    Raises:
        ApplyFailed: a file could not be written.
    """
    for action in plan.actions:
        if isinstance(action, SetMode):
            _set_mode(os.path.join(spec.directory, action.name), action.mode)
            continue
        files.make_directory(spec.directory, mode=DIRECTORY_MODE, uid=os.geteuid(), gid=os.getegid())
        with files.locked(os.path.join(spec.directory, _LOCK_FILE)):
            _remove_temporaries(spec.directory)
            state = _read(spec.directory, passphrase).state
            if isinstance(action, CreateAuthority):
                if state.certificate is None:
                    _create(spec, spec.directory, KEY_FILE, CERTIFICATE_FILE, passphrase, now)
            elif isinstance(action, CreateSuccessor):
                if state.successor is None and state.former is None:
                    names = (NEXT_KEY_FILE, NEXT_CERTIFICATE_FILE)
                    _create(action.spec, spec.directory, *names, passphrase, now)
            elif isinstance(action, DropFormer):
                _drop_former(spec.directory)
            else:
                _promote(spec.directory, state)


def _create(
    spec: AuthoritySpec,
    directory: str,
    key_file: str,
    certificate_file: str,
    passphrase: Optional[str],
    now: datetime.datetime,
) -> None:
    key = x509.make_key(spec.key_type)
    certificate = x509.make_authority(spec, key, now)
    # The key first: a certificate is never there without it.
    _write(directory, key_file, x509.write_key(key, passphrase))
    _write(directory, certificate_file, certificate)


def _promote(directory: str, state: AuthorityState) -> None:
    """Hands over by two renames; between them the key tells which of the two certificates issues, see :func:`_read`."""
    if state.successor is not None:
        for name, copy in ((KEY_FILE, FORMER_KEY_FILE), (CERTIFICATE_FILE, FORMER_CERTIFICATE_FILE)):
            present = files.read_file(os.path.join(directory, name))
            if present is not None:
                _write(directory, copy, present.content)
        files.rename(os.path.join(directory, NEXT_KEY_FILE), os.path.join(directory, KEY_FILE))
    elif not state.unfinished:
        return
    files.rename(os.path.join(directory, NEXT_CERTIFICATE_FILE), os.path.join(directory, CERTIFICATE_FILE))


def _drop_former(directory: str) -> None:
    former = files.read_file(os.path.join(directory, FORMER_CERTIFICATE_FILE))
    if former is None:
        return
    retired = files.read_file(os.path.join(directory, RETIRED_FILE))
    content = retired.content if retired else b""
    if former.content not in content:
        _write(directory, RETIRED_FILE, content + former.content)
    for name in (FORMER_KEY_FILE, FORMER_CERTIFICATE_FILE):
        files.remove_file(os.path.join(directory, name))


def _write(directory: str, name: str, content: bytes) -> None:
    path = os.path.join(directory, name)
    files.write_file(path, content, mode=MODES[name], uid=os.geteuid(), gid=os.getegid())


def _set_mode(path: str, mode: int) -> None:
    try:
        os.chmod(path, mode)
    except OSError as error:
        raise ApplyFailed(path, expected=f"mode {mode:04o}", found=error.strerror or "") from error


def _read(directory: str, passphrase: Optional[str]) -> Material:
    found = files.read_directory(directory)
    if found is None:
        return Material(AuthorityState())
    present = {name: files.read_file(os.path.join(directory, name)) for name in _FILES}
    contents = {name: file.content for name, file in present.items() if file}
    key = None
    if KEY_FILE in contents:
        with _naming(os.path.join(directory, KEY_FILE)):
            key = x509.read_key(contents[KEY_FILE], passphrase)
    anchors = {}
    for name in (CERTIFICATE_FILE, NEXT_CERTIFICATE_FILE, FORMER_CERTIFICATE_FILE, RETIRED_FILE):
        with _naming(os.path.join(directory, name)):
            anchors[name] = x509.read_bundle(contents[name]) if name in contents else ()
    modes = {DIRECTORY: found.mode, **{name: file.mode for name, file in present.items() if file}}
    foreign = (name for name in os.listdir(directory) if name not in MODES and not name.startswith("."))
    state = AuthorityState(
        modes=modes,
        key=x509.key_facts(key) if key else None,
        foreign=tuple(sorted(foreign)),
    )
    return _assign_parts(state, key, anchors, has_next_key=NEXT_KEY_FILE in contents)


def _assign_parts(
    state: AuthorityState, key: Any, anchors: dict[str, tuple[Anchor, ...]], *, has_next_key: bool
) -> Material:
    """Who issues, and who else takes part in a rotation.

    The key decides: where it belongs to ``next.pem``, a hand-over was interrupted between its two renames.
    """
    issuing, successor = anchors[CERTIFICATE_FILE], anchors[NEXT_CERTIFICATE_FILE]
    former, retired = anchors[FORMER_CERTIFICATE_FILE], anchors[RETIRED_FILE]
    facts = {anchor: x509.read_certificate(anchor.pem.encode()) for anchor in (*issuing, *successor, *former)}
    unfinished = False
    if successor and state.key and facts[successor[0]].public_key_sha256 == state.key.public_key_sha256:
        issuing, successor, former, unfinished = successor, (), issuing, True
    elif not has_next_key:
        # A successor whose key is lost can never issue.
        successor = ()
    if former[:1] == issuing[:1]:
        # Copied for a hand-over that has not begun.
        former = ()
    decoded = replace(
        state,
        certificate=facts[issuing[0]] if issuing else None,
        chain=tuple(facts[anchor] for anchor in issuing[1:]),
        chain_fault=x509.chain_fault(issuing) if issuing else "",
        successor=facts[successor[0]] if successor else None,
        former=facts[former[0]] if former else None,
        unfinished=unfinished,
    )
    return Material(decoded, Trust(issuing, successor, former, retired), key)


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
    for name in _FILES:
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
