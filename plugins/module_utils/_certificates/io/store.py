# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe the certificates of a host, and generate keys for new ones.

The key of a requested certificate is kept in a hidden directory beside the certificate's,
``.NAME.pending``, which only its owner can enter. The certificate's own directory may be mounted in
a container.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from dataclasses import replace
from typing import Iterable, Mapping, Sequence

from ..._base.errors import ApplyFailed, InvalidInput, WormholeError
from ..._base.io import files
from ..facts import CA_FILE, CERTIFICATE_FILE, DIRECTORY, FILES, KEY_FILE, PARENT
from ..model import CertificateState, Entry, HostState
from ..record import Record
from ..spec import CertificateSpec
from ..trust import Authority, IssuedBy
from . import decoding, issuing
from . import record as certificate_record


def look_up_owner(spec: CertificateSpec) -> CertificateSpec:
    """Set the numbers of owner and group on this host.

    The default owner is the process's user. The default group is the owner's primary group.

    Raises:
        InvalidInput: the host has no such user or group.
    """
    spec = replace(spec, keeper=os.geteuid())
    uid = os.geteuid() if spec.owner is None else _number(spec, "owner", spec.owner)
    if spec.group is not None:
        return replace(spec, uid=uid, gid=_number(spec, "group", spec.group))
    if spec.owner is None:
        return replace(spec, uid=uid, gid=os.getegid())
    try:
        return replace(spec, uid=uid, gid=pwd.getpwuid(uid).pw_gid)
    except KeyError:
        # A user that exists only in a container: images usually have a group of the same number.
        return replace(spec, uid=uid, gid=uid)


def observe_certificates(specs: Sequence[CertificateSpec], authority: Authority) -> HostState:
    """Read the directories of certificates, without changing anything.

    Raises:
        WormholeError: a file or directory cannot be read.
    """
    kept = certificate_record.is_kept()
    record = certificate_record.read() if kept else Record()
    found = {}
    for spec in specs:
        state = observe_directory(spec.directory, authority)
        digests = certificate_record.digests(spec.directory).items() if kept else ()
        unrecorded = (name for name, digest in digests if not record.knows(spec.directory, name, digest))
        recorded = bool(record.certificates.get(spec.directory)) if kept else None
        if spec.parent_mode is not None and kept:
            state = replace(state, entries={**state.entries, **_observe_parent(spec.directory, record)})
        found[spec.name] = replace(state, unrecorded=tuple(unrecorded), recorded=recorded)
    return found


def _observe_parent(directory: str, record: Record) -> dict[str, Entry]:
    """The directory above an identity; nothing if it does not exist, or if others may have to enter it.

    A user of the host other than root may use an identity that was not made for a wormhole.
    """
    parent = os.path.dirname(directory)
    found = files.read_directory(parent)
    if found is None:
        return {}
    for place in record.certificates:
        if os.path.dirname(place) == parent and place not in {*record.identities, directory}:
            with contextlib.suppress(OSError):
                if os.lstat(os.path.join(place, KEY_FILE)).st_uid != 0:
                    return {}
    return {PARENT: Entry(found.mode, found.uid, found.gid)}


def make_parent(spec: CertificateSpec) -> None:
    """Create the directory above a certificate's with the mode of the specification, if it is missing.

    Raises:
        ApplyFailed: it cannot be created.
    """
    parent = os.path.dirname(spec.directory)
    if spec.parent_mode is not None and not os.path.isdir(parent):
        files.make_directory(parent, mode=spec.parent_mode, uid=os.geteuid(), gid=os.getegid())


def find_certificates(roots: Iterable[str], authority: Authority) -> dict[str, CertificateState]:
    """Read every directory in or below these with a ``cert.pem``, but do not follow symbolic links.

    Raises:
        WormholeError: a file or directory cannot be read.
    """
    found = {}
    for root in roots:
        for directory, below, names in os.walk(root):
            below[:] = [name for name in below if not name.startswith(".")]
            if CERTIFICATE_FILE in names:
                found[directory] = observe_directory(directory, authority)
    return found


