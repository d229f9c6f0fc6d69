# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client inside a wormhole that sends requests without a pause, to see what it notices of a
change.

::

    client = ContinuousClient(host)
    playbook("provision", host)
    client.stop().check()

Two programs send requests to the engine as fast as they can, one after the other: curl (OpenSSL)
and the Docker CLI (Go). For each request, they open a new connection and read the identity's files
again. Both verify the engine and present the identity's certificate. The container must survive a
restart of the engine: write `LIVE_RESTORE` to daemon.json.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hosts import inside

LIVE_RESTORE = '{"live-restore": true}'
"""A daemon.json that keeps the client running while the engine restarts."""

PROGRAMS = ("curl", "docker")
REQUEST_SECONDS = 30
"""Timeout of a request in seconds."""

OK, VERIFICATION, REFUSED, CUT, OTHER = "ok", "verification", "refused", "cut", "other"

_FOLDER = "/tmp/continuous"

# Writes one line for each request: start and end (seconds since boot), program, exit status,
# output. `read` and `set` are built in, so no process is started between two requests.
_SCRIPT = f"""
program=$1
set -f
ask() {{
    case $program in
        curl) curl -sS --fail --max-time {REQUEST_SECONDS} -o /dev/null --cacert "$DOCKER_CERT_PATH/ca.pem" \
            --cert "$DOCKER_CERT_PATH/cert.pem" --key "$DOCKER_CERT_PATH/key.pem" "https://${{DOCKER_HOST#tcp://}}/_ping" ;;
        docker) timeout {REQUEST_SECONDS} docker version --format ok >/dev/null ;;
    esac
}}
while [ ! -e {_FOLDER}/stop ]; do
    read -r began _ </proc/uptime
    said=$(ask 2>&1)
    code=$?
    read -r ended _ </proc/uptime
    set -- $said
    echo "$began $ended $program $code $*" >>{_FOLDER}/$program.log
done
touch {_FOLDER}/$program.ended
"""

