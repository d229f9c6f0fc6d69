# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of options that authorities and certificates have in common."""

from __future__ import annotations

import posixpath

from .._base.errors import InvalidInput


def check_common_name(subject: str, common_name: str, remedy: str = "Set a shorter or simpler one") -> None:
    """Check a common name (RFC 5280, appendix A.1: ub-common-name is 64).

    Raises:
        InvalidInput: it is empty, too long or contains control characters.
    """
    if not 1 <= len(common_name) <= 64 or not common_name.isprintable() or common_name != common_name.strip():
        raise InvalidInput(
            subject,
            expected="1 to 64 printable characters without spaces at the ends",
            found=f"{len(common_name)} characters: {common_name!r}",
            remedy=remedy,
        )


def check_validity_days(subject: str, days: int) -> None:
    """Check a validity in days.

    Raises:
        InvalidInput: it is less than a day or more than a century.
    """
    if not 1 <= days <= 36500:
        raise InvalidInput(subject, expected="1 to 36500 days", found=str(days))


def check_directory(subject: str, path: str) -> None:
    """Check the path of a directory of certificates.

    Raises:
        InvalidInput: it is relative, contains ``..`` or double slashes, or is the root directory.
    """
    if not path.startswith("/") or path.strip("/") == "" or posixpath.normpath(path) != path.rstrip("/"):
        raise InvalidInput(subject, expected="a normalized absolute path other than /", found=repr(path))
