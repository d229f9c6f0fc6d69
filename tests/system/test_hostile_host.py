# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host whose Python interpreter answers what it likes gets nothing signed but what its inventory has.

The table of what it tries is :data:`ATTEMPTS`. Each run prints its rows with the result. More is tried
in ``tests/unit/plugins/action/test_hostile_host.py``, which lists it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certificates import IDENTITIES, SERVER
from hosts import WORMHOLE, inside
from lab.spec import RELEASES, other_release

PLAYS = Path(__file__).parent / "plays"
HOST, SINGLE_ROLES = str(PLAYS / "host.yml"), str(PLAYS / "single_roles.yml")
INTERPRETER = "/usr/local/bin/hostile-python3"
PLACE = "/var/tmp/hostile"
ASK = "docker version --format '{{.Server.Os}}'"

PROGRAM = f"""\
#!/usr/bin/python3
# Runs a module, keeps what was sent, and answers what {PLACE}/answer says.
import json, os, subprocess, sys

sent = sys.stdin.buffer.read()
with open("{PLACE}/sent", "ab") as file:
    file.write(sent)
with open("{PLACE}/answer") as file:
    rule = json.load(file)
done = subprocess.run(["/usr/bin/python3", *sys.argv[1:]], input=sent, stdout=subprocess.PIPE)
try:
    answer = json.loads(done.stdout)
except ValueError:
    # Not a module
    sys.stdout.buffer.write(done.stdout)
    sys.exit(done.returncode)
if rule["instead"]:
    answer = {{}}
for name, value in rule["answer"].items():
    if isinstance(value, dict) and isinstance(answer.get(name), dict):
        answer[name].update(value)
    else:
        answer[name] = value
print(json.dumps(answer))
"""

ROOT = f"{IDENTITIES}/root"
OWN = f"{IDENTITIES}/agent"
PLAIN = {**WORMHOLE, "name": "plain", "transport": "unix"}
CHOSEN = {"name": ROOT, "profile": "client", "directory": ROOT, "common_name": "root"}
FACTS = {
    "wormholes_containers": [{**WORMHOLE, "name": "root"}],
    "listener_subject_alternative_names": ["DNS:ci2.example"],
    "certificate_authority_directory": "/root/elsewhere",
}
ALLOWED = {
    ("agent", (), x509.ExtendedKeyUsageOID.CLIENT_AUTH),
    ("dockerd", ("host.docker.internal", "localhost"), x509.ExtendedKeyUsageOID.SERVER_AUTH),
}
"""What the inventory entry of the host asks for: common name, DNS names and usage."""


