# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read and change authorities where certificates are signed."""

from __future__ import annotations

import contextlib
import datetime
import errno
import functools
import os
import pwd
from dataclasses import dataclass, replace
from typing import Any, Iterator, Optional

from ..._base.errors import WormholeError
from ..._base.io import files, locks
from ..._base.plan import Plan
from .. import authority as ca
from ..facts import DIRECTORY
from ..host_uri import names_hosts
from ..issued import RECORD_FILE, SEEN_DIRECTORY, Begin
from ..scope import HOSTS_DIRECTORY
from ..trust import Anchor, Authority, Trust
from . import decoding, issued, issuing

_LOCK_FILE = ".lock"
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FILES = tuple(name for name in ca.MODES if name != DIRECTORY)


@dataclass(frozen=True)
class Material:
    """An authority with its private key.

    Attributes:
        state: the observed authority.
        trust: its certificate and those of the others in a rotation, in PEM form.
        key: private key, as an object of the cryptography library; None if there is none.
        directory: its directory, which holds its record; empty without one.
        previous_directory: directory of an authority that it replaces; empty without one.
        warning: a fault of the key's file that does not prevent anything, as a sentence.
    """

    state: ca.AuthorityState
    trust: Trust = Trust()
    key: Any = None
    directory: str = ""
    previous_directory: str = ""
    warning: str = ""

    @property
    def issuer_pem(self) -> bytes:
        """The issuing certificate."""
        return self.trust.issuing[0].pem.encode()

    @property
    def names_hosts(self) -> bool:
        """Whether its certificates name the host of the inventory."""
        return names_hosts(self.directory, (self.state.certificate, *self.state.chain))


def read_material(directory: str, passphrase: Optional[str]) -> Material:
    """Read the authority in a directory. Wait for another process that is changing it.

    Raises:
        InvalidInput: the passphrase is wrong.
        WormholeError: a file cannot be read.
    """
    with naming_user(directory):
        material = _read_locked(directory, passphrase)
        if material.state.modes and (material.key is None or not material.trust.issuing):
            # Another process may have created the directory and its lock file in between.
            material = _read_locked(directory, passphrase)
        return replace(material, directory=directory)


def read_trust(directory: str) -> Trust:
    """Read the certificates of the authority in a directory, and not its key.

    Raises:
        WormholeError: a file cannot be read.
    """
    with naming_user(directory):
        anchors: list[Anchor] = []
        for name in (
            ca.CERTIFICATE_FILE,
            ca.NEXT_CERTIFICATE_FILE,
            ca.FORMER_CERTIFICATE_FILE,
            ca.RETIRED_FILE,
        ):
            path = os.path.join(directory, name)
            found = files.read_file(path)
            with _naming(path):
                anchors += decoding.read_bundle(found.content) if found else ()
        return Trust(issuing=tuple(anchors[:1]), retired=tuple(anchors[1:]))


def parse_material(
    certificate: bytes, key: Optional[bytes], passphrase: Optional[str], trusted: bytes = b""
) -> Material:
    """Parse an authority that is not in a directory of this collection, all in PEM form.

    Args:
        certificate: its certificate and chain.
        trusted: certificates of further authorities to trust during a rotation.

    Raises:
        InvalidInput: the passphrase is wrong.
        WormholeError: a certificate or the key cannot be parsed.
    """
    with _naming("certificate of the authority"):
        issuing = decoding.read_bundle(certificate)
    with _naming("further authorities to trust"):
        others = decoding.read_bundle(trusted) if trusted.strip() else ()
    private = None
    if key is not None:
        with _naming("private key of the authority"):
            private = decoding.read_key(key, passphrase)
    facts = [decoding.read_certificate(anchor.pem.encode()) for anchor in issuing]
    state = ca.AuthorityState(
        key=decoding.key_facts(private) if private else None,
        certificate=facts[0],
        chain=tuple(facts[1:]),
        chain_fault=decoding.chain_fault(issuing),
    )
    return Material(state, Trust(issuing=issuing, successor=others), private)


def offer_authority(
    place: str, material: Material, now: datetime.datetime, *, may_be_missing: bool = False
) -> Authority:
    """The public part of an authority, for hosts.

    A missing authority or key is no error, but an obstacle: a host may have nothing to issue.

    Args:
        place: the directory, path or option that it was read from, for messages.
        now: the controller's clock.
        may_be_missing: whether an earlier task may create the authority, as in check mode.

    Raises:
        Refused: the authority is unusable.
    """
    state = material.state
    if state.certificate is None and state.key is None:
        text = (
            f"there is no authority in {place}. If the host has one, use it: set certificate_authority_directory or "
            "certificate_authority_host. Otherwise create one with wormhole.docker.certificate_authority"
        )
        obstacle = "" if may_be_missing else text
        return Authority(obstacle=obstacle, clock=now, names_hosts=material.names_hosts)
    certificate = ca.check_authority(place, state, now, needs_key=False, is_replaced=True)
    obstacle = ca.profile_obstacle(place, state) if state.key else str(ca.missing_key(place))
    named = material.names_hosts
    return Authority(material.trust, certificate, state.chain, obstacle, now, names_hosts=named)


