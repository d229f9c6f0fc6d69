# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates on the host that uses them: their directories, and keys that wait for their certificate.

A key waits in a hidden directory beside its future place, ``.NAME.pending``, which only its owner can enter.
It never lies in the directory itself, which may be mounted in a container.
"""

from __future__ import annotations

import contextlib
import datetime
import glob
import grp
import os
import pwd
from dataclasses import replace
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import certificate_record, files, x509
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_deviations import (
    find_deviations,
    make_reason,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_record import Record
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    CA_FILE,
    CERTIFICATE_FILE,
    DIRECTORY,
    FILES,
    KEY_FILE,
    Authority,
    CertificateAction,
    CertificateState,
    Entry,
    HostState,
    InstallTrustBundle,
    IssueCertificate,
    RecordCertificate,
    RemoveCertificate,
    RemoveLeftovers,
    SetAttributes,
    wanted_entries,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    ApplyFailed,
    InvalidInput,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._core.trust import (
    FORMER,
    ISSUING,
    RETIRED,
    SUCCESSOR,
    Bundle,
    Trust,
)


def look_up_owner(spec: CertificateSpec) -> CertificateSpec:
    """Fills in the numbers of owner and group on this host.

    Without an owner it is the process's user, with an owner and no group the owner's primary group.

    Raises:
        InvalidInput: the host has no such user or group.
    """
    uid = os.geteuid() if spec.owner is None else _number(spec, "owner", spec.owner)
    if spec.group is not None:
        return replace(spec, uid=uid, gid=_number(spec, "group", spec.group))
    if spec.owner is None:
        return replace(spec, uid=uid, gid=os.getegid())
    try:
        return replace(spec, uid=uid, gid=pwd.getpwuid(uid).pw_gid)
    except KeyError:
        # A user that exists in a container only: images give such users a group of the same number.
        return replace(spec, uid=uid, gid=uid)


def observe_certificates(specs: Sequence[CertificateSpec], authority: Authority) -> HostState:
    """Reads what stands where the certificates belong, without changing anything.

    Raises:
        WormholeError: something cannot be read.
    """
    record = certificate_record.read() if certificate_record.is_kept() else Record()
    found = {}
    for spec in specs:
        state = observe_directory(spec.directory, authority)
        unrecorded = [
            name
            for name, digest in certificate_record.digests(spec.directory).items()
            if certificate_record.is_kept() and not record.knows(spec.directory, name, digest)
        ]
        found[spec.name] = replace(state, unrecorded=tuple(unrecorded))
    return found


def find_certificates(roots: Iterable[str], authority: Authority) -> dict[str, CertificateState]:
    """Reads every directory below these that holds a ``cert.pem``; does not follow symbolic links.

    Raises:
        WormholeError: something cannot be read.
    """
    found = {}
    for root in roots:
        for directory, below, names in os.walk(root):
            below[:] = [name for name in below if not name.startswith(".")]
            if CERTIFICATE_FILE in names:
                found[directory] = observe_directory(directory, authority)
    return found


def observe_directory(place: str, authority: Authority) -> CertificateState:
    """Reads one directory.

    Raises:
        WormholeError: something other than a directory or a regular file is in the way.
    """
    pending = [path for path in (_pending_directory(place),) if os.path.lexists(path)]
    directory = files.read_directory(place)
    if directory is None:
        return CertificateState(leftovers=tuple(pending))
    contents: dict[str, bytes] = {}
    entries = {DIRECTORY: Entry(directory.mode, directory.uid, directory.gid)}
    for name in FILES:
        found = files.read_file(os.path.join(place, name))
        if found is not None:
            contents[name] = found.content
            entries[name] = Entry(found.mode, found.uid, found.gid)
    temporaries = _temporaries(place)
    others = set(os.listdir(place)) - set(FILES) - {os.path.basename(path) for path in temporaries}
    state = CertificateState(
        entries=entries, foreign=tuple(sorted(others)), leftovers=(*pending, *temporaries)
    )
    return _decode(state, contents, authority)


def read_certificate_text(directory: str) -> str:
    """The certificate in a directory, in PEM form, to be shown to whoever signed it.

    Raises:
        ApplyFailed: it was taken away since it was looked at.
    """
    path = os.path.join(directory, CERTIFICATE_FILE)
    found = files.read_file(path)
    if found is None:
        raise ApplyFailed(path, expected="the certificate that was there a moment ago", found="no file")
    return found.content.decode("utf-8", "replace")


def make_request(spec: CertificateSpec, *, keep_key: bool = False) -> str:
    """Makes a key, lets it wait for its certificate, and returns the request for one, in PEM form.

    Args:
        spec: what is asked for.
        keep_key: take the key that stands in the directory instead of a new one.

    Raises:
        ApplyFailed: the key could not be written, or was taken away since it was looked at.
    """
    uid, gid = os.geteuid(), os.getegid()
    key = _present_key(spec) if keep_key else x509.make_key(spec.key_type)
    certificate_record.note({spec.directory: {}})
    files.make_directory(_pending_directory(spec.directory), mode=0o700, uid=uid, gid=gid)
    files.write_file(_pending_key(spec), x509.write_key(key), mode=0o400, uid=uid, gid=gid)
    return x509.make_request(key, spec.common_name)


def _present_key(spec: CertificateSpec) -> Any:
    path = os.path.join(spec.directory, KEY_FILE)
    found = files.read_file(path)
    if found is None:
        raise ApplyFailed(
            path,
            expected="the key that was there a moment ago",
            found="no file",
            remedy="Something else changed the host in between; run the task again",
        )
    return x509.read_key(found.content)


def apply_certificates(
    plan: Plan[CertificateAction], authority: Authority, issued: Mapping[str, str], now: datetime.datetime
) -> None:
    """Carries out a plan. Everything that was issued is verified before the first file is written.

    Args:
        plan: what to do.
        authority: who issued.
        issued: certificates in PEM form, by name.
        now: the host's clock.

    Raises:
        VerificationFailed: a certificate is not what the task asked for, or not valid on this host.
        ApplyFailed: a file could not be written, or another run took the key away.
    """
    keys = {
        action.spec.name: _verify(action, issued.get(action.spec.name, ""), authority, now)
        for action in plan.actions
        if isinstance(action, IssueCertificate)
    }
    certificate_record.note(_contents(plan, keys, issued))
    for action in plan.actions:
        spec = action.spec
        if isinstance(action, IssueCertificate):
            _install(action, keys[spec.name], issued[spec.name])
        elif isinstance(action, InstallTrustBundle):
            _write_bundle(spec, action.bundle)
        elif isinstance(action, RemoveCertificate):
            _remove(spec)
        elif isinstance(action, RemoveLeftovers):
            remove_leftovers(spec.directory)
        elif isinstance(action, SetAttributes):
            set_attributes(spec, action.name)


def _contents(
    plan: Plan[CertificateAction], keys: Mapping[str, bytes], issued: Mapping[str, str]
) -> dict[str, dict[str, bytes]]:
    """What the record has to know before a plan is carried out: contents by file name, by directory."""
    written: dict[str, dict[str, bytes]] = {}
    for action in plan.actions:
        spec = action.spec
        if isinstance(action, IssueCertificate):
            pair = {KEY_FILE: keys[spec.name], CERTIFICATE_FILE: issued[spec.name].encode()}
            written[spec.directory] = {**pair, CA_FILE: action.bundle.text.encode()}
        elif isinstance(action, InstallTrustBundle):
            written.setdefault(spec.directory, {})[CA_FILE] = action.bundle.text.encode()
        elif isinstance(action, RecordCertificate):
            found = {name: files.read_file(os.path.join(spec.directory, name)) for name in FILES}
            present = {name: file.content for name, file in found.items() if file is not None}
            written[spec.directory] = {**present, **written.get(spec.directory, {})}
    return written


def _decode(state: CertificateState, contents: Mapping[str, bytes], authority: Authority) -> CertificateState:
    """Adds what the files say to what is known about them."""
    unreadable: dict[str, str] = {}
    certificate = key = bundle = None
    issued_by = ""
    if CERTIFICATE_FILE in contents:
        try:
            certificate = x509.read_certificate(contents[CERTIFICATE_FILE])
            issued_by = find_issuer(contents[CERTIFICATE_FILE], authority.trust)
        except WormholeError as error:
            unreadable[CERTIFICATE_FILE] = str(error)
    if KEY_FILE in contents:
        try:
            key = x509.key_facts(x509.read_key(contents[KEY_FILE]))
        except WormholeError as error:
            unreadable[KEY_FILE] = str(error)
    if CA_FILE in contents:
        try:
            bundle = x509.read_bundle(contents[CA_FILE])
        except WormholeError:
            bundle = ()
    return replace(
        state,
        trust_bundle=bundle,
        certificate=certificate,
        key=key,
        unreadable=unreadable,
        issued_by=issued_by,
    )


def find_issuer(certificate: bytes, trust: Trust) -> str:
    """The part of the authority whose key made a certificate's signature; empty if it is none of ours."""
    parts = (
        (ISSUING, trust.issuing[:1]),
        (SUCCESSOR, trust.successor),
        (FORMER, trust.former[:1]),
        (RETIRED, trust.retired),
    )
    for part, anchors in parts:
        if any(x509.is_signed_by(certificate, anchor.pem.encode()) for anchor in anchors):
            return part
    return ""


