# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Creates unusual certificates, and observes certificates and their files on a host."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

SERVER = "/etc/wormhole/server"
IDENTITIES = "/etc/wormhole/identities"

DAY = datetime.timedelta(days=1)

_PLAN = "wormhole.docker.certificates : Plan the certificates"
"""A task that only predicts. The task that issues the certificates gives the same reasons."""


def reissue(
    host: Any,
    directory: str,
    authority: Path,
    *,
    begins: datetime.timedelta,
    ends: datetime.timedelta,
    without: type[x509.ExtensionType] | None = None,
) -> None:
    """Replace a certificate with one that differs in its validity, its serial number and,
    optionally, an extension.

    Args:
        host: host of the certificate.
        directory: directory of its cert.pem, which keeps owner and mode.
        authority: directory, on the controller, of the signing authority, with an ECDSA P-256 key.
        begins: start of the validity, relative to now.
        ends: end of the validity, relative to now.
        without: extension to leave out.
    """
    former = read_certificate(host, directory)
    issuer_key: Any = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(former.subject)
        .issuer_name(former.issuer)
        .public_key(former.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
    for extension in former.extensions:
        if without is None or extension.oid != without.oid:
            builder = builder.add_extension(extension.value, extension.critical)
    crafted = builder.sign(issuer_key, hashes.SHA256())
    # Replace it atomically, as a run does: a client reads either the old one or the new one.
    host.run(
        f"cd {directory} && cp -p cert.pem /etc/wormhole/.crafted && cat >/etc/wormhole/.crafted && "
        "mv /etc/wormhole/.crafted cert.pem",
        input=crafted.public_bytes(serialization.Encoding.PEM).decode(),
    )


def read_certificate(host: Any, directory: str) -> x509.Certificate:
    """Return a host's certificate."""
    return x509.load_pem_x509_certificate(host.read(f"{directory}/cert.pem").encode())


def contents(host: Any) -> dict[str, str]:
    """Return owner, mode, mtime and digest of each wormhole and engine configuration file.

    The keys are paths.
    """
    script = r"""
        find /etc/wormhole /etc/docker /etc/systemd/system -type f -printf '%U:%G %m %T@ %p\n' |
            while read -r owner mode time path; do
                set -- $(sha256sum "$path"); echo "$path $owner $mode $time $1"; done
    """
    return dict(line.split(" ", 1) for line in host.run(script).stdout.splitlines())


def differing(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the paths of added, removed and changed files."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


LAUNCHING = ("wormhole.docker.wormhole_container", "wormhole.docker.wormhole_containers")


def reasons(run: Any, action: str = "wormhole.docker.tls_certificates") -> list[tuple[str, str, str]]:
    """Return the reasons of the run's tasks with this action, except for plans: code, subject, text.

    The reasons of tls_certificates include those of wormholes on identities.
    """
    done = [task for task in run.parts if task.name != _PLAN]
    found = [reason for task in done if task.action == action for reason in told(task)]
    if action == "wormhole.docker.tls_certificates":
        launched = [task for task in done if task.action in LAUNCHING]
        of_identities = [reason for task in launched for reason in told(task)]
        found += [
            {**reason, "code": reason["code"].partition("_")[2]}
            for reason in of_identities
            if reason["code"].startswith("identity_")
        ]
    return [(reason["code"], reason["subject"], reason["text"]) for reason in found]


def told(task: Any) -> list[dict[str, str]]:
    """Return the reasons of a task, or of all items of its loop."""
    results = task.items or [task.result]
    return [reason for result in results for reason in result.get("reasons", [])]