def apply_authority(
    spec: ca.AuthoritySpec, plan: Plan[ca.AuthorityAction], passphrase: Optional[str], now: datetime.datetime
) -> None:
    """Carry out a plan. Of two processes at once, the second one finds the result of the first.

    Raises:
        ApplyFailed: a file could not be written.
    """
    with naming_user(spec.directory):
        for action in plan.actions:
            if isinstance(action, ca.SetMode):
                _set_mode(os.path.join(spec.directory, action.name), action.mode)
                continue
            mode = ca.MODES[DIRECTORY]
            files.make_directory(spec.directory, mode=mode, uid=os.geteuid(), gid=os.getegid())
            with files.locked(os.path.join(spec.directory, _LOCK_FILE)):
                _remove_temporaries(spec.directory)
                state = _read(spec.directory, passphrase).state
                _apply(action, state, _Order(spec, passphrase, now))


@dataclass(frozen=True)
class _Order:
    """What the actions need in addition to the state."""

    spec: ca.AuthoritySpec
    passphrase: Optional[str]
    now: datetime.datetime


@functools.singledispatch
def _apply(action: Any, state: ca.AuthorityState, order: _Order) -> None:
    """Carry out one action, unless another process has done so since the plan was made."""
    raise TypeError(f"not an action of an authority: {action!r}")


@_apply.register(ca.CreateAuthority)
def _create_authority(_action: ca.CreateAuthority, state: ca.AuthorityState, order: _Order) -> None:
    if state.certificate is None:
        if order.spec.stage is not None:
            # What the other authority has issued is known until the rotation ends.
            _write(order.spec.directory, ca.FORMER_CERTIFICATE_FILE, order.spec.replaces.encode())
        _create(order.spec, ca.KEY_FILE, ca.CERTIFICATE_FILE, order)


@_apply.register(ca.CreateSuccessor)
def _create_successor(action: ca.CreateSuccessor, state: ca.AuthorityState, order: _Order) -> None:
    if state.successor is None and state.former is None:
        _create(action.spec, ca.NEXT_KEY_FILE, ca.NEXT_CERTIFICATE_FILE, order)


@_apply.register(ca.Promote)
def _promote(_action: ca.Promote, state: ca.AuthorityState, order: _Order) -> None:
    """Replace the authority by two renames. In between, the key decides (:func:`_assign_parts`)."""
    directory = order.spec.directory
    path = functools.partial(os.path.join, directory)
    copies = {ca.KEY_FILE: ca.FORMER_KEY_FILE, ca.CERTIFICATE_FILE: ca.FORMER_CERTIFICATE_FILE}
    if state.successor is not None:
        for name, copy in copies.items():
            present = files.read_file(path(name), any_link=True)
            if present is not None:
                _write(directory, copy, present.content)
        files.rename(path(ca.NEXT_KEY_FILE), path(ca.KEY_FILE))
    elif not state.unfinished:
        return
    files.rename(path(ca.NEXT_CERTIFICATE_FILE), path(ca.CERTIFICATE_FILE))


@_apply.register(ca.DropFormer)
def _drop_former(_action: ca.DropFormer, _state: ca.AuthorityState, order: _Order) -> None:
    directory = order.spec.directory
    former = files.read_file(os.path.join(directory, ca.FORMER_CERTIFICATE_FILE), any_link=True)
    if former is None:
        return
    retired = files.read_file(os.path.join(directory, ca.RETIRED_FILE), any_link=True)
    content = retired.content if retired else b""
    if former.content not in content:
        _write(directory, ca.RETIRED_FILE, content + former.content)
    for name in (ca.FORMER_KEY_FILE, ca.FORMER_CERTIFICATE_FILE):
        files.remove_file(os.path.join(directory, name))


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """Hold the lock of an authority during a block; wait for other processes.

    Raises:
        ApplyFailed: the lock file cannot be written.
    """
    with naming_user(directory), files.locked(os.path.join(directory, _LOCK_FILE)):
        yield


def _create(spec: ca.AuthoritySpec, key_file: str, certificate_file: str, order: _Order) -> None:
    key = issuing.make_key(spec.key_type)
    certificate = make_certificate(spec, key, order.now)
    facts = decoding.read_certificate(certificate)
    # Before the first certificate can be signed.
    issued.append(spec.directory, [Begin(order.now, True, facts.subject, facts.public_key_sha256)])
    # The key first: a certificate never exists without its key.
    _write(spec.directory, key_file, issuing.write_key(key, order.passphrase))
    _write(spec.directory, certificate_file, certificate)


def make_certificate(spec: ca.AuthoritySpec, key: Any, now: datetime.datetime) -> bytes:
    """A self-signed certificate of an authority, in PEM form."""
    return issuing.sign_profile(ca.authority_certificate(spec, now), key.public_key(), key)


