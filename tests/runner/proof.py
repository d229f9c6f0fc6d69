# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of `./dev demo`, run inside the container.

Each check is a command for the container's shell, and a function that judges its status and output.
If a connection must be rejected, the reason is checked as well: a server that does not run rejects
every connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_URL = "${DOCKER_HOST#tcp://}"


@dataclass(frozen=True)
class Answer:
    """Exit status and output of a command."""

    status: int
    output: str


@dataclass(frozen=True)
class Proof:
    """A check: title, command, expected result in words, and a function that judges the answer."""

    title: str
    command: str
    expected: str
    holds: Callable[[Answer], bool]


def _prints(pattern: str) -> Callable[[Answer], bool]:
    """Expect success, and output that matches a pattern."""
    return lambda answer: answer.status == 0 and re.search(pattern, answer.output, re.MULTILINE) is not None


def _refused(pattern: str) -> Callable[[Answer], bool]:
    """Expect failure, and output that matches a pattern."""
    return lambda answer: answer.status != 0 and re.search(pattern, answer.output) is not None


def _same_gateway(answer: Answer) -> bool:
    """Check that DOCKER_HOST is the container's default gateway, and TLS verification is on."""
    host = re.search(r"^DOCKER_HOST=tcp://([^:\s]+):\d+$", answer.output, re.MULTILINE)
    gateway = re.search(r"^default via (\S+)", answer.output, re.MULTILINE)
    verifies = re.search(r"^DOCKER_TLS_VERIFY=1$", answer.output, re.MULTILINE)
    return bool(host and gateway and verifies) and host[1] == gateway[1]  # type: ignore[index]


def _names_gateway(answer: Answer) -> bool:
    """Check that the certificate names the gateway as an IP address."""
    gateway = re.search(r"^gateway (\S+)$", answer.output, re.MULTILINE)
    return bool(gateway) and f"IP Address:{gateway[1]}" in answer.output  # type: ignore[index]


_WITH_IDENTITY = "--cert $DOCKER_CERT_PATH/cert.pem --key $DOCKER_CERT_PATH/key.pem"
_UNKNOWN_IDENTITY = """
d=$(mktemp -d) && cd $d &&
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj '/CN=unknown CA' \
    -keyout ca.key -out ca.pem 2>/dev/null &&
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=intruder' \
    -keyout key.pem -out request.pem 2>/dev/null &&
printf 'extendedKeyUsage=clientAuth\\n' > extensions &&
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile extensions \
    -out cert.pem 2>/dev/null &&
"""


# Long because it is one table: the checks in the order in which the demo prints them.
def proofs(engine_version: str, host: str) -> list[Proof]:
    """Return the checks of a wormhole that connects to an engine of this version on this host."""
    return [
        Proof(
            "DOCKER_HOST is the gateway",
            "env | grep ^DOCKER_ | sort; ip route show default",
            "DOCKER_HOST at the container's default gateway, DOCKER_TLS_VERIFY=1",
            _same_gateway,
        ),
        Proof(
            "the server's certificate names the gateway",
            f"address={_URL}; echo gateway ${{address%:*}}; openssl s_client -connect $address "
            "-CAfile $DOCKER_CERT_PATH/ca.pem -verify_return_error -cert $DOCKER_CERT_PATH/cert.pem "
            "-key $DOCKER_CERT_PATH/key.pem </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
            "a subject alternative name with the gateway's IP address",
            _names_gateway,
        ),
        Proof(
            "the host's engine answers",
            "docker version && docker info --format 'Host: {{.Name}}'",
            f"version {engine_version} on {host}",
            _prints(rf"(?s)Server:.*Version: +{re.escape(engine_version)}\n.*^Host: {re.escape(host)}$"),
        ),
        Proof(
            "an image is built through the wormhole",
            "d=$(mktemp -d) && printf 'FROM wormhole-lab/busybox:1\\nRUN echo built by a wormhole > /proof\\n' "
            "> $d/Dockerfile && docker build --quiet --tag wormhole-demo/built $d",
            "the ID of an image",
            _prints(r"^sha256:[0-9a-f]{64}"),
        ),
        Proof(
            "a sibling is started through the wormhole",
            "docker run --rm wormhole-demo/built cat /proof",
            "the text that the build wrote",
            _prints(r"^built by a wormhole$"),
        ),
        Proof(
            "rejected: a connection without TLS",
            f"curl --silent --show-error --max-time 5 http://{_URL}/version",
            "an answer that the engine expects TLS",
            # The answer is an HTTP error page, which curl does not treat as a failure.
            lambda answer: "Client sent an HTTP request to an HTTPS server" in answer.output,
        ),
        Proof(
            "rejected: a connection without a client certificate",
            f"curl --silent --show-error --max-time 5 --cacert $DOCKER_CERT_PATH/ca.pem https://{_URL}/version",
            "a TLS alert: certificate required",
            # The Go version of Docker 20.10 uses the older wording.
            _refused(r"alert (certificate required|bad certificate)"),
        ),
        Proof(
            "rejected: a client certificate of an unknown CA",
            _UNKNOWN_IDENTITY + "curl --silent --show-error --max-time 5 --cacert $DOCKER_CERT_PATH/ca.pem "
            f"--cert cert.pem --key key.pem https://{_URL}/version",
            "a TLS alert: unknown CA",
            _refused(r"alert (unknown ca|bad certificate)"),
        ),
        Proof(
            "accepted: the same request with the wormhole's certificate",
            f"curl --silent --show-error --max-time 5 --cacert $DOCKER_CERT_PATH/ca.pem {_WITH_IDENTITY} "
            f"--output /dev/null --write-out '%{{http_code}}' https://{_URL}/version",
            "HTTP status 200",
            _prints(r"^200$"),
        ),
    ]
