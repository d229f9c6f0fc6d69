# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asks for: the certificates of one host, checked before anything is touched."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.renewal import renewal_window
from ansible_collections.wormhole.docker.plugins.module_utils._core.subject_alternative_names import (
    SubjectAlternativeName,
    parse_san,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import (
    CLIENT_AUTH,
    ONE_DAY,
    SERVER_AUTH,
    check_common_name,
    check_directory,
    check_validity_days,
)

SERVER = "server"
CLIENT = "client"

EXTENDED_KEY_USAGE = {SERVER: SERVER_AUTH, CLIENT: CLIENT_AUTH}


@dataclass(frozen=True)
class CertificateSpec:
    """One certificate with its key and its place.

    Attributes:
        name: how the task calls it; unique in the task.
        profile: :data:`SERVER` or :data:`CLIENT`.
        present: False if it has to go.
        common_name: of the subject.
        subject_alternative_names: sorted, without repetitions.
        origins: where a name comes from, for the reasons, such as ``gateway of network ci``.
        directory: absolute path.
        owner, group: names or numbers; None for those of the process.
        directory_mode, key_mode, certificate_mode: permission bits.
        key_type: one of :data:`_core.x509.KEY_TYPES`.
        validity: how long from the moment of issue.
        renew_before: how long before its end it is replaced.
        deferrable: names that a server may lack until it is restarted for another reason.
        uid, gid: what owner and group are on the host; None until they are looked up there.
    """

    name: str
    profile: str
    present: bool
    common_name: str
    subject_alternative_names: tuple[SubjectAlternativeName, ...]
    origins: Mapping[SubjectAlternativeName, str]
    directory: str
    owner: Optional[str]
    group: Optional[str]
    directory_mode: int
    key_mode: int
    certificate_mode: int
    key_type: str
    validity: datetime.timedelta
    renew_before: datetime.timedelta
    deferrable: frozenset[SubjectAlternativeName] = frozenset()
    uid: Optional[int] = None
    gid: Optional[int] = None

    @property
    def key_usage(self) -> tuple[str, ...]:
        """RSA keys also encipher keys in TLS 1.2 (RFC 5246, 7.4.2); elliptic ones only sign."""
        return (
            ("digitalSignature", "keyEncipherment")
            if self.key_type.startswith("rsa")
            else ("digitalSignature",)
        )

    @property
    def extended_key_usage(self) -> tuple[str, ...]:
        return (EXTENDED_KEY_USAGE[self.profile],)


def parse_certificates(options: Iterable[Mapping[str, Any]]) -> tuple[CertificateSpec, ...]:
    """Checks the option ``certificates``, whose types and defaults Ansible has seen to.

    Raises:
        InvalidInput: an option cannot be meant, or two certificates get in each other's way.
    """
    specs = tuple(_parse_certificate(option) for option in options)
    _check_unique("certificates: name", [spec.name for spec in specs])
    _check_unique("certificates: directory", [spec.directory for spec in specs])
    return specs


def _parse_certificate(option: Mapping[str, Any]) -> CertificateSpec:
    name = option["name"]
    subject = f"certificate {name!r}"
    common_name = option.get("common_name") or name
    check_common_name(f"{subject}: common_name", common_name)
    check_directory(f"{subject}: directory", option["directory"])
    check_validity_days(f"{subject}: validity_days", option["validity_days"])
    present = option["state"] == "present"
    names, origins, deferrable = _parse_names(subject, option.get("subject_alternative_names") or ())
    if option["profile"] == SERVER:
        if not present:
            raise InvalidInput(
                subject,
                expected="state present",
                found="state absent for a server certificate",
                remedy="Remove the listener instead: without its certificate the engine does not start",
            )
        if not names:
            raise InvalidInput(
                subject,
                expected="at least one subject alternative name for a server",
                found="an empty list",
                remedy="Name every address that clients dial: they do not look at the common name (RFC 6125)",
            )
    validity = option["validity_days"] * ONE_DAY
    return CertificateSpec(
        name=name,
        profile=option["profile"],
        present=present,
        common_name=common_name,
        subject_alternative_names=names,
        origins=origins,
        deferrable=deferrable,
        directory=option["directory"].rstrip("/"),
        owner=option.get("owner"),
        group=option.get("group"),
        directory_mode=_parse_mode(f"{subject}: directory_mode", option["directory_mode"], forbidden=0o022),
        key_mode=_parse_mode(f"{subject}: key_mode", option["key_mode"], forbidden=0o137),
        certificate_mode=_parse_mode(
            f"{subject}: certificate_mode", option["certificate_mode"], forbidden=0o133
        ),
        key_type=option["key_type"],
        validity=validity,
        renew_before=_parse_renewal(subject, option.get("renew_before_days"), validity),
    )


def _parse_names(
    subject: str, elements: Iterable[Any]
) -> tuple[
    tuple[SubjectAlternativeName, ...],
    Mapping[SubjectAlternativeName, str],
    frozenset[SubjectAlternativeName],
]:
    """The names in order, where they come from, and those that can wait for a restart."""
    origins = {}
    deferrable = set()
    for element in elements:
        entry = element if isinstance(element, Mapping) else {"name": element}
        urgent = entry.get("urgent", True)
        if (
            not isinstance(entry.get("name"), str)
            or not isinstance(urgent, bool)
            or not entry.keys() <= {"name", "origin", "urgent"}
        ):
            raise InvalidInput(
                f"{subject}: subject_alternative_names",
                expected="strings such as IP:172.17.0.1, or dictionaries of name, origin and urgent",
                found=repr(element),
            )
        try:
            name = parse_san(entry["name"])
        except InvalidInput as error:
            raise InvalidInput(
                f"{subject}: {error.subject}", expected=error.expected, found=error.found, remedy=error.remedy
            ) from error
        origins[name] = str(entry.get("origin") or "")
        if not urgent:
            deferrable.add(name)
    described = {name: origin for name, origin in origins.items() if origin}
    return tuple(sorted(origins)), described, frozenset(deferrable)


def _parse_mode(subject: str, text: str, *, forbidden: int) -> int:
    # YAML reads an unquoted 0400 as the number 256, which must not pass for a mode.
    if not re.fullmatch(r"0[0-7]{3}", text):
        raise InvalidInput(
            subject,
            expected="four octal digits in quotes, such as '0400'",
            found=repr(text),
            remedy="Quote the mode",
        )
    mode = int(text, 8)
    if mode & forbidden or not mode & 0o400:
        raise InvalidInput(
            subject,
            expected=f"a mode that its owner can read and without the bits {forbidden:04o}",
            found=text,
            remedy="Keys are for their owner and group only; nothing here is for others to write",
        )
    return mode


def _parse_renewal(subject: str, days: Optional[int], validity: datetime.timedelta) -> datetime.timedelta:
    if days is None:
        return renewal_window(validity)
    renew_before = days * ONE_DAY
    if not ONE_DAY <= renew_before < validity:
        raise InvalidInput(
            f"{subject}: renew_before_days",
            expected=f"at least 1 and less than validity_days, which is {validity // ONE_DAY}",
            found=str(days),
            remedy="A certificate that is due for renewal when it is issued would be renewed on every run",
        )
    return renew_before


def _check_unique(subject: str, values: Iterable[str]) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise InvalidInput(
                subject, expected="a value of its own for each certificate", found=f"{value!r} twice"
            )
        seen.add(value)
