# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy the server's certificate and key to where the gate can read them, as root.

The gate is not root, and must not be able to change them. Its copies are in a directory of root's in its
runtime directory; the files belong to the gate, and get their mode before their content. They are
replaced only by a certificate that belongs to its key.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import stat
import sys
import time
from typing import Callable, Iterator, Mapping, Optional

from ..._base.errors import InvalidInput
from ..config import CA, CERTIFICATE, COPIES, KEY, PATH, TLS_NAMES, parse_config
from ..control import RELOAD, RUNTIME, Request
from .asking import Unavailable, ask

_ATTEMPTS = 10
_PAUSE = 0.2
_LARGEST = 1 << 20
_STAGED = f".{CERTIFICATE}.staged.new"
"""Replaces the certificate after its key was replaced, see _certificates/io/installing.py."""


class _Unusable(Exception):
    """Why there is no certificate for the gate."""


def prepare(arguments: list[str]) -> int:
    """Copies the files before the gate starts. Without them, it starts all the same."""
    _say(_copy_configured(arguments))
    return 0


def reload(arguments: list[str]) -> int:
    """Copies the files, and has the running gate read them and the policies; returns the exit status."""
    problem = _copy_configured(arguments)
    try:
        problem = ask(Request(RELOAD), (), _runtime()) or problem
    except Unavailable as error:
        problem = f"The gate does not answer: {error}."
    _say(problem)
    return 1 if problem else 0


def copy_certificate(source: Optional[str], runtime: str) -> None:
    """Makes the copies those of the present files.

    Args:
        source: directory of the server's files; None for no TLS.
        runtime: the gate's directory. The copies belong to its owner.

    Raises:
        _Unusable: a file is missing; then the copies are removed. Or the certificate does not belong to
            the key; then the previous copies stay.
    """
    with _opened(runtime) as above, _own_directory(above) as target:
        if source is None:
            _remove(target)
            return
        owner = os.fstat(above)
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE)
            contents = _read_all(source, target)
            for certificate in (contents[CERTIFICATE], contents.get(_STAGED)):
                if certificate is None:
                    continue
                _write(target, {**contents, CERTIFICATE: certificate}, owner)
                if _fits(target):
                    for name in TLS_NAMES:
                        os.rename(_new(name), name, src_dir_fd=target, dst_dir_fd=target)
                    return
        _remove(target, _new)
        raise _Unusable(
            f"{source}/{CERTIFICATE} and {KEY} do not belong together. Issue the certificate again."
        )


def _copy_configured(arguments: list[str]) -> str:
    """Copies the files that the configuration names; returns what is wrong."""
    try:
        with open(arguments[0] if arguments else PATH, "rb") as stream:
            source = parse_config(stream.read()).tls
        copy_certificate(source, _runtime())
    except _Unusable as error:
        return f"The gate does not serve TLS: {error}"
    except (OSError, InvalidInput) as error:
        return f"The certificate cannot be copied for the gate: {error}"
    return ""


def _read_all(source: str, target: int) -> Mapping[str, bytes]:
    """The content of all files at one time; without the staged one if there is none."""
    found = {}
    # What is issued anew needs the new authorities, which are written first. So they are read last.
    for name in (CERTIFICATE, KEY, CA):
        path = os.path.join(source, name)
        try:
            found[name] = _read(path)
        except FileNotFoundError:
            _remove(target)
            raise _Unusable(f"{path} does not exist. Issue the certificate of the listener.") from None
    with contextlib.suppress(FileNotFoundError):
        found[_STAGED] = _read(os.path.join(source, _STAGED))
    return found


def _read(path: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(path, "rb", opener=lambda name, _flags: os.open(name, flags)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise _Unusable(f"{path} is not a regular file.")
        return stream.read(_LARGEST)


def _write(target: int, contents: Mapping[str, bytes], owner: os.stat_result) -> None:
    _remove(target, _new)
    for name in TLS_NAMES:
        number = os.open(
            _new(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400, dir_fd=target
        )
        with open(number, "wb") as stream:
            os.fchown(number, owner.st_uid, owner.st_gid)
            stream.write(contents[name])


def _fits(target: int) -> bool:
    """Whether the new certificate belongs to the new key."""
    certificate, key = (f"/proc/self/fd/{target}/{_new(name)}" for name in (CERTIFICATE, KEY))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError):
        return False
    return True


def _new(name: str) -> str:
    return f".{name}.new"


def _remove(target: int, path: Callable[[str], str] = str) -> None:
    for name in TLS_NAMES:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path(name), dir_fd=target)


@contextlib.contextmanager
def _opened(path: str, above: Optional[int] = None) -> Iterator[int]:
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        yield number
    finally:
        os.close(number)


@contextlib.contextmanager
def _own_directory(above: int) -> Iterator[int]:
    """The directory of the copies. The directory above it belongs to the gate, which could replace it."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(COPIES, 0o700, dir_fd=above)
    with _opened(COPIES, above) as number:
        if os.fstat(number).st_uid != os.getuid():
            raise _Unusable(f"{COPIES} in the gate's runtime directory is not root's. Restart the gate.")
        os.fchmod(number, 0o755)
        yield number


def _runtime() -> str:
    return os.environ.get("RUNTIME_DIRECTORY", RUNTIME)


def _say(problem: str) -> None:
    if problem:
        sys.stderr.write(f"wormhole-gate: {problem}\n")
