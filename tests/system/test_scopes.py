# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which engine a stolen key opens: with an authority for each host, and with one for all."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certificates import SERVER, read_certificate
from continuous import ContinuousClient
from hosts import FLEET, GATEWAY, inside, launch_arguments, own_name
from lab.spec import RELEASES, other_release
from playbooks import Alias
from test_rotation import AGENT, RESTARTS, issuer, prepare, trusted

ASK = "docker version --format '{{.Server.Os}}'"
STOLEN = "/root/stolen"
FILES = ("ca.pem", "cert.pem", "key.pem")

CLIENTS = {
    "docker": "docker --tlsverify --tlscacert {ca} --tlscert {cert} --tlskey {key} -H tcp://{address} version",
    "curl": "curl -fsS --cacert {ca} --cert {cert} --key {key} https://{address}/version",
    "python": (
        'python3 -c "import docker; from docker.tls import TLSConfig; '
        "docker.DockerClient(base_url='https://{address}', tls=TLSConfig(client_cert=('{cert}', '{key}'), "
        "ca_cert='{ca}', verify=True)).version()\""
    ),
}
"""Clients that a thief runs on a host, by a name."""

WAYS = ("identity", "server", "authority")
"""What is stolen: the key of a wormhole, of an engine, or of an authority, which signs another one."""

SERVING = ("server", "authority's server")
"""With what a thief answers in place of an engine: its own key, or one that an authority has signed."""

ENGINE = """
import http.server
import json
import pathlib
import ssl

VERSION = json.dumps({"Version": "20.10.0", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}).encode()


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(VERSION)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(VERSION)

    do_HEAD = do_GET


server = http.server.ThreadingHTTPServer(("@ADDRESS@", @PORT@), Answers)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
pathlib.Path("ready").touch()
server.serve_forever()
"""
"""A program that answers in place of an engine. It asks for no client certificate."""
PORT = 12376
OTHER_USAGES = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
"""Usages of a key, apart from signatures in handshakes."""


def steal(host):
    """Return the key material of a host, by what it is and by file."""
    places = {"identity": AGENT, "server": SERVER}
    return {way: {name: host.read(f"{place}/{name}") for name in FILES} for way, place in places.items()}


def steal_all(host, authority):
    """The same, with what a thief signs by the key of the authority in a directory."""
    server = forge(authority, x509.ExtendedKeyUsageOID.SERVER_AUTH)
    return {**steal(host), "authority": forge(authority), "authority's server": server}


