# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian packages by way of this machine's own apt: its mirror, its proxy, its keyrings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError
from lab.process import run
from lab.spec import SUITES

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
# What says how to reach and judge a mirror. What says which indexes to fetch is left to mmdebstrap.
_TRANSPORT = re.compile(r'^(Acquire::(?:http|https|Retries|Check-Valid-Until|Check-Date)\b.*) "(.+)";$')


def keyring() -> Path:
    """Return the keyring that signs every Debian release."""
    for path in _KEYRINGS:
        if path.exists():
            return path
    raise LabError(
        "no keyring of the Debian archive",
        expected=" or ".join(map(str, _KEYRINGS)),
        remedy="apt-get install debian-archive-keyring",
    )


def this_suite() -> str:
    """Return the code name of the Debian release this machine runs."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    suite = release.get("VERSION_CODENAME", "").strip('"')
    if suite not in SUITES.values():
        raise LabError(
            "the lab does not run on this machine",
            expected=f"Debian {' or '.join(SUITES.values())}",
            found=release.get("PRETTY_NAME", "no /etc/os-release").strip('"'),
        )
    return suite


def translate(targets: str, here: str, there: str, signed_by: Path) -> list[str]:
    """Turn this machine's index targets into the sources of another suite, of Debian's own archives only."""
    wanted = {f"{here}{pocket}": f"{there}{pocket}" for pocket in ("", "-updates", "-security")}
    sources = []
    for line in targets.splitlines():
        uri, release, component = line.split()
        if release in wanted and component == "main":
            source = f"deb [signed-by={signed_by}] {uri} {wanted[release]} {component}"
            if source not in sources:
                sources.append(source)
    return sources


def sources(suite: str) -> list[str]:
    """Return the sources of a Debian suite, at the mirrors this machine uses itself."""
    here = this_suite()
    found = translate(run(_TARGETS), here, suite, keyring())
    if not found:  # apt names no target before its first update
        run(["apt-get", "update"])
        found = translate(run(_TARGETS), here, suite, keyring())
    if not found:
        raise LabError(
            "no Debian mirror is known",
            expected=f"an apt source of this machine for {here} main",
            found="none in /etc/apt/sources.list and /etc/apt/sources.list.d",
        )
    return found


def transport_options(dump: str | None = None) -> list[str]:
    """Return this machine's apt settings for reaching a mirror, as mmdebstrap takes them."""
    dump = run(["apt-config", "dump"]) if dump is None else dump
    matches = (_TRANSPORT.match(line) for line in dump.splitlines())
    return [f'{match[1]} "{match[2]}";' for match in matches if match]


def mmdebstrap(suite: str, target: Path, packages: Sequence[str], *options: str) -> None:
    """Make a root file system as a tar archive."""
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
            suite,
            str(target),
            *sources(suite),
        ],
        remedy="check that `apt-get update` works on this machine",
    )