# Errors on certificates and keys, from OpenSSL as curl reports them and from Go's crypto/tls: the
# peer's certificate is invalid, the peer rejects the own one (an alert), or the own files do not
# match.
_ABOUT_CERTIFICATES = re.compile(
    r"x509|tls:|alert|certificate|private key|PEM|SSL routines|ca\.pem|Failed to initialize", re.IGNORECASE
)
# The last one: the Docker CLI asks for the engine's version first. If that request is cut and the
# next one is not, it has not learnt that the engine is older.
_CUT = re.compile(
    r"reset by peer|\bEOF\b|unexpected eof|broken pipe|Empty reply|client version \S+ is too new",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"refused|Couldn't connect|Could not connect|Cannot connect", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """A request, or the attempt at one.

    Attributes:
        began, ended: seconds since the host's boot.
        program: one of `PROGRAMS`.
        outcome: OK, VERIFICATION (either side rejected a certificate or key), REFUSED (nothing
            listened), CUT (the connection ended before the response) or OTHER.
        said: output of the program; empty after a success.
    """

    began: float
    ended: float
    program: str
    outcome: str
    said: str


@dataclass(frozen=True)
class Observation:
    """The results of the client from its start to its end.

    Attributes:
        requests: all requests, ordered by their start.
        rejections: the engine's messages on failed handshakes of the client, except for closed
            connections. A client whose connection is reset may not receive the engine's alert.
    """

    requests: tuple[Request, ...]
    rejections: tuple[str, ...]

    def count(self, outcome: str, program: str | None = None) -> int:
        """Return the number of requests with this outcome, of one program or of both."""
        return sum(
            request.outcome == outcome and program in (None, request.program) for request in self.requests
        )

    @property
    def verification_failures(self) -> list[str]:
        """The errors on rejected certificates and keys, on either side."""
        return [request.said for request in self.requests if request.outcome == VERIFICATION] + list(
            self.rejections
        )

    @property
    def longest(self) -> float:
        """Duration of the slowest request in seconds."""
        return max(request.ended - request.began for request in self.requests)

    def __str__(self) -> str:
        counts = Counter(f"{request.program} {request.outcome}" for request in self.requests)
        counts["rejected by the engine"] = len(self.rejections)
        numbers = ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
        said = {f"{request.outcome}: {request.said}" for request in self.requests if request.said}
        said |= {f"rejected: {text}" for text in self.rejections}
        return "\n  ".join([f"{numbers}; longest {self.longest:.2f} s", *sorted(said)[:10]])

    def check(self, *, cuts: int = 1, requests: int = 20) -> None:
        """Fail the test unless every request was served by a verified engine that accepted the
        client.

        Args:
            cuts: number of requests of each program that may lose their connection. A program sends
                one request at a time, so a restart of the engine interrupts at most one.
            requests: number of requests of each program that must have succeeded.
        """
        print(f"continuous client: {self}")
        assert self.verification_failures == [], str(self)
        assert self.count(REFUSED) == 0, str(self)
        assert self.count(OTHER) == 0, str(self)
        for program in PROGRAMS:
            assert self.count(CUT, program) <= cuts, str(self)
            assert self.count(OK, program) >= requests, str(self)


class ContinuousClient:
    """Sends requests, from its creation until `stop`, inside a wormhole with curl and the Docker
    CLI.

    Args:
        host: where the container runs, with live-restore.
        container: a running wormhole with the transport tls, and a writable /tmp.
    """

    def __init__(self, host: Any, container: str = "agent") -> None:
        self._host = host
        self._container = container
        self._address = host.run(
            f"docker inspect -f '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}}' {container}"
        ).stdout.strip()
        self._cursor = host.run("journalctl -n 0 --show-cursor -q").stdout.strip().removeprefix("-- cursor: ")
        self._inside(f"rm -rf {_FOLDER}; mkdir {_FOLDER}; cat >{_FOLDER}/ask", _SCRIPT)
        for program in PROGRAMS:
            host.run(f"docker exec -d {container} sh {_FOLDER}/ask {program}")
        self.wait_for_requests()

    def wait_for_requests(self, number: int = 5) -> None:
        """Wait until each program has made this number of further requests, successful or not."""
        waiting = "; ".join(
            f"f={_FOLDER}/{program}.log; touch $f; n=$(($(wc -l <$f) + {number})); "
            "while [ $(wc -l <$f) -lt $n ]; do sleep 0.1; done"
            for program in PROGRAMS
        )
        self._inside(f"timeout 60 sh -c '{waiting}'")

    def stop(self) -> Observation:
        """Stop the client after a few more requests, and return the results."""
        self.wait_for_requests()
        ended = " ".join(f"-a -e {_FOLDER}/{program}.ended" for program in PROGRAMS)
        # If the container was restarted, its programs have ended, and this fails after a timeout.
        self._inside(
            f"touch {_FOLDER}/stop; timeout {REQUEST_SECONDS + 10} sh -c 'until [ -e {_FOLDER}/stop {ended} ]; do sleep 0.1; done'"
        )
        lines = inside(self._host, f"cat {_FOLDER}/*.log", container=self._container).stdout.splitlines()
        requests = sorted((read_request(line) for line in lines), key=lambda request: request.began)
        return Observation(tuple(requests), tuple(self._rejections(requests)))

    def _inside(self, command: str, text: str = "") -> None:
        quoted = command.replace("'", "'\\''")
        self._host.run(f"docker exec -i {self._container} sh -c '{quoted}'", input=text)

    def _rejections(self, requests: Sequence[Request]) -> Iterator[str]:
        """Return the engine's messages on handshakes with this container.

        A playbook that verifies the wormhole from inside also connects without a certificate. This
        client only does so if Go finds that none of the authorities that the engine names has
        issued its certificate, and that request fails.
        """
        journal = self._host.run(
            f"journalctl -q -o json --output-fields=MESSAGE -u docker.service --after-cursor '{self._cursor}'"
        ).stdout
        for entry in map(json.loads, journal.splitlines()):
            said = re.search(
                rf"TLS handshake error from {re.escape(self._address)}:\d+: (.*)", str(entry["MESSAGE"])
            )
            if not said or _CUT.search(said[1]):
                continue
            moment = int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
            if "provide a certificate" not in said[1] or any(
                request.outcome != OK and request.began - 0.1 <= moment <= request.ended + 0.1
                for request in requests
            ):
                yield said[1]


def read_request(line: str) -> Request:
    """Parse a line of the log."""
    began, ended, program, code, *said = line.split(" ", 4)
    text = " ".join(said).strip()
    return Request(float(began), float(ended), program, judge(int(code), text), text)


def judge(code: int, said: str) -> str:
    """Return the outcome of a request by exit status and output."""
    if code == 0:
        return OK
    for outcome, pattern in ((CUT, _CUT), (VERIFICATION, _ABOUT_CERTIFICATES), (REFUSED, _REFUSED)):
        if pattern.search(said):
            return outcome
    return OTHER
