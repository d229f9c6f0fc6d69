# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every client verifies the engine, whatever the key type; and refuses what is not the engine's certificate."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from certificates import DAY, IDENTITIES, SERVER, reissue
from conftest import tell_state
from hosts import GATEWAY
from interoperability import (
    ATTEMPTS,
    EXPIRED,
    GATEWAY_6,
    IPV6_OVERLOOKED,
    REASONS,
    UNIDENTIFIED,
    UNNAMED,
    VERIFIED,
    WRONG_AUTHORITY,
    WRONG_NAME,
    WRONG_PURPOSE,
    Trial,
    prepare_clients,
    serve,
)
from lab import Host, HostSpec, Lab
from lab.spec import Release
from playbooks import Controller

pytestmark = pytest.mark.parametrize("release", [12, 13], scope="module")

PLAY = Path(__file__).parent / "plays/interoperability.yml"
CHAINS = {
    "ecdsa-p384": ("ecdsa-p384", "ecdsa-p384"),
    "rsa-3072": ("rsa-3072", "rsa-3072"),
    "rsa-4096": ("rsa-4096", "rsa-4096"),
    "ed25519": ("ed25519", "ed25519"),
    "ecdsa-p256 of rsa-4096": ("rsa-4096", "ecdsa-p256"),
    "ecdsa-p256": ("ecdsa-p256", "ecdsa-p256"),
}
"""Key types of an authority and of the certificates it issues. The last one stays, for what is refused."""

LAST = "ecdsa-p256"
IDENTITY = f"{IDENTITIES}/{LAST}"
NAMED = (GATEWAY, GATEWAY_6, "host.docker.internal")
"""What the engine's certificate names, and clients dial."""

SHORTCOMINGS = {f"node dials {GATEWAY_6}": IPV6_OVERLOOKED}
"""What a client cannot do, whatever the certificate.

Node.js compares no IPv6 address since its releases for CVE-2026-48618, of which Debian 13 has the change too:
https://github.com/nodejs/node/issues/64144. An entry goes when its client is mended: then the test fails.
"""

DIALLED = (GATEWAY, "host.docker.internal")
"""What they dial when they are to refuse."""

WRONG = "/etc/wormhole/wrong"
SERVED = {
    "another-host": WRONG_NAME,
    "expired": EXPIRED,
    "client-as-server": WRONG_PURPOSE,
    "unidentified": UNIDENTIFIED,
}
"""What the engine must not be taken for, and what is wrong with it."""

ORACLE = {
    f"-purpose sslserver -verify_ip {GATEWAY} {SERVER}/cert.pem": "OK",
    f"-purpose sslserver -verify_ip {GATEWAY_6} {SERVER}/cert.pem": "OK",
    f"-purpose sslserver -verify_ip 127.0.0.1 {SERVER}/cert.pem": "OK",
    f"-purpose sslserver -verify_ip ::1 {SERVER}/cert.pem": "OK",
    f"-purpose sslserver -verify_hostname host.docker.internal {SERVER}/cert.pem": "OK",
    f"-purpose sslserver -verify_ip 198.51.100.1 {SERVER}/cert.pem": "IP address mismatch",
    f"-purpose sslserver -verify_hostname {UNNAMED} {SERVER}/cert.pem": "hostname mismatch",
    f"-purpose sslclient {SERVER}/cert.pem": "unsuitable certificate purpose",
    "-purpose sslclient $1/cert.pem": "OK",
    "-purpose sslserver $1/cert.pem": "unsuitable certificate purpose",
}
"""What ``openssl verify`` says about the engine's certificate and about the client's, whose directory is $1."""

JUDGE = "\n".join(
    f"openssl verify -x509_strict -CAfile $1/ca.pem {options} 2>&1 | sed -n 's/.*: OK$/OK/p; s/.*lookup: //p'"
    for options in ORACLE
)

IDENTITIES_REFUSED = {
    "another-authority": "x509: certificate signed by unknown authority",
    "expired-client": "x509: certificate has expired or is not yet valid",
    "server-as-client": "x509: certificate specifies an incompatible key usage",
}
"""Certificates that the engine takes from no client, and its reason."""


def identity_of(chain: str) -> str:
    """The directory of a client's certificate."""
    return f"{IDENTITIES}/{chain}".replace(" ", "-")


@pytest.fixture(scope="module")
def trial(
    release: Release, lab: Lab, collections: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trial]:
    """A host on which every client has tried everything."""
    host = lab.fresh_host(HostSpec(release))
    try:
        prepare_clients(host, lab.paths)
        trial = Trial(host, host.run("docker version --format '{{.Server.Version}}'").stdout.strip())
        controller = Controller(lab, tmp_path_factory.mktemp("controller"), collections)
        try_chains(trial, controller)
        try_what_is_wrong(trial, controller.home / LAST)
    except Exception:
        tell_state(host)
        host.destroy()
        raise
    yield trial
    host.destroy()


