# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host remembers of the certificates that were made on it, so that they can be told from everybody else's.

A certificate does not say who has put it where it is: a corporate authority issues for others too, and a copy is as good as
its original. So each file is known by its place and its content, and a directory by having been made for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused

VERSION = 1

Digests = Mapping[str, "tuple[str, ...]"]
"""SHA-256 of what was written, in hexadecimal, by the file's name; two for a file that is being replaced."""


@dataclass(frozen=True)
class Record:
    """What was made.

    Attributes:
        certificates: the digests of their files, by their directories; none as long as only a key waits beside it.
        directories: paths of directories that were not there before, sorted.
        identities: directories of those certificates that were made with a wormhole, and go with it, sorted.
    """

    certificates: Mapping[str, Digests] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.certificates and not self.directories

    def knows(self, directory: str, name: str, digest: str) -> bool:
        """Whether a file's content is what was written there."""
        return digest in self.certificates.get(directory, {}).get(name, ())

    def with_directories(self, paths: Iterable[str]) -> Record:
        return replace(self, directories=tuple(sorted({*self.directories, *paths})))

    def without_directories(self, paths: Iterable[str]) -> Record:
        return replace(self, directories=tuple(sorted(set(self.directories) - set(paths))))

    def with_files(self, directory: str, written: Mapping[str, str], present: Mapping[str, str]) -> Record:
        """Adds what is about to be written.

        Args:
            directory: of the certificate.
            written: digests of new contents, by file name.
            present: digests of what is there. It stays known until it is replaced, since a run may end before that.
        """
        known = self.certificates.get(directory, {})
        digests = {}
        for name in sorted({*known, *written}):
            kept = [digest for digest in known.get(name, ()) if digest == present.get(name)]
            digests[name] = tuple(dict.fromkeys([*kept, *([written[name]] if name in written else [])]))
        entry = {name: values for name, values in digests.items() if values}
        return replace(self, certificates={**self.certificates, directory: entry})

    def without_certificate(self, directory: str) -> Record:
        left = {place: digests for place, digests in self.certificates.items() if place != directory}
        return replace(self, certificates=left).without_identity(directory)

    def with_identity(self, directory: str) -> Record:
        """Tells a wormhole's identity from other certificates, once its container is gone and with it the label that does."""
        known = {directory} & set(self.certificates)
        return replace(self, identities=tuple(sorted({*self.identities, *known})))

    def without_identity(self, directory: str) -> Record:
        return replace(self, identities=tuple(sorted(set(self.identities) - {directory})))


def render_record(record: Record) -> bytes:
    """As it is stored."""
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
    """Reads what :func:`render_record` has made.

    Args:
        content: of the file.
        path: where it is, for the message.

    Raises:
        Refused: it is something else; what is whose cannot be told then.
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
            expected=f"a record of the certificates made on this host, version {VERSION}",
            found=f"something else ({error})",
            remedy="Remove the file; a run with state present records again what it finds in order",
        ) from error