def _verify(action: IssueCertificate, issued: str, authority: Authority, now: datetime.datetime) -> bytes:
    """Judges a new certificate as if it were installed; returns the key that waits for it."""
    spec = action.spec
    waiting = files.read_file(_pending_key(spec))
    if not issued or waiting is None:
        raise ApplyFailed(
            f"certificate {spec.name!r}",
            expected="a key that waits for its certificate, and the certificate",
            found="no certificate" if not issued else "no key",
            remedy="Something else changed the host in between; run the task again",
        )
    contents = {
        CERTIFICATE_FILE: issued.encode(),
        KEY_FILE: waiting.content,
        CA_FILE: action.bundle.text.encode(),
    }
    state = _decode(CertificateState(entries=wanted_entries(spec)), contents, authority)
    wrong = [*find_deviations(spec, state, authority, now)]
    if state.issued_by != ISSUING:
        wrong.append(make_reason(spec, "wrong_issuer", "not issued by the authority that issues now"))
    if wrong:
        raise VerificationFailed(
            f"new certificate {spec.name!r}",
            expected="what the task asks for",
            found="; ".join(reason.text for reason in wrong),
            remedy="It was not installed; the former one, if any, is untouched",
        )
    return waiting.content


def _install(action: IssueCertificate, key: bytes, certificate: str) -> None:
    spec = action.spec
    attributes = wanted_entries(spec)[DIRECTORY]
    files.make_directory(spec.directory, mode=attributes.mode, uid=attributes.uid, gid=attributes.gid)
    # The bundle first, so that no certificate is there before the authority that vouches for it; then key and
    # certificate next to each other: whoever reads in between finds a pair that does not fit.
    _write_bundle(spec, action.bundle)
    _write(spec, KEY_FILE, key)
    _write(spec, CERTIFICATE_FILE, certificate.encode())
    remove_leftovers(spec.directory)


