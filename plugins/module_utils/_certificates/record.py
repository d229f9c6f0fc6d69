# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of the certificates that were created on a host, to distinguish them from others.

A certificate does not say who installed it: a corporate authority issues for others too, and files
can be copied. The record therefore identifies a file by its path and its content, and lists the
directories that were created.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Mapping

from .._base.errors import Refused

VERSION = 1

Digests = Mapping[str, "tuple[str, ...]"]
"""SHA-256 of the written contents, in hexadecimal digits, by file name."""


@dataclass(frozen=True)
class Record:
    """The record of one host.

    Attributes:
        certificates: digests of files by directory. Empty for a directory whose key waits for its
            certificate.
        directories: sorted paths of directories that were created.
        identities: sorted directories of certificates that were created with a wormhole and are
            removed with it.
    """

    certificates: Mapping[str, Digests] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.certificates and not self.directories

    def knows(self, directory: str, name: str, digest: str) -> bool:
        """Whether a file has the content that was written."""
        return digest in self.certificates.get(directory, {}).get(name, ())

    def with_directories(self, paths: Iterable[str]) -> Record:
        return replace(self, directories=tuple(sorted({*self.directories, *paths})))

    def without_directories(self, paths: Iterable[str]) -> Record:
        return replace(self, directories=tuple(sorted(set(self.directories) - set(paths))))

    def with_files(self, directory: str, written: Mapping[str, str], present: Mapping[str, str]) -> Record:
        """Add the digests of files that are about to be written, by file name.

        Those of present contents stay in the record, because the run may be interrupted. Other files
        keep their digests, also if somebody has replaced them since: the directory stays managed.
        """
        entry = dict(self.certificates.get(directory, {}))
        for name, digest in written.items():
            kept = [present[name]] if name in present and self.knows(directory, name, present[name]) else []
            entry[name] = tuple(dict.fromkeys([*kept, digest]))
        return replace(self, certificates={**self.certificates, directory: entry})

    def without_certificate(self, directory: str) -> Record:
        left = {place: found for place, found in self.certificates.items() if place != directory}
        return replace(self, certificates=left).without_identity(directory)

    def with_identity(self, directory: str) -> Record:
        """Mark a certificate as a wormhole's identity."""
        known = {directory} & set(self.certificates)
        return replace(self, identities=tuple(sorted({*self.identities, *known})))

    def without_identity(self, directory: str) -> Record:
        return replace(self, identities=tuple(sorted(set(self.identities) - {directory})))


def render_record(record: Record) -> bytes:
    """The content of the record's file."""
    document = {
        "version": VERSION,
        "certificates": {
            place: {name: list(values) for name, values in sorted(digests.items())}
            for place, digests in sorted(record.certificates.items())
        },
        "directories": list(record.directories),
        "identities": list(record.identities),
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def parse_record(content: bytes, path: str) -> Record:
    """Parse the output of :func:`render_record`. The path is for the message.

    Raises:
        Refused: it is not a record.
    """
    try:
        document: Any = json.loads(content)
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']!r}")
        certificates = {
            str(place): {str(name): tuple(map(str, values)) for name, values in digests.items()}
            for place, digests in document["certificates"].items()
        }
        lists = (document["directories"], document.get("identities", ()))
        return Record(certificates, *(tuple(sorted(map(str, paths))) for paths in lists))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            path,
            problem=f"{path} is not a record of certificates, version {VERSION} ({error})",
            remedy="Remove the file. A run with state: present records valid certificates again",
        ) from error
