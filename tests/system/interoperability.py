# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs real TLS clients in a container against its host's engine, and judges their messages."""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certificates import SERVER
from lab import Host, client_image
from lab.paths import LabPaths

CLIENTS = Path(__file__).parent / "clients"
GATEWAY_6 = "fd77:7:7::1"
"""The IPv6 gateway of the container's network."""

UNNAMED = "unnamed.example"
"""A name of the host, which no certificate contains."""

ATTEMPTS = ["docker", "exec", "clients", "python3", "/clients/attempts.py"]
"""Runs the clients.

Arguments: a directory of certificates, with the same path in the container, and addresses.
"""

VERIFIED = "verified"
WRONG_NAME = "has other names"
EXPIRED = "has expired"
WRONG_PURPOSE = "is not for a server"
WRONG_AUTHORITY = "is issued by an unknown authority"
UNIDENTIFIED = "has no authority key identifier"
IPV6_OVERLOOKED = "names this IPv6 address in vain"

REASONS = {
    "curl": {
        WRONG_NAME: "no alternative certificate subject name matches target",
        EXPIRED: "certificate has expired",
        WRONG_PURPOSE: "unsuitable certificate purpose",
        WRONG_AUTHORITY: "unable to get local issuer certificate",
    },
    "docker-cli": {
        WRONG_NAME: "x509: certificate is valid for .*, not ",
        EXPIRED: "x509: certificate has expired",
        WRONG_PURPOSE: "x509: certificate specifies an incompatible key usage",
        WRONG_AUTHORITY: "x509: certificate signed by unknown authority",
    },
    "docker-sdk": {
        WRONG_NAME: "(Hostname|IP address) mismatch, certificate is not valid for",
        EXPIRED: "certificate has expired",
        WRONG_PURPOSE: "unsuitable certificate purpose",
        WRONG_AUTHORITY: "unable to get local issuer certificate",
        UNIDENTIFIED: "Missing Authority Key Identifier",
    },
    "gnutls": {
        WRONG_NAME: "The name in the certificate does not match the expected",
        EXPIRED: "The certificate chain uses expired certificate",
        WRONG_PURPOSE: "The certificate chain does not match the intended purpose",
        WRONG_AUTHORITY: "The certificate issuer is unknown",
    },
    "java": {
        WRONG_NAME: "No subject alternative (DNS name|names) matching",
        EXPIRED: "CertificateExpiredException",
        WRONG_PURPOSE: "Extended key usage does not permit use for TLS server authentication",
        WRONG_AUTHORITY: "Path does not chain with any of the trust anchors",
    },
    "node": {
        WRONG_NAME: "ERR_TLS_CERT_ALTNAME_INVALID: .*(IP: [0-9.]+ is not in the cert's list|Host: [a-z.-]+ is not)",
        IPV6_OVERLOOKED: f"Host: {GATEWAY_6}. is not in the cert's altnames: .*IP Address:FD77:7:7:0:0:0:0:1(, URI:\\S+)?$",
        EXPIRED: "CERT_HAS_EXPIRED",
        WRONG_PURPOSE: "INVALID_PURPOSE",
        WRONG_AUTHORITY: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    },
    "openssl": {
        WRONG_NAME: "verify error:num=(62:hostname|64:IP address) mismatch",
        EXPIRED: "verify error:num=10:certificate has expired",
        WRONG_PURPOSE: "verify error:num=26:unsuitable certificate purpose",
        WRONG_AUTHORITY: "verify error:num=20:unable to get local issuer certificate",
        UNIDENTIFIED: "verify error:num=85:Missing Authority Key Identifier",
    },
}
"""Clients' messages on rejected server certificates. A client without a message does not check."""

_JAVA = "/usr/lib/jvm/default-java/bin/java"
_VERSIONS = f"""
    curl --version; docker --version; gnutls-cli --version | head -n 1; {_JAVA} --version; node --version
    openssl version; python3 --version; python3 -c 'import docker; print("docker SDK", docker.__version__)'
"""


@dataclass
class Trial:
    """A host, and the results of the clients on it.

    Attributes:
        host: host of the container with the clients.
        engine: its engine's version.
        verdicts: result of each attempt by title, see :func:`verdict`.
        judged: output of ``openssl verify``, by the same titles.
    """

    host: Host
    engine: str
    verdicts: dict[str, dict[str, str]] = field(default_factory=dict)
    judged: dict[str, list[str]] = field(default_factory=dict)

    def run(self, title: str, certificates: str, *addresses: str) -> None:
        """Connect every client to every address."""
        self.record(title, self.host.run([*ATTEMPTS, certificates, *addresses]).stdout)

    def record(self, title: str, printed: str) -> None:
        """Parse the output of :data:`ATTEMPTS`."""
        self.verdicts[title] = {
            f"{attempt['client']} dials {attempt['address']}": verdict(attempt, self.engine)
            for attempt in json.loads(printed)
        }


def verdict(attempt: dict[str, Any], engine: str) -> str:
    """Return `VERIFIED`, the client's reasons for rejecting the engine, or its status and output.

    `VERIFIED` requires the version of this engine in the output.
    """
    if attempt["status"] == 0 and f'"Version":"{engine}"' in attempt["stdout"]:
        return VERIFIED
    known = REASONS[attempt["client"]].items()
    given = [reason for reason, words in known if re.search(words, attempt["stderr"])]
    if attempt["status"] != 0 and given:
        return " and ".join(given)
    return f"status {attempt['status']}: {attempt['stderr']}{attempt['stdout']}"


def prepare_clients(host: Host, paths: LabPaths) -> None:
    """Start the container that all clients run in. It keeps running when the engine restarts."""
    host.write("/etc/docker/daemon.json", json.dumps({"live-restore": True}))
    host.run("systemctl restart docker.service")
    # Containers, and so the lab's hosts, start without IPv6. A host needs it on lo to reach its own
    # addresses.
    host.run("sysctl --write net.ipv6.conf.lo.disable_ipv6=0")
    with client_image.ensure_archive(paths, print).open("rb") as archive:
        subprocess.run(host.ssh_argv("docker", "load"), stdin=archive, check=True, timeout=300)
    for program in CLIENTS.iterdir():
        host.write(f"/srv/clients/{program.name}", program.read_text(), 0o755)
    network = f"--ipv6 --subnet {ipaddress.ip_network(GATEWAY_6 + '/64', strict=False)} clients"
    host.run(f"docker network create {network}")
    host.run(
        "docker run --detach --name clients --network clients "
        f"--add-host host.docker.internal:host-gateway --add-host {UNNAMED}:host-gateway "
        f"--volume /srv/clients:/clients:ro --volume /etc/wormhole:/etc/wormhole:ro {client_image.IMAGE}"
    )
    compiler = f"{_JAVA} -m jdk.compiler/com.sun.tools.javac.Main -d /tmp /clients/JavaClient.java"
    host.run(f"docker exec clients {compiler}")
    print(host.run(["docker", "exec", "clients", "sh", "-c", _VERSIONS]).stdout)


def serve(host: Host, directory: str) -> None:
    """Make the engine serve another certificate and key, without the collection."""
    host.run(f"cp -p {directory}/cert.pem {directory}/key.pem {SERVER}/")
    host.run("systemctl reset-failed docker.service; systemctl restart docker.service")