def try_chains(trial: Trial, controller: Controller) -> None:
    """Have certificates issued and served by the collection, chain after chain, and let every client try."""
    variables = {
        "chains": [
            {"authority": authority, "leaf": leaf, "identity": identity_of(name)}
            for name, (authority, leaf) in CHAINS.items()
        ],
        "listener_addresses": [GATEWAY, GATEWAY_6],
        "attempts": ATTEMPTS,
        "addresses": [*NAMED, UNNAMED],
        "judge": JUDGE,
    }
    path = controller.home / "variables.json"
    path.write_text(json.dumps(variables))
    run = controller.playbook(str(PLAY), trial.host, "-e", f"@{path}")
    tried = [task.result["stdout"] for task in run.tasks if task.name == "Let every client try"]
    judged = [task.result["stdout_lines"] for task in run.tasks if task.name == "Let openssl judge"]
    for name, printed, lines in zip(CHAINS, tried, judged, strict=True):
        trial.record(name, printed)
        trial.judged[name] = lines


def try_what_is_wrong(trial: Trial, authority: Path) -> None:
    """Let every client try an engine that serves what it must not, and trust another authority than the engine's."""
    host = trial.host
    copies = {
        "right": SERVER,
        "expired": SERVER,
        "unidentified": SERVER,
        "trusts-another": IDENTITY,
        "another-authority": identity_of("ed25519"),
        "expired-client": IDENTITY,
        "server-as-client": SERVER,
    }
    host.run("; ".join(f"cp -a {source} {WRONG}/{name}" for name, source in copies.items()))
    host.run(f"cp -a {identity_of('ed25519')}/ca.pem {WRONG}/trusts-another/")
    host.run(f"cp -a {IDENTITY}/ca.pem {WRONG}/another-authority/")
    for name in ("expired", "expired-client"):
        reissue(host, f"{WRONG}/{name}", authority, begins=-2 * DAY, ends=-DAY)
    nameless = x509.AuthorityKeyIdentifier
    reissue(host, f"{WRONG}/unidentified", authority, begins=-DAY, ends=DAY, without=nameless)

    trial.run("trusts-another", f"{WRONG}/trusts-another", *DIALLED)
    for served in SERVED:
        serve(host, f"{WRONG}/{served}")
        trial.run(served, IDENTITY, *DIALLED)
    serve(host, f"{WRONG}/right")


def engines_reasons(host: Host, act: Callable[[], object]) -> list[str]:
    """Why the engine broke off handshakes meanwhile, as its log says."""
    log = "journalctl --sync; journalctl --unit docker.service --output cat"
    cursor = host.run(f"{log} --lines 0 --show-cursor").stdout.partition("cursor: ")[2].strip()
    act()
    lines = host.run(f"{log} --after-cursor {shlex.quote(cursor)}").stdout.splitlines()
    return [line for line in lines if "TLS handshake error" in line]


@pytest.mark.parametrize("chain", CHAINS)
def test_every_client_verifies_the_engine_by_its_addresses_and_its_name_but_by_no_other(
    release, trial, chain
):
    assert trial.verdicts[chain] == {
        **{f"{client} dials {address}": VERIFIED for client in REASONS for address in NAMED},
        **{f"{client} dials {UNNAMED}": WRONG_NAME for client in REASONS},
        **SHORTCOMINGS,
    }


@pytest.mark.parametrize("served", SERVED)
def test_every_client_refuses_what_is_not_the_engines_certificate_and_says_why(release, trial, served):
    reason = SERVED[served]
    assert trial.verdicts[served] == {
        f"{client} dials {address}": reason if reason in known else VERIFIED
        for client, known in REASONS.items()
        for address in DIALLED
    }


def test_every_client_refuses_an_engine_of_an_authority_that_is_not_its_own(release, trial):
    assert trial.verdicts["trusts-another"] == {
        f"{client} dials {address}": WRONG_AUTHORITY for client in REASONS for address in DIALLED
    }


@pytest.mark.parametrize("chain", CHAINS)
def test_openssl_judges_what_is_issued_as_it_is_meant(release, trial, chain):
    assert dict(zip(ORACLE, trial.judged[chain], strict=True)) == ORACLE


@pytest.mark.parametrize("identity", IDENTITIES_REFUSED)
def test_the_engine_refuses_whoever_has_no_clients_certificate_of_its_authority(release, trial, identity):
    reasons = engines_reasons(trial.host, lambda: trial.run(identity, f"{WRONG}/{identity}", GATEWAY))
    assert len(reasons) >= len(REASONS)
    assert [reason for reason in reasons if IDENTITIES_REFUSED[identity] not in reason] == []
    assert trial.verdicts[identity].keys() == {f"{client} dials {GATEWAY}" for client in REASONS}
    assert VERIFIED not in trial.verdicts[identity].values()


def test_the_engine_refuses_whoever_has_no_certificate(release, trial):
    command = f"docker exec clients curl -sS --cacert {IDENTITY}/ca.pem https://{GATEWAY}:2376/version"
    answers = []
    (reason,) = engines_reasons(trial.host, lambda: answers.append(trial.host.run(command, check=False)))
    assert reason.endswith("tls: client didn't provide a certificate")
    assert answers[0].returncode != 0
    assert "alert" in answers[0].stderr
