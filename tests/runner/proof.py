# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `./dev demo` proves, from inside the wormholed container.

Each proof is a command for the container's shell and a judgement on what came of it. A refusal must also be refused
for the right reason: a server that is not there refuses everybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_URL = "${DOCKER_HOST#tcp://}"


@dataclass(frozen=True)
class Answer:
    """What came of a command."""

    status: int
    output: str


@dataclass(frozen=True)
class Proof:
    """A claim, the command that tests it, and what the answer must be for the claim to hold."""

    title: str
    command: str
    expected: str
    holds: Callable[[Answer], bool]


def _says(pattern: str) -> Callable[[Answer], bool]:
    """Succeeded and said so."""
    return lambda answer: answer.status == 0 and re.search(pattern, answer.output, re.MULTILINE) is not None


def _refused(pattern: str) -> Callable[[Answer], bool]:
    """Failed, for this reason."""
    return lambda answer: answer.status != 0 and re.search(pattern, answer.output) is not None


def _same_gateway(answer: Answer) -> bool:
    """DOCKER_HOST is the container's default gateway, and verification is on."""
    host = re.search(r"^DOCKER_HOST=tcp://([^:\s]+):\d+$", answer.output, re.MULTILINE)
    gateway = re.search(r"^default via (\S+)", answer.output, re.MULTILINE)
    verifies = re.search(r"^DOCKER_TLS_VERIFY=1$", answer.output, re.MULTILINE)
    return bool(host and gateway and verifies) and host[1] == gateway[1]  # type: ignore[index]


def _names_gateway(answer: Answer) -> bool:
    """The certificate verifies and has the address that the container uses as an IP address."""
    gateway = re.search(r"^gateway (\S+)$", answer.output, re.MULTILINE)
    return bool(gateway) and f"IP Address:{gateway[1]}" in answer.output  # type: ignore[index]


_WITH_IDENTITY = "--cert $DOCKER_CERT_PATH/cert.pem --key $DOCKER_CERT_PATH/key.pem"
_FOREIGN_IDENTITY = """
d=$(mktemp -d) && cd $d &&
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj '/CN=foreign CA' \
    -keyout ca.key -out ca.pem 2>/dev/null &&
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=intruder' \
    -keyout key.pem -out request.pem 2>/dev/null &&
printf 'extendedKeyUsage=clientAuth\\n' > extensions &&
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile extensions \
    -out cert.pem 2>/dev/null &&
"""


def proofs(engine_version: str, host: str) -> list[Proof]:
    """Return everything to prove about a wormhole to the engine of this version on this host."""
    return [
        Proof(
            "the gateway it found",
            "env | grep ^DOCKER_ | sort; ip route show default",
            "DOCKER_HOST at the container's default gateway, DOCKER_TLS_VERIFY=1",
            _same_gateway,
        ),
        Proof(
            "the server's subject alternative names",
            f"address={_URL}; echo gateway ${{address%:*}}; openssl s_client -connect $address "
            "-CAfile $DOCKER_CERT_PATH/ca.pem -verify_return_error -cert $DOCKER_CERT_PATH/cert.pem "
            "-key $DOCKER_CERT_PATH/key.pem </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
            "the gateway's IP address among them",
            _names_gateway,
        ),
        Proof(
            "the host's engine answers",
            "docker version && docker info --format 'Host: {{.Name}}'",
            f"version {engine_version} on {host}",
            _says(rf"(?s)Server:.*Version: +{re.escape(engine_version)}\n.*^Host: {re.escape(host)}$"),
        ),
        Proof(
            "an image built through the wormhole",
            "d=$(mktemp -d) && printf 'FROM wormhole-lab/busybox:1\\nRUN echo built by a wormhole > /proof\\n' "
            "> $d/Dockerfile && docker build --quiet --tag wormhole-demo/built $d",
            "the id of an image",
            _says(r"^sha256:[0-9a-f]{64}"),
        ),
        Proof(
            "a sibling started through it",
            "docker run --rm wormhole-demo/built cat /proof",
            "what the build wrote",
            _says(r"^built by a wormhole$"),
        ),
        Proof(
            "refused: plaintext",
            f"curl --silent --show-error --max-time 5 http://{_URL}/version",
            "the engine asks for TLS",
            # The answer is an HTTP error page, for curl a success.
            lambda answer: "Client sent an HTTP request to an HTTPS server" in answer.output,
        ),
        Proof(
            "refused: no client certificate",
            f"curl --silent --show-error --max-time 5 --cacert $DOCKER_CERT_PATH/ca.pem https://{_URL}/version",
            "a TLS alert: certificate required",
            # Docker 20.10 is built with a Go that says it in the older words.
            _refused(r"alert (certificate required|bad certificate)"),
        ),
        Proof(
            "refused: a certificate of a foreign CA",
            _FOREIGN_IDENTITY + "curl --silent --show-error --max-time 5 --cacert $DOCKER_CERT_PATH/ca.pem "
            f"--cert cert.pem --key key.pem https://{_URL}/version",
            "a TLS alert: unknown CA",
            _refused(r"alert (unknown ca|bad certificate)"),
        ),
        Proof(
            "and with its own certificate the same request is served",
            f"curl --silent --show-error --max-time 5 --cacert $DOCKER_CERT_PATH/ca.pem {_WITH_IDENTITY} "
            f"--output /dev/null --write-out '%{{http_code}}' https://{_URL}/version",
            "HTTP status 200",
            _says(r"^200$"),
        ),
    ]