def _write_bundle(spec: CertificateSpec, bundle: Bundle) -> None:
    """Writes ``ca.pem``; one that only grows keeps its age, so that a server is not taken for outdated."""
    path = os.path.join(spec.directory, CA_FILE)
    former = files.read_file(path)
    _write(spec, CA_FILE, bundle.text.encode())
    if former is not None and bundle.only_grows:
        os.utime(path, (former.mtime, former.mtime))


def _write(spec: CertificateSpec, name: str, content: bytes) -> None:
    """Writes a file, unless it is there already: a file's age tells a server whether it has read this content."""
    attributes = wanted_entries(spec)[name]
    path = os.path.join(spec.directory, name)
    found = files.read_file(path)
    if found is not None and found.content == content:
        if Entry(found.mode, found.uid, found.gid) != attributes:
            set_attributes(spec, name)
        return
    files.write_file(path, content, mode=attributes.mode, uid=attributes.uid, gid=attributes.gid)


def set_attributes(spec: CertificateSpec, name: str) -> None:
    """Gives a file of a certificate, or its directory by the empty name, its owner, group and mode.

    Raises:
        ApplyFailed: it cannot be changed, or a symbolic link is in its place.
    """
    attributes = wanted_entries(spec)[name]
    path = os.path.join(spec.directory, name) if name else spec.directory
    try:
        # Not through a symbolic link: the directory may belong to a user who could point it anywhere.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchown(handle, attributes.uid, attributes.gid)
            os.fchmod(handle, attributes.mode)
        finally:
            os.close(handle)
    except OSError as error:
        raise ApplyFailed(
            path, expected="its owner and mode to be set", found=error.strerror or str(error)
        ) from error


def _remove(spec: CertificateSpec) -> None:
    # The key first: without it the rest is of no use to anybody.
    for name in reversed(FILES):
        files.remove_file(os.path.join(spec.directory, name))
    remove_leftovers(spec.directory)
    # Not empty: what is left is not ours.
    with contextlib.suppress(OSError):
        os.rmdir(spec.directory)
    gone = [] if os.path.lexists(spec.directory) else [spec.directory]
    certificate_record.update(
        lambda record: record.without_certificate(spec.directory).without_directories(gone)
    )


def find_leftovers(directory: str) -> tuple[str, ...]:
    """Paths that an interrupted run left in a certificate's directory or beside it, in the order of their removal."""
    pending = _pending_directory(directory)
    files_of_it = (os.path.join(pending, KEY_FILE), *_temporaries(directory), *_temporaries(pending))
    return tuple(path for path in (*files_of_it, pending) if os.path.lexists(path))


def remove_leftovers(directory: str) -> None:
    """Removes them.

    Raises:
        ApplyFailed: something cannot be removed, or somebody has put a file of his own there.
    """
    pending = _pending_directory(directory)
    for path in find_leftovers(directory):
        if path != pending:
            files.remove_file(path)
    try:
        os.rmdir(pending)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ApplyFailed(pending, expected="to be removed", found=error.strerror or str(error)) from error


def _temporaries(directory: str) -> list[str]:
    """Files that a killed process was writing; see :func:`_adapters.files.write_file` for their names."""
    prefix = glob.escape(directory)
    return sorted(path for name in FILES for path in glob.glob(os.path.join(prefix, f".{name}.*.new")))


def _pending_directory(directory: str) -> str:
    parent, name = os.path.split(directory)
    return os.path.join(parent, f".{name}.pending")


def _pending_key(spec: CertificateSpec) -> str:
    return os.path.join(_pending_directory(spec.directory), KEY_FILE)


def _number(spec: CertificateSpec, option: str, text: str) -> int:
    if text.isdecimal():
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid if option == "owner" else grp.getgrnam(text).gr_gid
    except KeyError as error:
        raise InvalidInput(
            f"certificate {spec.name!r}: {option}",
            expected="one that this host has, or a number",
            found=repr(text),
            remedy=f"Create the {'user' if option == 'owner' else 'group'} first",
        ) from error