def forge(authority, usage=x509.ExtendedKeyUsageOID.CLIENT_AUTH):
    """Return a certificate, and its key, that a thief signs with an authority's key.

    Strict clients accept it. That of a server names the gateway, like the certificate of an engine.
    """
    issuer_key = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    issuer = x509.load_pem_x509_certificate((authority / "ca.pem").read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    now = datetime.datetime.now(datetime.UTC)
    usages = dict.fromkeys(OTHER_USAGES, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "agent")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usages), True)
        .add_extension(x509.ExtendedKeyUsage([usage]), False)
        .add_extension(x509.AuthorityKeyIdentifier(identifier.digest, None, None), False)
    )
    if usage == x509.ExtendedKeyUsageOID.SERVER_AUTH:
        names = [x509.IPAddress(ipaddress.ip_address(GATEWAY)), x509.DNSName("host.docker.internal")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    return {
        "cert.pem": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "key.pem": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    }


def put(host, material):
    """Write stolen material to a host."""
    host.run(f"rm -rf {STOLEN}; mkdir -m 0700 {STOLEN}")
    for name, text in material.items():
        host.write(f"{STOLEN}/{name}", text, 0o600)


def opens(host, material, ca=f"{AGENT}/ca.pem"):
    """Return the clients that the engine of a host lets in with stolen material.

    The file says whom the thief trusts.
    """
    put(host, material)
    # The thief knows whom to trust: the engine's own certificate is not a secret.
    files = {"ca": ca, "cert": f"{STOLEN}/cert.pem", "key": f"{STOLEN}/key.pem"}
    return {
        name
        for name, command in CLIENTS.items()
        if host.run(command.format(**files, address=f"{GATEWAY}:2376"), check=False).returncode == 0
    }


def deceives(host, material):
    """Return the clients of a host that take a server with stolen material for its engine.

    They have the identity of the host's wormhole. All others reject the certificate.
    """
    engine = ENGINE.replace("@ADDRESS@", GATEWAY).replace("@PORT@", str(PORT))
    put(host, {**material, "engine.py": engine})
    files = {name: f"{AGENT}/{name}.pem" for name in ("ca", "cert", "key")}
    commands = {
        name: command.format(**files, address=f"{GATEWAY}:{PORT}") for name, command in CLIENTS.items()
    }
    asked = "\n".join(f"{command} >{name} 2>&1; echo {name} $?" for name, command in commands.items())
    codes = host.run(
        f"cd {STOLEN}; python3 engine.py >/dev/null 2>&1 & pid=$!\ncd {STOLEN}\n"
        "for i in $(seq 100); do [ -e ready ] && break; sleep 0.1; done\n"
        f"{asked}\nkill $pid"
    ).stdout
    found = dict(line.split() for line in codes.splitlines())
    assert set(found) == set(CLIENTS), codes
    for name, code in found.items():
        said = host.read(f"{STOLEN}/{name}")
        assert code == "0" or "certificate" in said.lower(), (name, said)
    return {name for name, code in found.items() if code == "0"}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("scope", ["host", "fleet"])
def test_which_engine_a_stolen_key_opens(release, scope, fresh_hosts, playbook, controller_ca, own_ca):
    hosts = fresh_hosts(release, release, other_release(release))
    arguments = ["-e", f"certificate_authority_scope={scope}"]
    prepare(hosts, playbook, *arguments)
    authority = {host.name: own_ca(host) if scope == "host" else controller_ca for host in hosts}
    stolen = {host.name: steal_all(host, authority[host.name]) for host in hosts}
    # A rotation on the first host. What was stolen before is of its former authority.
    first = hosts[0]
    playbook("rotate", first if scope == "host" else hosts, *arguments)
    names = {host.name: host.name for host in hosts}
    stolen = {
        **{f"former {name}": found for name, found in stolen.items()},
        **{host.name: steal_all(host, authority[host.name]) for host in hosts},
    }
    names.update({f"former {host.name}": "" if host is first else host.name for host in hosts})
    if scope == "fleet":
        names.update({f"former {host.name}": "" for host in hosts})

    for owner, found in stolen.items():
        for host in hosts:
            row = {way: opens(host, found[way]) for way in WAYS}
            served = {way: deceives(host, found[way]) for way in SERVING}
            print(f"{scope}: keys of {owner} against {host.name}: {row}, as its engine: {served}")
            is_own = names[owner] == host.name or (scope == "fleet" and names[owner] != "")
            every = set(CLIENTS) if is_own else set()
            # The certificate of a server is not for clients, not even on its own host.
            assert row == {"identity": every, "server": set(), "authority": every}, (owner, host.name)
            assert served == dict.fromkeys(SERVING, every), (owner, host.name)
    for host in hosts:
        assert inside(host, ASK).stdout.strip() == "linux"
        generation = 2 if scope == "host" and host is first else 1
        expected = own_name(host, generation) if scope == "host" else "wormhole CA G2"
        assert trusted(host, SERVER) == trusted(host, AGENT) == [expected]
        named = [f"wormhole:{host.name}", f"wormhole:{host.name}/agent"] if scope == "fleet" else []
        assert [*uris(host, SERVER), *uris(host, AGENT)] == named


def uris(host, directory):
    """Return the URIs that a certificate names."""
    values = [extension.value for extension in read_certificate(host, directory).extensions]
    names = [value for value in values if isinstance(value, x509.SubjectAlternativeName)]
    return [uri for name in names for uri in name.get_values_for_type(x509.UniformResourceIdentifier)]


@pytest.mark.parametrize("release", RELEASES)
def test_a_certificate_names_a_host_with_an_odd_name_and_works(release, fresh_hosts, playbook):
    host = Alias(*fresh_hosts(release), "CI_1%ü")
    prepare([host], playbook, *FLEET)
    assert uris(host, SERVER) == ["wormhole:CI_1%25%C3%BC"]
    assert uris(host, AGENT) == ["wormhole:CI_1%25%C3%BC/agent"]
    # Client and engine read the certificate of the other one, and verify it.
    assert inside(host, ASK).stdout.strip() == "linux"


@pytest.mark.parametrize("release", RELEASES)
def test_a_fleet_moves_to_own_authorities_and_back_and_no_request_fails(
    release, fresh_hosts, playbook, controller_ca, own_ca
):
    hosts = fresh_hosts(release, other_release(release))
    prepare(hosts, playbook, *FLEET)
    clients = [ContinuousClient(host, pause=0.2) for host in hosts]
    for name, more in (("provision", ()), ("launch", launch_arguments())):
        refused = playbook(name, hosts, *more, check=False)
        assert refused.failures == len(hosts)
        assert "certificate_authority_scope" in refused.message
        assert "wormhole.docker.rotate" in refused.message
        assert not (controller_ca / "hosts").exists()

    playbook("rotate", hosts)
    for host in hosts:
        assert issuer(host, SERVER) == issuer(host, AGENT) == own_name(host)
        assert trusted(host, SERVER) == trusted(host, AGENT) == [own_name(host)]
        assert (own_ca(host) / "ca.key").exists()
    again = [playbook("provision", hosts), playbook("launch", hosts, *launch_arguments())]
    assert [run.changed for run in again] == [0, 0]
    for client in clients:
        client.stop().check(cuts=RESTARTS)

    # Back, one host alone, whose rotation is interrupted after its first stage.
    host, other = hosts
    client = ContinuousClient(host)
    playbook("rotate", host, "--tags", "trust", *FLEET)
    playbook("rotate", host, *FLEET)
    client.stop().check(cuts=RESTARTS)
    assert issuer(host, SERVER) == issuer(host, AGENT)
    assert issuer(host, SERVER).startswith("wormhole CA G")
    assert trusted(host, SERVER) == trusted(host, AGENT) == [issuer(host, SERVER)]
    assert issuer(other, SERVER) == own_name(other)
    again = [playbook("provision", host, *FLEET), playbook("launch", host, *launch_arguments(), *FLEET)]
    assert [run.changed for run in again] == [0, 0]
    assert playbook("provision", other).changed == 0


@pytest.mark.parametrize("release", RELEASES)
def test_the_rotation_of_one_host_concerns_no_other(release, fresh_hosts, playbook, own_ca):
    hosts = fresh_hosts(release, release)
    prepare(hosts, playbook)
    one, other = hosts
    before = {path.name: path.read_bytes() for path in own_ca(other).iterdir() if path.is_file()}
    with other.cut_off():
        rotated = playbook("rotate", hosts, check=False)
    assert rotated.unreachable == [other.name]
    assert rotated.of(one).failures == 0
    # It is complete, and waits for nobody.
    assert trusted(one, SERVER) == [own_name(one, 2)]
    assert not (own_ca(one) / "former.pem").exists()
    assert issuer(other, SERVER) == own_name(other)
    assert (own_ca(other) / "ca.pem").read_bytes() == before["ca.pem"]
    playbook("rotate", other)
    assert trusted(other, SERVER) == [own_name(other, 2)]
    assert trusted(one, SERVER) == [own_name(one, 2)]
    assert [issuer(host, AGENT) for host in hosts] == [own_name(host, 2) for host in hosts]