def observe_directory(place: str, authority: Authority) -> CertificateState:
    """Read the directory of one certificate.

    Raises:
        WormholeError: it is not a directory, or one of its files is not a regular file.
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
        entries=entries, other_files=tuple(sorted(others)), leftovers=(*pending, *temporaries)
    )
    return decode(state, contents, authority)


def read_certificate_text(directory: str) -> str:
    """The certificate in a directory, in PEM form.

    Raises:
        ApplyFailed: it was removed since it was observed.
    """
    return _read_again(os.path.join(directory, CERTIFICATE_FILE)).decode("utf-8", "replace")


def make_request(spec: CertificateSpec, *, keep_key: bool = False) -> str:
    """Keep a new key, or the existing one, and return a certificate signing request in PEM form.

    Raises:
        ApplyFailed: the key could not be written, or was removed since it was observed.
    """
    uid, gid = os.geteuid(), os.getegid()
    if keep_key:
        key = decoding.read_key(_read_again(os.path.join(spec.directory, KEY_FILE)))
    else:
        key = issuing.make_key(spec.key_type)
    certificate_record.note({spec.directory: {}})
    make_parent(spec)
    files.make_directory(_pending_directory(spec.directory), mode=0o700, uid=uid, gid=gid)
    files.write_file(pending_key(spec), issuing.write_key(key), mode=0o400, uid=uid, gid=gid)
    return issuing.make_request(key, spec.common_name)


def _read_again(path: str) -> bytes:
    found = files.read_file(path)
    if found is None:
        raise ApplyFailed(path, problem=f"{path} was removed during the task", remedy="Run the task again")
    return found.content


def decode(state: CertificateState, contents: Mapping[str, bytes], authority: Authority) -> CertificateState:
    """Add the decoded contents of the files to a state."""
    unreadable: dict[str, str] = {}
    certificate = key = bundle = None
    issued_by: IssuedBy = ""
    if CERTIFICATE_FILE in contents:
        try:
            certificate = decoding.read_certificate(contents[CERTIFICATE_FILE])
            issued_by = decoding.find_issuer(contents[CERTIFICATE_FILE], authority.trust)
        except WormholeError as error:
            unreadable[CERTIFICATE_FILE] = str(error)
    if KEY_FILE in contents:
        try:
            key = decoding.key_facts(decoding.read_key(contents[KEY_FILE]))
        except WormholeError as error:
            unreadable[KEY_FILE] = str(error)
    if CA_FILE in contents:
        try:
            bundle = decoding.read_bundle(contents[CA_FILE])
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


def find_leftovers(directory: str) -> tuple[str, ...]:
    """Paths that an interrupted run left in or beside a directory, in the order of removal."""
    pending = _pending_directory(directory)
    files_of_it = (os.path.join(pending, KEY_FILE), *_temporaries(directory), *_temporaries(pending))
    return tuple(path for path in (*files_of_it, pending) if os.path.lexists(path))


def remove_leftovers(directory: str) -> None:
    """Remove what :func:`find_leftovers` finds.

    Raises:
        ApplyFailed: a path cannot be removed, or the pending directory holds other files.
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
        raise files.failure("remove", pending, error) from error


def staged(directory: str, name: str) -> str:
    """The path of a file that is going to replace another one together with its counterpart.

    One of :func:`.files.leftovers`.
    """
    return os.path.join(directory, f".{name}.staged.new")


def _temporaries(directory: str) -> list[str]:
    """Temporary files of a killed process."""
    return sorted(path for name in FILES for path in files.leftovers(os.path.join(directory, name)))


def _pending_directory(directory: str) -> str:
    parent, name = os.path.split(directory)
    return os.path.join(parent, f".{name}.pending")


def pending_key(spec: CertificateSpec) -> str:
    """The path of a key whose certificate has been requested."""
    return os.path.join(_pending_directory(spec.directory), KEY_FILE)


def _number(spec: CertificateSpec, option: str, text: str) -> int:
    if text.isdecimal():
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid if option == "owner" else grp.getgrnam(text).gr_gid
    except KeyError as error:
        raise InvalidInput(
            f"certificate {spec.name!r}: {option}",
            expected="one of this host, or a number",
            found=repr(text),
            remedy=f"Create the {'user' if option == 'owner' else 'group'} first",
        ) from error
