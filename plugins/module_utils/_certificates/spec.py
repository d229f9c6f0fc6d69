# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requested certificates of one host, and the parser of option ``certificates``."""

from __future__ import annotations

import datetime
import posixpath
import re
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Sequence

from .._base.errors import InvalidInput
from .checks import check_common_name, check_directory, check_validity_days
from .facts import EXTENDED_KEY_USAGE, ONE_DAY, SERVER, Profile, default_renewal_window
from .names import SubjectAlternativeName, parse_san


@dataclass(frozen=True)
class CertificateSpec:
    """One requested certificate with its key and its directory.

    Attributes:
        name: its name in the task, unique there.
        profile: whether it is for a server or a client.
        present: False if it is to be removed.
        common_name: common name of the subject.
        subject_alternative_names: sorted, without duplicates.
        origins: where a name comes from, for reasons, such as ``gateway of network ci``.
        directory: absolute path.
        owner, group: names or numbers; None for the defaults.
        directory_mode, key_mode, certificate_mode: permission bits.
        key_type: type of the private key, one of :data:`_certificates.facts.KEY_TYPES` unless it is
            being reissued.
        validity: validity from the time of issue.
        renew_before: renewal window before the end of the validity; see
            :func:`_certificates.facts.default_renewal_window`.
        deferrable: names for which a server need not be restarted.
        uid, gid: numbers of owner and group on the host; None until they are looked up there.
        keeper: number of the user that owns what others may read, so that the owner of the key
            cannot replace it: the user that runs the module.
        parent_mode: permission bits of the directory's parent; None to leave them to others.
    """

    name: str
    profile: Profile
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
    keeper: int = 0
    parent_mode: Optional[int] = None

    @property
    def key_usage(self) -> tuple[str, ...]:
        """RSA keys also encipher keys in TLS 1.2 (RFC 5246, 7.4.2). Elliptic keys only sign."""
        usage = ("digitalSignature", "keyEncipherment")
        return usage if self.key_type.startswith("rsa") else usage[:1]

    @property
    def extended_key_usage(self) -> tuple[str, ...]:
        return (EXTENDED_KEY_USAGE[self.profile],)


def parse_certificates(options: Iterable[Mapping[str, Any]]) -> tuple[CertificateSpec, ...]:
    """Parse option ``certificates``, with Ansible's types and defaults.

    Raises:
        InvalidInput: an option is invalid, or two certificates have the same name or directory.
    """
    specs = tuple(_parse_certificate(option) for option in options)
    _check_unique("certificates: name", [spec.name for spec in specs])
    _check_unique("certificates: directory", [spec.directory for spec in specs])
    return specs


def _parse_certificate(option: Mapping[str, Any]) -> CertificateSpec:
    name = option["name"]
    subject = f"certificate {name!r}"
    common_name = option.get("common_name") or name
    named = (
        "Set common_name"
        if option.get("common_name")
        else "The name is also the common name. Set common_name"
    )
    check_common_name(f"{subject}: common_name", common_name, f"{named} to a shorter or simpler one")
    check_directory(f"{subject}: directory", option["directory"])
    _reject_pending(subject, option["directory"])
    check_validity_days(f"{subject}: validity_days", option["validity_days"])
    present = option["state"] == "present"
    names, deferrable = _parse_names(subject, option.get("subject_alternative_names") or ())
    if option["profile"] == SERVER:
        if not present:
            raise InvalidInput(
                subject,
                problem=f"{subject}: state absent for a server certificate is not supported",
                remedy="Remove the listener instead: the engine does not start without its certificate",
            )
        if not names:
            raise InvalidInput(
                subject,
                problem=f"{subject}: a server needs at least one subject alternative name",
                remedy="List every address that clients dial. They do not compare the common name (RFC 6125)",
            )
    validity = option["validity_days"] * ONE_DAY
    return CertificateSpec(
        name=name,
        profile=option["profile"],
        present=present,
        common_name=common_name,
        subject_alternative_names=tuple(sorted(names)),
        origins={name: origin for name, origin in names.items() if origin},
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


def _reject_pending(subject: str, directory: str) -> None:
    name = posixpath.basename(directory.rstrip("/"))
    if name.startswith(".") and name.endswith(".pending"):
        problem = f"{subject}: {directory} is the directory of the pending key of another certificate"
        raise InvalidInput(f"{subject}: directory", problem=problem, remedy="Choose another directory")


def _parse_names(
    subject: str, elements: Iterable[Any]
) -> tuple[Mapping[SubjectAlternativeName, str], frozenset[SubjectAlternativeName]]:
    """The names with their origins (or an empty text), and those that do not require a restart."""
    origins = {}
    deferrable = set()
    for element in elements:
        entry = element if isinstance(element, Mapping) else {"name": element}
        urgent = entry.get("urgent", True)
        typed = isinstance(entry.get("name"), str) and isinstance(urgent, bool)
        if not typed or not entry.keys() <= {"name", "origin", "urgent"}:
            raise InvalidInput(
                f"{subject}: subject_alternative_names",
                expected="strings such as IP:172.17.0.1, or dictionaries of name, origin and urgent",
                found=repr(element),
            )
        try:
            name = parse_san(entry["name"])
        except InvalidInput as error:
            error.put_in(subject)
            raise
        origins[name] = str(entry.get("origin") or "")
        if not urgent:
            deferrable.add(name)
    return origins, frozenset(deferrable)


def _parse_mode(subject: str, text: str, *, forbidden: int) -> int:
    # YAML reads an unquoted 0400 as the number 256.
    if not re.fullmatch(r"0[0-7]{3}", text):
        expected = "four octal digits in quotes, such as '0400'"
        raise InvalidInput(subject, expected=expected, found=repr(text), remedy="Quote the mode")
    mode = int(text, 8)
    if mode & forbidden or not mode & 0o400:
        raise InvalidInput(
            subject,
            expected=f"a mode that the owner can read, without the bits {forbidden:04o}",
            found=text,
            remedy="Others must not read keys, and only the owner may write files and directories",
        )
    return mode


def _parse_renewal(subject: str, days: Optional[int], validity: datetime.timedelta) -> datetime.timedelta:
    if days is None:
        return default_renewal_window(validity)
    renew_before = days * ONE_DAY
    if not ONE_DAY <= renew_before < validity:
        raise InvalidInput(
            f"{subject}: renew_before_days",
            expected=f"at least 1 and less than validity_days, which is {validity // ONE_DAY}",
            found=str(days),
            remedy="Otherwise every run would renew the certificate",
        )
    return renew_before


def _check_unique(subject: str, values: Sequence[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            expected = "a different value for each certificate"
            raise InvalidInput(subject, expected=expected, found=f"{value!r} twice")