def _write(directory: str, name: str, content: bytes) -> None:
    path = os.path.join(directory, name)
    files.write_file(path, content, mode=ca.MODES[name], uid=os.geteuid(), gid=os.getegid())


def _set_mode(path: str, mode: int) -> None:
    try:
        os.chmod(path, mode)
    except OSError as error:
        raise files.failure("set the mode of", path, error) from error


def _read(directory: str, passphrase: Optional[str]) -> Material:
    found = files.read_directory(directory)
    if found is None:
        return Material(ca.AuthorityState())
    present = {name: files.read_file(os.path.join(directory, name), any_link=True) for name in _FILES}
    contents = {name: file.content for name, file in present.items() if file}
    key = None
    if ca.KEY_FILE in contents:
        with _naming(os.path.join(directory, ca.KEY_FILE)):
            key = decoding.read_key(contents[ca.KEY_FILE], passphrase)
    anchors = {}
    for name in (ca.CERTIFICATE_FILE, ca.NEXT_CERTIFICATE_FILE, ca.FORMER_CERTIFICATE_FILE, ca.RETIRED_FILE):
        with _naming(os.path.join(directory, name)):
            anchors[name] = decoding.read_bundle(contents[name]) if name in contents else ()
    modes = {DIRECTORY: found.mode, **{name: file.mode for name, file in present.items() if file}}
    known = {*ca.MODES, HOSTS_DIRECTORY, RECORD_FILE, SEEN_DIRECTORY}
    others = (name for name in os.listdir(directory) if name not in known and not name.startswith("."))
    public = decoding.key_facts(key) if key else None
    state = ca.AuthorityState(modes=modes, key=public, other_files=tuple(sorted(others)))
    return _assign_parts(state, key, anchors, has_next_key=ca.NEXT_KEY_FILE in contents)


def _assign_parts(
    state: ca.AuthorityState, key: Any, anchors: dict[str, tuple[Anchor, ...]], *, has_next_key: bool
) -> Material:
    """Decide which certificate issues, and which authorities take part in a rotation.

    If the key belongs to ``next.pem``, the replacement was interrupted between its two renames.
    """
    issuing, successor = anchors[ca.CERTIFICATE_FILE], anchors[ca.NEXT_CERTIFICATE_FILE]
    former, retired = anchors[ca.FORMER_CERTIFICATE_FILE], anchors[ca.RETIRED_FILE]
    known = (*issuing, *successor, *former)
    facts = {anchor: decoding.read_certificate(anchor.pem.encode()) for anchor in known}
    unfinished = False
    if successor and state.key and facts[successor[0]].public_key_sha256 == state.key.public_key_sha256:
        issuing, successor, former, unfinished = successor, (), issuing, True
    elif not has_next_key:
        # Without its key, a successor can never issue.
        successor = ()
    if former[:1] == issuing[:1]:
        # A copy for a replacement that was interrupted before it began.
        former = ()
    decoded = replace(
        state,
        certificate=facts[issuing[0]] if issuing else None,
        chain=tuple(facts[anchor] for anchor in issuing[1:]),
        chain_fault=decoding.chain_fault(issuing) if issuing else "",
        successor=facts[successor[0]] if successor else None,
        former=facts[former[0]] if former else None,
        unfinished=unfinished,
    )
    return Material(decoded, Trust(issuing, successor, former, retired), key)


def _read_locked(directory: str, passphrase: Optional[str]) -> Material:
    """Read under a shared lock if there is a lock file. Reading never creates one."""
    path = os.path.join(directory, _LOCK_FILE)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return _read(directory, passphrase)
    with locks.locked(path, handle, shared=True):
        return _read(directory, passphrase)


def _remove_temporaries(directory: str) -> None:
    """Remove temporary files of a killed process."""
    for name in _FILES:
        for path in files.leftovers(os.path.join(directory, name)):
            files.remove_file(path)


@contextlib.contextmanager
def naming_user(place: str) -> Iterator[None]:
    """Say in errors about permissions which user of which machine lacks them.

    Authorities are usually on the controller. There, become is not the remedy, and the machine is
    not the one that the task is for.
    """
    try:
        yield
    except WormholeError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _DENIED:
            error.remedy = _access_remedy()
        raise
    except OSError as error:
        found = error.strerror or str(error)
        problem, remedy = f"Cannot use {error.filename or place}: {found}", _access_remedy()
        raise WormholeError(place, found=found, problem=problem, remedy=remedy) from error


def _access_remedy() -> str:
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return (
        f"Certificates are signed on {os.uname().nodename}, by user {user}. Give this user access there, or keep the authority in a "
        "directory that this user can write: set certificate_authority_directory (option directory or ca_directory)"
    )


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Add a file's path to errors about its content."""
    try:
        yield
    except WormholeError as error:
        error.put_in(path)
        raise
