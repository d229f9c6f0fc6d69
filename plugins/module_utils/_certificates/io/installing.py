# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry out the plan for the certificates of a host: verify, install, correct, remove."""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import stat
import time
from typing import Any, Callable, Mapping, Optional, Union

from ..._base.errors import ApplyFailed, VerificationFailed
from ..._base.io import files
from ..._base.io.opening import other_kind
from ..._base.plan import Plan
from ..._gate.io import admitted
from .. import model
from ..deviations import find_deviations
from ..facts import CA_FILE, CERTIFICATE_FILE, DIRECTORY, FILES, KEY_FILE, PARENT
from ..spec import CertificateSpec
from ..trust import ISSUING, Authority
from . import record as certificate_record
from .store import decode, make_parent, pending_key, remove_leftovers, staged

GRACE_SECONDS = 1.0
"""For how long the gate still admits a certificate that was replaced."""


def apply_certificates(
    plan: Plan[model.CertificateAction],
    authority: Authority,
    issued: Mapping[str, str],
    now: datetime.datetime,
    *,
    adopts: bool = True,
) -> None:
    """Carry out a plan. All new certificates are verified before the first file is written.

    Args:
        issued: new certificates in PEM form, by name.
        now: the host's clock.
        adopts: whether directories that are not on record are recorded.

    Raises:
        VerificationFailed: a new certificate is not the requested one, or not valid on this host.
        ApplyFailed: a file could not be written, or another process removed the key.
    """
    written: dict[str, dict[str, bytes]] = {}
    for action in plan.actions:
        contents = _contents(action, issued, authority, now)
        if contents:
            # The first action on a file counts: a new trust bundle precedes the present one.
            written[action.spec.directory] = {**contents, **written.get(action.spec.directory, {})}
    certificate_record.note(written, adopts=adopts)
    replaced: list[bytes] = []
    try:
        for action in plan.actions:
            previous = _apply(action, written.get(action.spec.directory, {}))
            replaced += [] if previous is None else [previous]
    finally:
        _dismiss_replaced(replaced)


def _dismiss_replaced(certificates: list[bytes]) -> None:
    """Take the access through the gate of the certificates that were replaced."""
    if certificates:
        # A client that has read the previous files can still make its call.
        time.sleep(GRACE_SECONDS)
    for certificate in certificates:
        admitted.dismiss(certificate)


_WithBundle = Union[model.IssueCertificate, model.InstallTrustBundle]


@functools.singledispatch
def _contents(_action: Any, *_context: Any) -> dict[str, bytes]:
    """The contents to record before an action is carried out, by file name."""
    return {}


@_contents.register(model.IssueCertificate)
def _verified(
    action: model.IssueCertificate, issued: Mapping[str, str], authority: Authority, now: datetime.datetime
) -> dict[str, bytes]:
    """Verify a new certificate like an installed one."""
    spec = action.spec
    certificate, key = issued.get(spec.name), files.read_file(pending_key(spec))
    if not certificate:
        subject = f"certificate {spec.name!r}"
        raise ApplyFailed(subject, problem=f"{subject}: the signed certificate is missing")
    if key is None:
        raise _interfered(spec, "removed")
    contents = {CERTIFICATE_FILE: certificate.encode(), KEY_FILE: key.content, **_bundle(action)}
    state = decode(model.CertificateState(entries=model.expected_entries(spec)), contents, authority)
    deviations = list(find_deviations(spec, state, authority, now))
    if any(reason.code == "key_mismatch" for reason in deviations):
        raise _interfered(spec, "replaced")
    wrong = [reason.text for reason in deviations]
    wrong += [] if state.issued_by == ISSUING else ["not signed by the issuing authority"]
    if wrong:
        raise VerificationFailed(
            f"new certificate {spec.name!r}",
            problem=f"the new certificate {spec.name!r} is not the requested one: {'; '.join(wrong)}",
            remedy="It was not installed. The previous one, if any, was not changed",
        )
    return contents


def _interfered(spec: CertificateSpec, verb: str) -> ApplyFailed:
    """The error of a run whose key is not the one that it has made any more."""
    subject = f"certificate {spec.name!r}"
    return ApplyFailed(
        subject,
        problem=f"Another run is at work on this host: it {verb} the new key of {subject} while this run had the "
        "certificate signed. This run has not changed the installed certificate",
        remedy="Wait until the other run has ended, then run the playbook again",
    )


@_contents.register(model.InstallTrustBundle)
def _bundle(action: _WithBundle, *_context: Any) -> dict[str, bytes]:
    return {CA_FILE: action.bundle.text.encode()}


@_contents.register(model.RecordCertificate)
def _present(action: model.RecordCertificate, *_context: Any) -> dict[str, bytes]:
    found = {name: files.read_file(os.path.join(action.spec.directory, name)) for name in FILES}
    return {name: file.content for name, file in found.items() if file is not None}


@functools.singledispatch
def _apply(action: Any, _files: Mapping[str, bytes]) -> Optional[bytes]:
    """Carry out one action; return the certificate that it has replaced, if the gate admits that."""
    raise TypeError(f"not an action on a certificate: {action!r}")