def make_request() -> str:
    """Return a request for a key of the host's choice."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    names = x509.SubjectAlternativeName([x509.DNSName("ci2.example")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(names, critical=False)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


REQUEST = make_request()


@dataclass(frozen=True)
class Attempt:
    """What a host tries once.

    Attributes:
        play: the playbook.
        answer: what it adds to the answer of each module. PAIR stands for its own server certificate
            with a request for another key.
        said: part of the message of the failed run; empty if the run succeeds.
        arguments: of the playbook.
        instead: whether it does not run the modules.
        signed: whether its own certificates may be signed.
        variables: of the inventory entry.
    """

    play: str
    answer: dict[str, Any]
    said: str = ""
    arguments: tuple[str, ...] = ()
    instead: bool = True
    signed: bool = False
    variables: dict[str, Any] = field(default_factory=dict)


PAIR = "PAIR"
GATEWAYS = [{"name": name} for name in ("IP:172.17.0.1", "DNS:host.docker.internal", "DNS:localhost")]
WANTS = {"changed": True, "requests": {"dockerd": REQUEST}, "gateways": GATEWAYS}
ATTEMPTS = {
    "an identity that is not listed": Attempt(
        "launch",
        {"changed": True, "requests": {ROOT: REQUEST}, "certificates": [CHOSEN]},
        "requests certificates that the task does not issue",
    ),
    "another identity beside its own": Attempt(
        "launch",
        {"changed": True, "requests": {OWN: REQUEST, ROOT: REQUEST}},
        "requests certificates that the task does not issue",
    ),
    "an identity for a wormhole without TLS": Attempt(
        "launch",
        {"requests": {ROOT: REQUEST, OWN: REQUEST}, "certificates": [CHOSEN]},
        instead=False,
        variables={"wormholes_containers": [PLAIN]},
    ),
    "a server's certificate with the name of another host": Attempt(
        HOST,
        {**WANTS, "gateways": [{"name": "DNS:ci2.example", "origin": "gateway of network ci"}]},
        "neither private nor loopback: DNS:ci2.example",
    ),
    "the same for single roles": Attempt(
        SINGLE_ROLES,
        {"subject_alternative_names": [{"name": "IP:192.0.2.7", "origin": "gateway of network ci"}]},
        "neither private nor loopback: IP:192.0.2.7",
        instead=False,
    ),
    "its own for a key of its choice": Attempt(
        HOST, {**WANTS, "certificates": [CHOSEN], "sections": []}, "", (), signed=True
    ),
    "its own, whatever it requests the second time": Attempt(
        HOST,
        {"requests": {"dockerd": REQUEST, OWN: REQUEST}, "gateways": GATEWAYS},
        "",
        instead=False,
        signed=True,
    ),
    "its own in check mode": Attempt(HOST, WANTS, "issues none", ("--check",)),
    "something malformed": Attempt(
        HOST, {"changed": True, "requests": {"dockerd": [REQUEST]}}, "gave a malformed answer"
    ),
    "other variables, by facts in the answers of modules": Attempt(
        SINGLE_ROLES, {"ansible_facts": FACTS}, instead=False, signed=True
    ),
    "other variables, by facts that Ansible gathers": Attempt(
        "gathering", {"ansible_facts": FACTS}, "facts with the names of variables", instead=False
    ),
    "a certificate in a step of a rotation that issues none": Attempt(
        "rotate",
        {"changed": True, "requests": {SERVER: PAIR}},
        "step trust issues no certificates",
        ("--tags", "trust"),
    ),
    "a server's certificate for another key, in a rotation": Attempt(
        "rotate",
        {"changed": True, "requests": {SERVER: PAIR}},
        "another key",
        ("--tags", "reissue"),
    ),
    "certificates outside of the directories of a rotation": Attempt(
        "rotate",
        {"changed": True, "requests": {"/root/elsewhere": PAIR}},
        "not in or below the directories of the task",
        ("--tags", "reissue"),
    ),
}
"""What the host tries."""


def sent_certificates(host):
    """Return the certificates of servers and clients that the controller has sent to the host."""
    found = []
    for text in re.findall(
        r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", host.read(f"{PLACE}/sent"), re.DOTALL
    ):
        certificate = x509.load_pem_x509_certificate(re.sub(r"\\+n", "\n", text).encode())
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            found.append(certificate)
    return found


def describe(certificate):
    """Return a certificate as an element of ALLOWED. Its addresses have to be local ones."""
    (usage,) = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    names: tuple[str, ...] = ()
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    else:
        names = tuple(alternative.get_values_for_type(x509.DNSName))
        assert all(address.is_private for address in alternative.get_values_for_type(x509.IPAddress))
    return name.value, names, usage


def answer(host, rule):
    """Make the host answer so from now on, and forget what was sent to it."""
    pair = {"certificate": host.read(f"{SERVER}/cert.pem"), "request": REQUEST} if rule["instead"] else {}
    text = json.dumps(rule).replace(json.dumps(PAIR), json.dumps(pair))
    host.write(f"{PLACE}/answer", text)
    host.write(f"{PLACE}/sent", "")


@pytest.mark.parametrize("where", ["controller", "elsewhere"])
@pytest.mark.parametrize("release", RELEASES)
def test_a_host_that_answers_freely_gets_nothing_signed_but_its_own(
    release, where, fresh_hosts, controller, tmp_path
):
    hosts = fresh_hosts(release, other_release(release)) if where == "elsewhere" else fresh_hosts(release)
    host = hosts[0]
    variables: dict[str, Any] = {
        "wormholes_containers": [WORMHOLE],
        "ansible_python_interpreter": INTERPRETER,
    }
    if where == "elsewhere":
        variables["certificate_authority_host"] = hosts[1].name
        variables["certificate_authority_directory"] = "/srv/pki/engines"
    gathering = tmp_path / "gathering.json"
    role = {"ansible.builtin.import_role": {"name": "wormhole.docker.host"}}
    gathering.write_text(
        json.dumps([{"hosts": "all", "gather_facts": True, "become": True, "tasks": [role]}])
    )

    def run(attempt):
        answer(host, {"instead": attempt.instead, "answer": attempt.answer})
        controller.variables = {host.name: {**variables, **attempt.variables}}
        play = str(gathering) if attempt.play == "gathering" else attempt.play
        return controller.playbook(play, hosts, "--limit", host.name, *attempt.arguments, check=False)

    host.run(f"mkdir -m 0700 {PLACE}")
    host.write(INTERPRETER, PROGRAM, 0o755)
    honest = run(Attempt(HOST, {}, instead=False))
    assert honest.failures == 0, honest.message
    assert {describe(certificate) for certificate in sent_certificates(host)} == ALLOWED
    assert inside(host, ASK).stdout.strip() == "linux"

    for title, attempt in ATTEMPTS.items():
        done = run(attempt)
        signed = [describe(certificate) for certificate in sent_certificates(host)]
        told = done.message.partition("\n")[0]
        print(f"| {where} | {title} | {', '.join(name for name, *_rest in signed) or 'nothing'} | {told} |")
        assert set(signed) <= (ALLOWED if attempt.signed else set()), title
        assert "Traceback" not in done.stdout, title
        assert attempt.said in done.message, (title, done.message)
        assert bool(done.failures) or not attempt.said, title
        # A module on the host that signs does not know for whom. Ansible names both.
        assert f"fatal: [{host.name}" in done.stdout or not attempt.said, (title, done.stdout)

    # Nothing is left of it.
    controller.variables = {host.name: {**variables, "ansible_python_interpreter": "/usr/bin/python3"}}
    for play in (HOST, "rotate", HOST):
        last = controller.playbook(play, hosts, "--limit", host.name)
    assert last.changed == 0
    assert inside(host, ASK).stdout.strip() == "linux"
