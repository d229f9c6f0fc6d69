# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian packages through this machine's apt, with its mirror, proxy and keyrings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError
from lab.process import run
from lab.spec import DEBIAN, Debian

_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
_TARGETS = (
    "apt-get",
    "indextargets",
    "--format",
    "$(REPO_URI) $(RELEASE) $(COMPONENT)",
    "Created-By: Packages",
)
# Settings for reaching and verifying a mirror. mmdebstrap itself decides which indexes to fetch.
_TRANSPORT = re.compile(r'^(Acquire::(?:http|https|Retries|Check-Valid-Until|Check-Date)\b.*) "(.+)";$')


def keyring() -> Path:
    """Return the keyring with the keys of all Debian releases."""
    for path in _KEYRINGS:
        if path.exists():
            return path
    raise LabError(
        "the keyring of the Debian archive is missing",
        expected=" or ".join(map(str, _KEYRINGS)),
        remedy="apt-get install debian-archive-keyring",
    )


def this_release() -> Debian:
    """Return the Debian release this machine runs."""
    found = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    suite = found.get("VERSION_CODENAME", "").strip('"')
    supported = {debian.suite: debian for debian in DEBIAN.values() if debian.outer}
    if suite not in supported:
        raise LabError(
            "the lab does not support this machine",
            expected=f"Debian {' or '.join(supported)}",
            found=found.get("PRETTY_NAME", "no /etc/os-release").strip('"'),
        )
    return supported[suite]


def translate(targets: str, here: Debian, there: Debian, signed_by: Path) -> list[str]:
    """Convert this machine's index targets of Debian's own archives to sources of another release."""
    wanted = {f"{here.suite}{pocket}": f"{there.suite}{pocket}" for pocket in there.pockets}
    sources = []
    for line in targets.splitlines():
        uri, release, component = line.split()
        if release in wanted and component == "main":
            source = f"deb [signed-by={signed_by}] {uri} {wanted[release]} {component}"
            if source not in sources:
                sources.append(source)
    return sources


def sources(release: Debian) -> list[str]:
    """Return the sources of a Debian release at the mirrors that this machine uses."""
    here = this_release()
    found = translate(run(_TARGETS), here, release, keyring())
    if not found:  # apt lists no targets before its first update
        run(["apt-get", "update"])
        found = translate(run(_TARGETS), here, release, keyring())
    if not found:
        raise LabError(
            "this machine has no Debian mirror",
            expected=f"an apt source of this machine for {here.suite} main",
            found="none in /etc/apt/sources.list and /etc/apt/sources.list.d",
        )
    return found


def transport_options(dump: str | None = None) -> list[str]:
    """Return this machine's apt settings for reaching a mirror, as options of mmdebstrap."""
    dump = run(["apt-config", "dump"]) if dump is None else dump
    matches = (_TRANSPORT.match(line) for line in dump.splitlines())
    return [f'{match[1]} "{match[2]}";' for match in matches if match]


def mmdebstrap(release: Debian, target: Path, packages: Sequence[str], *options: str) -> None:
    """Build a root file system as a tar archive."""
    run(
        [
            "mmdebstrap",
            "--mode=root",
            "--format=tar",
            "--quiet",
            f"--include={','.join(packages)}",
            '--aptopt=APT::Install-Recommends "false"',
            *(f"--aptopt={option}" for option in transport_options()),
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            *options,
            release.suite,
            str(target),
            *sources(release),
        ],
        remedy="check that `apt-get update` works on this machine",
    )