@_apply.register(model.IssueCertificate)
def _install(action: model.IssueCertificate, contents: Mapping[str, bytes]) -> Optional[bytes]:
    spec = action.spec
    attributes = model.expected_entries(spec)[DIRECTORY]
    make_parent(spec)
    files.make_directory(spec.directory, mode=attributes.mode, uid=attributes.uid, gid=attributes.gid)
    complete(spec.directory)
    # The trust bundle first, so that the issuer is trusted before the certificate exists. Key and
    # certificate last and together, because they do not match in between.
    _write_bundle(action, contents)
    previous = files.read_file(os.path.join(spec.directory, CERTIFICATE_FILE))
    # Before the files, so that the new certificate has access as soon as a client can read it. If the
    # run is interrupted, both have, until the policy is written again.
    admits = previous is not None and admitted.admit_beside(previous.content, contents[CERTIFICATE_FILE])
    key = files.read_file(os.path.join(spec.directory, KEY_FILE))
    if key is None or key.content == contents[KEY_FILE]:
        _write(spec, KEY_FILE, contents[KEY_FILE])
        _write(spec, CERTIFICATE_FILE, contents[CERTIFICATE_FILE])
    else:
        _replace_both(spec, contents)
    remove_leftovers(spec.directory)
    return previous.content if previous is not None and admits else None


def _replace_both(spec: CertificateSpec, contents: Mapping[str, bytes]) -> None:
    """Replace a key and its certificate so that an interruption in between can be repaired.

    Both are on the disk before the first one is renamed. After that, the staged certificate belongs
    to the key, and the guard of the engine renames it before dockerd reads them.
    """
    for name in (KEY_FILE, CERTIFICATE_FILE):
        attributes = model.expected_entries(spec)[name]
        path = staged(spec.directory, name)
        files.write_file(path, contents[name], mode=attributes.mode, uid=attributes.uid, gid=attributes.gid)
    for name in (KEY_FILE, CERTIFICATE_FILE):
        files.rename(staged(spec.directory, name), os.path.join(spec.directory, name))


def complete(directory: str) -> None:
    """Complete the replacement of a key and its certificate that was interrupted in between.

    Otherwise, the next replacement would stage another key beside this certificate.

    Raises:
        ApplyFailed: the certificate cannot be renamed.
    """
    key, certificate = (staged(directory, name) for name in (KEY_FILE, CERTIFICATE_FILE))
    if os.path.lexists(certificate) and not os.path.lexists(key):
        files.rename(certificate, os.path.join(directory, CERTIFICATE_FILE))


@_apply.register(model.SetAttributes)
def _set_attributes(action: model.SetAttributes, _files: Mapping[str, bytes]) -> None:
    set_attributes(action.spec, action.name)


@_apply.register(model.RemoveLeftovers)
def _remove_leftovers(action: model.RemoveLeftovers, _files: Mapping[str, bytes]) -> None:
    remove_leftovers(action.spec.directory)


@_apply.register(model.RecordCertificate)
def _recorded(_action: model.RecordCertificate, _files: Mapping[str, bytes]) -> None:
    """Nothing to do: :func:`apply_certificates` has recorded the files."""


@_apply.register(model.InstallTrustBundle)
def _write_bundle(action: _WithBundle, contents: Mapping[str, bytes]) -> None:
    """Write ``ca.pem``; keep its time if it only grows, so that the server need not reload it."""
    path = os.path.join(action.spec.directory, CA_FILE)
    present = files.read_file(path)
    _write(action.spec, CA_FILE, contents[CA_FILE])
    if present is not None and action.bundle.only_grows:
        os.utime(path, (present.mtime, present.mtime))


def _write(spec: CertificateSpec, name: str, content: bytes) -> None:
    """Write a file if its content differs. Its time tells whether the server has read it."""
    attributes = model.expected_entries(spec)[name]
    path = os.path.join(spec.directory, name)
    found = files.read_file(path)
    if found is not None and found.content == content:
        if model.Entry(found.mode, found.uid, found.gid) != attributes:
            set_attributes(spec, name)
        return
    files.write_file(path, content, mode=attributes.mode, uid=attributes.uid, gid=attributes.gid)


def set_attributes(spec: CertificateSpec, name: str) -> None:
    """Set owner, group and mode of a certificate's file, of its directory (the empty name), or of its parent.

    Raises:
        ApplyFailed: they cannot be set, or the path is a symbolic link.
        WormholeError: the path is of another kind, or the file has a second name.
    """
    attributes = model.expected_entries(spec)[name]
    path = model.path_of(spec.directory, name)
    try:
        # Do not follow a symbolic link: the owner of the directory could point it anywhere.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check_kind(path, os.fstat(handle), stat.S_ISDIR if name in (DIRECTORY, PARENT) else stat.S_ISREG)
            os.fchown(handle, attributes.uid, attributes.gid)
            os.fchmod(handle, attributes.mode)
        finally:
            os.close(handle)
    except OSError as error:
        raise files.failure("set owner and mode of", path, error) from error


def _check_kind(path: str, info: os.stat_result, is_expected: Callable[[int], bool]) -> None:
    """Check that a path is what this collection has created, and not a name of another file."""
    if not is_expected(info.st_mode):
        raise other_kind(path, "a file or directory of this collection", info.st_mode)
    if stat.S_ISREG(info.st_mode) and info.st_nlink != 1:
        problem = f"{path} is a hard link: the file has {info.st_nlink} names"
        raise ApplyFailed(path, problem=problem, remedy="Remove the link, then run the task again")


@_apply.register(model.RemoveCertificate)
def _remove(action: model.RemoveCertificate, _files: Mapping[str, bytes]) -> None:
    place = action.spec.directory
    _dismiss(place)
    # The key first: the other files are useless without it.
    for name in reversed(FILES):
        files.remove_file(os.path.join(place, name))
    remove_leftovers(place)
    # Other files may be left in it.
    with contextlib.suppress(OSError):
        os.rmdir(place)
    gone = [] if os.path.lexists(place) else [place]
    certificate_record.update(lambda record: record.without_certificate(place).without_directories(gone))


def _dismiss(place: str) -> None:
    """Take the access through the gate of a certificate that is removed."""
    found = files.read_file(os.path.join(place, CERTIFICATE_FILE))
    if found is not None:
        admitted.dismiss(found.content)
