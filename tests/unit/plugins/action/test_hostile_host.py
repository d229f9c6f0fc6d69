# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A managed host that answers freely to every module gets nothing signed but what its task has.

What it tries, with an authority on the controller and with one on another host:

| the host | it gets |
| --- | --- |
| requests a certificate that the task does not have, alone or beside its own | nothing, the task fails |
| requests its own, and adds ``certificates`` with other names and usages | its own, as the task has it |
| requests its own with the subject, names and usage of its choice in the request | its own, as the task has it |
| requests certificates for a task that has none | nothing |
| requests one that the task removes, or a server's without TLS | nothing, the task fails |
| requests certificates in check mode | nothing, the task fails |
| requests certificates again once its own are signed | nothing more |
| reports gateways with names and addresses of other hosts | nothing, the task fails |
| sends requests, gateways, sections or lists of other types, of any size | nothing, the task fails |
| sends facts that stand for variables of this collection | they are dropped; from other modules, the task fails |
| sends facts, statistics or undocumented keys to any module | they are dropped |
| announces images and packages for ever | the task ends |
| requests certificates in a step of a rotation that issues none, or in check mode | nothing, the task fails |
| requests certificates outside of the directories of a rotation, or thousands | nothing, the task fails |
| presents the certificate of another host, a client or server, with its own key | nothing, the task fails |
| presents its own, to have it renewed without a rotation | nothing, the task fails |
| presents another usage than that of the step, an authority, an expired or unknown certificate | nothing, the task fails |
| repairs a server with the names of another one | nothing, the task fails |
| presents a certificate that names another host in a URI | its own, with its own name |
"""

from __future__ import annotations

import importlib
import itertools
import types
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.wormhole.docker.plugins.action import certificate_rotation as rotation_action
from ansible_collections.wormhole.docker.plugins.action import tls_certificates as certificates_action
from ansible_collections.wormhole.docker.plugins.action import wormhole_container as container_action
from ansible_collections.wormhole.docker.plugins.action import wormhole_containers as list_action
from ansible_collections.wormhole.docker.plugins.action import wormhole_host as host_action
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding, issuing
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    record as certificate_record,
)
from ansible_collections.wormhole.docker.plugins.modules import certificate_signature
from ansible_collections.wormhole.docker.plugins.plugin_utils import answers, wormholes
from ansible_collections.wormhole.docker.tests.unit.plugins.action.fleet import Fleet
from ansible_collections.wormhole.docker.tests.unit.plugins.modules.running import run_module

AGENT = "/etc/wormhole/identities/agent"
WORMHOLE = {"name": "agent", "image": "busybox"}
SERVER = {
    "name": "dockerd",
    "profile": "server",
    "directory": "/etc/wormhole/server",
    "subject_alternative_names": ["IP:172.17.0.1"],
}
CLIENT = {"name": "agent", "profile": "client", "directory": AGENT}
GATEWAYS = [{"name": "IP:172.17.0.1", "origin": "gateway of network bridge", "urgent": True}]
KEY = ec.generate_private_key(ec.SECP256R1())


def make_request(key=KEY):
    """Return a request for everything that a host could wish."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("ci2.example")]), critical=False
    )
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    algorithm = None if isinstance(key, ed448.Ed448PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM).decode()


REQUEST = make_request()
ROOT = {"name": "root", "profile": "client", "directory": "/etc/wormhole/identities/root"}


class Task:
    """A task of a kind, and what it may get.

    Attributes:
        action: its action plugin.
        options: its options, without the authority.
        own: the name of a certificate that the task has.
        names: of this certificate, as common name, subject alternative names and usage.
        without: options with which the task has no certificates, or None.
    """

    def __init__(self, action, options, own, names, without=None):
        self.action, self.options, self.own, self.names, self.without = action, options, own, names, without


IDENTITY = ("agent", ["URI:wormhole:ci1/agent"], ("clientAuth",))
ENGINE = ("dockerd", ["IP:172.17.0.1", "URI:wormhole:ci1"], ("serverAuth",))
TASKS = {
    "tls_certificates": Task(
        certificates_action, {"certificates": [SERVER, CLIENT]}, "agent", IDENTITY, {"certificates": []}
    ),
    "tls_certificates, a server": Task(
        certificates_action,
        {"certificates": [SERVER, CLIENT]},
        "dockerd",
        ENGINE,
    ),
    "wormhole_container": Task(container_action, WORMHOLE, "agent", IDENTITY, {"transport": "unix"}),
    "wormhole_containers": Task(
        list_action,
        {"wormholes": [WORMHOLE]},
        AGENT,
        IDENTITY,
        {"wormholes": [{**WORMHOLE, "transport": "unix"}]},
    ),
    "wormhole_host": Task(
        host_action,
        {"wormholes": [WORMHOLE]},
        AGENT,
        IDENTITY,
        {"wormholes": [], "listener": {"transports": ["unix"]}},
    ),
    "wormhole_host, a server": Task(
        host_action,
        {"wormholes": []},
        "dockerd",
        ENGINE,
    ),
}


class Hostile(Fleet):
    """A controller, and a host that answers freely.

    Attributes:
        elsewhere: whether another host signs, as in the roles of this collection.
        signed: everything that was signed, by name.
    """

    def __init__(self, home, elsewhere):
        super().__init__(home)
        self.elsewhere = elsewhere
        self.variables = {"inventory_hostname": "ci1"}
        self.replies, self.signed = iter(()), []
        self.make_authority()

    def execute_module(self, module_name, module_args, task_vars):
        self.sent.append(module_args)
        for pem in (module_args.get("issued") or {}).values():
            self.signed.append(decoding.read_certificate(pem.encode()))
        return next(self.replies)

    def attempt(self, task, *replies, check_mode=False, options=None, repeat=False):
        """Run a task, and have signed what the roles have signed; return the result of the task."""
        self.replies = itertools.cycle(replies) if repeat else iter([*replies, {"changed": False}])
        self.signed = []
        options = {**task.options, **(options or {})}
        if not self.elsewhere:
            return self.run_task(task.action, {**options, "ca_directory": str(self.authority)}, check_mode)
        options["authority"] = self.sign()["authority"]
        result = self.run_task(task.action, options, check_mode)
        if "requests" not in result:
            return result
        certificates = result.get("certificates", options.get("certificates"))
        given = ("step", "directories", "subject_alternative_names") if "step" in options else ()
        rotation = {name: options[name] for name in given if name in options}
        signed = self.sign(requests=result["requests"], certificates=certificates, host="ci1", **rotation)
        if signed.get("failed"):
            return {**signed, "msg": f"ci1: {signed['msg']}"}
        return self.run_task(task.action, {**options, "issued": signed["issued"]}, check_mode)


@pytest.fixture(params=["controller", "elsewhere"])
def hostile(request, tmp_path, monkeypatch):
    monkeypatch.setattr(wormholes, "display", types.SimpleNamespace(display=lambda _text, **_options: None))
    monkeypatch.setattr(certificate_record, "is_kept", lambda: False)
    return Hostile(tmp_path, request.param == "elsewhere")


def wants(*names, **more):
    return {"changed": True, "requests": dict.fromkeys(names, REQUEST), "gateways": GATEWAYS, **more}


def assert_rejected(hostile, result, said=""):
    """Assert that the task has failed with a message that names the host, and that nothing was signed."""
    assert hostile.signed == []
    assert result.get("failed"), result
    assert result["error"]["kind"] in ("VerificationFailed", "InvalidInput", "Refused"), result
    assert "ci1" in result["msg"], result["msg"]
    assert said in result["msg"], result["msg"]


def names_of(certificate):
    names = [str(name) for name in certificate.subject_alternative_names]
    return certificate.common_name, names, certificate.extended_key_usage


tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@tasks
def test_a_host_gets_its_own_certificate_as_the_task_has_it(hostile, task):
    freely = {
        "certificates": [{**ROOT, "name": task.own}, ROOT],
        "ca_directory": "/",
        "issued": {"root": "x"},
    }
    result = hostile.attempt(
        task, wants(task.own, **(freely if task.action is not certificates_action else {}))
    )
    assert not result.get("failed"), result
    (signed,) = hostile.signed
    assert names_of(signed) == task.names
    assert not signed.is_ca
    assert not {"requests", "issued", "ca_directory", "gateways"} & set(result)


@tasks
@pytest.mark.parametrize("other", ["root", "/etc/wormhole/identities/root", "", "Agent", "agent "])
def test_a_host_gets_no_certificate_that_the_task_does_not_have(hostile, task, other):
    for names in ((other,), (task.own, other)):
        assert_rejected(hostile, hostile.attempt(task, wants(*names)), "requests certificates that the task")
        assert len(hostile.sent) == 1


@tasks
def test_a_task_without_certificates_has_none_signed(hostile, task):
    if task.without is None:
        pytest.skip("the other task of this module")
    result = hostile.attempt(task, wants("root", task.own, certificates=[ROOT]), options=task.without)
    assert hostile.signed == []
    assert result.get("failed") or not {"requests", "certificates"} & set(result)


def test_a_certificate_that_is_removed_is_not_signed(hostile):
    task = TASKS["tls_certificates"]
    removed = {"certificates": [SERVER, {**CLIENT, "state": "absent"}]}
    assert_rejected(hostile, hostile.attempt(task, wants("agent"), options=removed))


@pytest.mark.parametrize("name", [name for name in TASKS if "wormhole_host" in name])
def test_a_host_without_tls_gets_no_server_certificate(hostile, name):
    options = {"listener": {"transports": ["unix"]}, "wormholes": []}
    assert_rejected(hostile, hostile.attempt(TASKS[name], wants("dockerd"), options=options), "issues none")


@tasks
def test_nothing_is_signed_in_check_mode(hostile, task):
    assert_rejected(hostile, hostile.attempt(task, wants(task.own), check_mode=True), "it issues none")


@tasks
def test_a_host_requests_once(hostile, task):
    # Of tls_certificates, this key is a report.
    more = {} if task.action is certificates_action else {"certificates": [ROOT]}
    result = hostile.attempt(task, wants(task.own), wants(task.own, "root", **more))
    assert not result.get("failed"), result
    assert [names_of(signed) for signed in hostile.signed] == [task.names]
    assert not {"requests", "gateways"} & set(result)
    assert "root" not in str(result.get("certificates"))


@tasks
@pytest.mark.parametrize(
    "requests",
    [
        pytest.param(["agent"], id="list"),
        pytest.param("agent", id="text"),
        pytest.param(7, id="number"),
        pytest.param({7: REQUEST}, id="number as name"),
        pytest.param({"OWN": None}, id="nothing"),
        pytest.param({"OWN": 7}, id="number as request"),
        pytest.param({"OWN": {"request": REQUEST}}, id="dictionary"),
        pytest.param({"OWN": [REQUEST]}, id="list of requests"),
        pytest.param({"OWN": ""}, id="empty request"),
        pytest.param({"OWN": "nonsense"}, id="nonsense"),
        pytest.param({"OWN": REQUEST.replace("M", "N")}, id="damaged"),
        pytest.param({"OWN": REQUEST + "\ud800"}, id="half of a character"),
        pytest.param({"OWN": REQUEST + " " * answers.MAXIMUM_LENGTH}, id="long"),
        pytest.param({"OWN": REQUEST, **{f"n{n}": REQUEST for n in range(5000)}}, id="many"),
        pytest.param({"OWN": make_request(rsa.generate_private_key(65537, 1024))}, id="a small key"),
        pytest.param({"OWN": make_request(ec.generate_private_key(ec.SECP521R1()))}, id="another curve"),
        pytest.param({"OWN": make_request(ec.generate_private_key(ec.SECP256K1()))}, id="an odd curve"),
        pytest.param({"OWN": make_request(ed448.Ed448PrivateKey.generate())}, id="an odd key"),
        pytest.param({"OWN": make_request(dsa.generate_private_key(2048))}, id="an old key"),
    ],
)
def test_malformed_requests_are_an_error_and_no_traceback(hostile, task, requests):
    if isinstance(requests, dict):
        requests = {task.own if name == "OWN" else name: value for name, value in requests.items()}
    result = hostile.attempt(task, {**wants(), "requests": requests})
    assert_rejected(hostile, result)


# --- what else steers the controller ---------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ["IP:8.8.8.8"],
        ["IP:100.64.0.1"],
        ["IP:2001:db8::1"],
        ["DNS:ci2.example"],
        ["DNS:*.example.com"],
        ["IP:172.17.0.1", "DNS:ci2"],
        ["URI:wormhole://ci2"],
        ["IP:10.0.0.1,DNS:ci2"],
    ],
)
def test_a_host_cannot_report_the_names_of_another_one(hostile, names):
    gateways = [{"name": name, "origin": "gateway of network ci"} for name in names]
    task = TASKS["wormhole_host, a server"]
    for requested in (("dockerd",), ("dockerd", AGENT)):
        result = hostile.attempt(
            task, wants(*requested, gateways=gateways), options={"wormholes": [WORMHOLE]}
        )
        assert_rejected(hostile, result)


@pytest.mark.parametrize(
    "listener",
    [
        {"addresses": ["100.64.0.1"]},
        {"host_addresses": ["100.64.0.1"]},
        {"subject_alternative_names": ["DNS:a,IP:100.64.0.1"]},
    ],
)
def test_a_host_may_report_what_the_task_names(hostile, listener):
    gateways = [*GATEWAYS, {"name": "IP:100.64.0.1", "origin": "gateway of network ci"}]
    task = TASKS["wormhole_host, a server"]
    assert not hostile.attempt(task, wants("dockerd", gateways=gateways), options={"listener": listener}).get(
        "failed"
    )
    (signed,) = hostile.signed
    assert "IP:100.64.0.1" in names_of(signed)[1]


MALFORMED = {
    "changed": ["yes", None],
    "failed": ["yes"],
    "msg": [7],
    "error": ["x", {"kind": "x"}],
    "reasons": ["x", ["x"], [{"code": "x"}], [{"code": 7, "subject": "", "text": ""}]],
    "warnings": ["x", [{}], [[]]],
    "invocation": ["x", {"module_args": "x"}],
}
MALFORMED_OF = {
    "wormhole_host": {
        "gateways": [
            "x",
            {},
            ["IP:10.0.0.1"],
            [{"origin": "x"}],
            [{"name": 7}],
            [{"name": "DNS:a", "kind": "x"}],
        ],
        "done": [
            "x",
            ["x"],
            [{"section": "engine"}],
            [{"section": "engine", "changed": True, "reasons": []}],
        ],
        "sections": [
            "x",
            [7],
            [{"section": "authority", "changed": True, "reasons": []}],
            [{"section": "wormholes", "changed": False, "reasons": [], "wormholes": ["x"]}],
            [{"section": "wormholes", "changed": False, "reasons": [], "wormholes": [{"name": "x"}]}],
        ],
        "packages": ["x", [7], {"x": 1}, ["x"] * 2000],
        "pulls": ["x", [7]],
        "engine_stopped": ["no"],
    },
    "wormhole_containers": {
        "pulls": ["x", [7]],
        "wormholes": ["x", [{"name": "x", "failed": True, "changed": False}]],
    },
    "tls_certificates": {"certificates": [[]], "restart_required": ["no"], "left": [[]]},
    "wormhole_container": {},
}


@pytest.mark.parametrize("name", MALFORMED_OF)
def test_a_malformed_answer_is_an_error_that_names_the_host(hostile, name):
    task = TASKS[name]
    for key, values in {**MALFORMED, **MALFORMED_OF[name]}.items():
        for value in values:
            result = hostile.attempt(task, {"changed": False, key: value})
            assert_rejected(
                hostile, result, f"ci1 gave a malformed answer to wormhole.docker.{name}: {key}: "
            )


@tasks
def test_an_error_shows_a_part_of_what_the_host_sent_and_no_control_characters(hostile, task):
    result = hostile.attempt(task, wants("\x1b]0;title\x07" + "x" * 50000))
    assert_rejected(hostile, result)
    assert result["msg"].isprintable()
    assert len(result["msg"]) < 500


@pytest.mark.parametrize("name", ["wormhole_containers", "wormhole_host"])
def test_a_host_cannot_keep_the_controller_busy(hostile, name):
    forever = {"changed": True, "pulls": ["a"], "packages": ["b"], **wants(TASKS[name].own)}
    hostile.attempt(TASKS[name], forever, repeat=True)
    assert len(hostile.sent) <= 4


FACTS = {
    "ansible_facts": {"wormholes_containers": [{"name": "root"}], "certificates_ca_directory": "/srv/ca"},
    "ansible_stats": {"data": {}},
    "add_group": "ci",
    "skipped": True,
    "results": [{}],
    "__certificates_signed": {},
}


@tasks
def test_facts_and_undocumented_keys_are_dropped(hostile, task):
    for first, *rest in ([{"changed": False, **FACTS}], [wants(task.own), {"changed": False, **FACTS}]):
        result = hostile.attempt(task, first, *rest)
        assert not result.get("failed"), result
        assert not set(FACTS) & set(result)


@tasks
@pytest.mark.parametrize(
    "name",
    ["wormholes_containers", "listener_addresses", "certificate_authority_directory", "__certificates_here"],
)
def test_facts_do_not_stand_for_variables_of_this_collection(hostile, task, name):
    hostile.variables["ansible_facts"] = {"distribution": "Debian", "listener": "x"}
    assert not hostile.attempt(task, {"changed": False}).get("failed")
    hostile.variables["ansible_facts"][name] = "x"
    assert_rejected(
        hostile, hostile.attempt(task, wants(task.own)), "ci1 has facts with the names of variables"
    )
    assert hostile.sent == []


# --- rotations -------------------------------------------------------------------------------------

PLACE = "/etc/wormhole/identities/agent"
STEPS = {"servers": "serverAuth", "clients": "clientAuth", "repair": "serverAuth"}


class Pki:
    """Certificates of the authority before and after it has become the former one, with their keys."""

    def __init__(self, hostile, host=None):
        self.hostile, self.host = hostile, host
        self.former = self.issue_all()
        hostile.make_authority(rotation="trust")
        hostile.make_authority(rotation="reissue")
        self.issuing = self.issue_all()

    def issue_all(self):
        return {
            "client": self.issue("client"),
            "server": self.issue("server", names=["IP:172.17.0.1"]),
            "public server": self.issue("server", names=["IP:172.17.0.1", "DNS:ci2.example"]),
        }

    def issue(self, profile, names=()):
        key = issuing.make_key("ecdsa-p256")
        wanted = {
            "name": "ci2",
            "profile": profile,
            "directory": "/x",
            "subject_alternative_names": list(names),
        }
        request = issuing.make_request(key, "ci2")
        signed = self.hostile.sign(certificates=[wanted], requests={"ci2": request}, host=self.host)
        return signed["issued"]["ci2"], request

    def pair(self, which, own_key=False, issuing_one=False):
        certificate, request = (self.issuing if issuing_one else self.former)[which]
        return {"certificate": certificate, "request": REQUEST if own_key else request}


@pytest.fixture
def pki(hostile):
    return Pki(hostile)


def rotate(hostile, step, pairs, check_mode=False, **options):
    task = Task(
        rotation_action, {"step": step, "directories": ["/etc/wormhole/", "/srv/tls"], **options}, "", ()
    )
    return hostile.attempt(task, {"changed": True, "requests": pairs}, check_mode=check_mode)


@pytest.mark.parametrize(
    ("step", "which", "own_key", "directory"),
    [
        ("clients", "client", False, PLACE),
        ("clients", "client", False, "/srv/tls"),
        ("servers", "server", False, "/etc/wormhole/server"),
        ("servers", "public server", False, "/etc/wormhole/server"),
        ("repair", "server", True, "/etc/wormhole/server"),
    ],
)
def test_a_rotation_signs_again_what_the_host_has(pki, hostile, step, which, own_key, directory):
    pair = pki.pair(which, own_key)
    result = rotate(hostile, step, {directory: pair})
    assert not result.get("failed"), result
    (signed,) = hostile.signed
    before = decoding.read_certificate(pair["certificate"].encode())
    common_name, names, usage = names_of(before)
    own = "URI:wormhole:ci1" if "serverAuth" in usage else "URI:wormhole:ci1/ci2"
    assert names_of(signed) == (common_name, [*names, own], usage)
    assert signed.issuer == "CN=wormhole.docker CA G2"


@pytest.mark.parametrize(("step", "which"), [("clients", "client"), ("servers", "server")])
def test_a_rotation_names_the_host_that_asks_and_no_other(hostile, step, which):
    """A host that has the key of another one presents its certificate."""
    pki = Pki(hostile, host="ci2")
    pair = pki.pair(which)
    before = decoding.read_certificate(pair["certificate"].encode())
    assert any(str(name).startswith("URI:wormhole:ci2") for name in before.subject_alternative_names)
    result = rotate(hostile, step, {PLACE: pair})
    assert not result.get("failed"), result
    (signed,) = hostile.signed
    (named,) = (str(name) for name in signed.subject_alternative_names if name.kind == "URI")
    assert named == ("URI:wormhole:ci1" if which == "server" else "URI:wormhole:ci1/ci2")


def test_the_name_of_the_host_does_not_prevent_a_repair(hostile):
    pki = Pki(hostile, host="ci1")
    result = rotate(hostile, "repair", {"/etc/wormhole/server": pki.pair("server", own_key=True)})
    assert not result.get("failed"), result
    (signed,) = hostile.signed
    assert names_of(signed)[1] == ["IP:172.17.0.1", "URI:wormhole:ci1"]
    assert "requests" not in result


@pytest.mark.parametrize("step", ["trust", "drop"])
def test_only_steps_that_issue_sign(pki, hostile, step):
    for which in ("client", "server"):
        result = rotate(hostile, step, {PLACE: pki.pair(which)})
        assert_rejected(hostile, result, f"step {step} issues no certificates")


@pytest.mark.parametrize("step", STEPS)
def test_check_mode_signs_nothing_again(pki, hostile, step):
    pairs = {PLACE: pki.pair("client" if step == "clients" else "server")}
    assert_rejected(hostile, rotate(hostile, step, pairs, check_mode=True), "it issues none")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "directory",
    [
        "/etc/other",
        "/etc/wormhole2",
        "/etc",
        "/etc/wormhole/../other",
        "/etc/wormhole//../../srv",
        "/srv/tls/./x",
        "etc/wormhole/x",
        "",
        "/",
    ],
)
def test_only_directories_of_the_task_are_signed_for(pki, hostile, step, directory):
    pair = pki.pair("client" if step == "clients" else "server")
    for pairs in ({directory: pair}, {PLACE: pair, directory: pair}):
        assert_rejected(hostile, rotate(hostile, step, pairs))


@pytest.mark.parametrize(
    ("step", "which", "own_key", "said"),
    [
        ("clients", "client", True, "another key"),
        ("servers", "server", True, "another key"),
        ("servers", "public server", True, "another key"),
        ("repair", "client", True, "does not reissue it, because it is one of a client"),
        ("repair", "client", False, "does not reissue it, because it is one of a client"),
        ("servers", "client", False, "does not reissue it, because it is one of a client"),
        ("clients", "server", False, "does not reissue it, because it is one of a server"),
        ("repair", "public server", True, "neither private nor loopback: DNS:ci2.example"),
    ],
)
def test_the_certificate_of_another_host_is_not_signed_for_this_one(pki, hostile, step, which, own_key, said):
    assert_rejected(hostile, rotate(hostile, step, {PLACE: pki.pair(which, own_key)}), said)


def test_a_repaired_server_keeps_the_names_of_the_task(pki, hostile):
    options = {"subject_alternative_names": ["DNS:ci2.example"]}
    assert not rotate(hostile, "repair", {PLACE: pki.pair("public server", True)}, **options).get("failed")
    assert len(hostile.signed) == 1


@pytest.mark.parametrize(("step", "which"), [("clients", "client"), ("servers", "server")])
def test_a_rotation_does_not_renew(pki, hostile, step, which):
    pairs = {PLACE: pki.pair(which, issuing_one=True)}
    assert_rejected(hostile, rotate(hostile, step, pairs), "from the issuing authority already")


def test_a_host_is_signed_for_a_bounded_number_of_times(pki, hostile):
    pair = pki.pair("client")
    for number in (1001, 5000):
        pairs = {f"/etc/wormhole/identities/{index}": pair for index in range(number)}
        assert_rejected(hostile, rotate(hostile, "clients", pairs))
    refused = hostile.sign(requests=pairs, step="clients")
    assert "5000 certificates are requested, more than 1000" in refused["msg"]


def test_only_certificates_of_the_authority_are_signed_again(pki, hostile, tmp_path, monkeypatch):
    former, request = pki.former["client"]
    authority = (hostile.authority / "ca.pem").read_text(encoding="utf-8")
    (tmp_path / "stranger").mkdir()
    stranger = Fleet(tmp_path / "stranger")
    stranger.make_authority()
    theirs = stranger.sign(certificates=[CLIENT], requests={"agent": request})["issued"]["agent"]
    for certificate in (authority, theirs, "nonsense", former.replace("M", "N"), former + "\ud800", ""):
        for step in STEPS:
            result = rotate(hostile, step, {PLACE: {"certificate": certificate, "request": request}})
            assert_rejected(hostile, result)


@pytest.mark.parametrize(
    "pairs",
    [
        "x",
        [PLACE],
        {PLACE: "x"},
        {PLACE: REQUEST},
        {PLACE: {"request": REQUEST}},
        {PLACE: {"certificate": "x", "request": 7}},
        {PLACE: {"certificate": "x", "request": "x", "profile": "client"}},
        {7: {"certificate": "x", "request": "x"}},
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_malformed_pairs_are_an_error_and_no_traceback(hostile, step, pairs):
    assert_rejected(hostile, rotate(hostile, step, pairs), "ci1 gave a malformed answer")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "step is required with requests"),
        ({"step": "clients", "directories": ["/srv"]}, "not in or below the directories of the task: /srv"),
        ({"step": "trust"}, "step"),
        ({"step": "servers"}, "one of a client"),
    ],
)
def test_the_host_that_keeps_the_authority_checks_the_same(pki, hostile, options, said):
    refused = hostile.sign(requests={PLACE: pki.pair("client")}, **options)
    assert refused["failed"]
    assert said in refused["msg"]
    assert "issued" not in refused


def test_the_host_that_keeps_the_authority_signs_nothing_in_check_mode(pki, hostile):
    given = {"directory": str(hostile.authority)}
    pairs = {PLACE: pki.pair("client")}
    for more in (
        {"requests": pairs, "step": "clients"},
        {"requests": {"agent": REQUEST}, "certificates": [CLIENT]},
    ):
        assert run_module(certificate_signature, {**given, **more})["issued"]
        assert run_module(certificate_signature, {**given, **more}, check_mode=True)["issued"] == {}


@pytest.mark.parametrize("requests", [{"agent": 7}, {"agent": {}}, {"agent": None}, {"agent": "é"}])
def test_the_host_that_keeps_the_authority_reports_malformed_requests(hostile, requests):
    for more in ({"certificates": [CLIENT]}, {"step": "clients"}):
        assert "requests: expected" in hostile.sign(requests=requests, **more)["msg"]


# --- modules without a part that signs -------------------------------------------------------------

ROOT_DIRECTORY = Path(answers.__file__).resolve().parents[2]
MODULES = sorted(
    path.stem for path in (ROOT_DIRECTORY / "plugins/modules").glob("*.py") if path.stem != "__init__"
)
SIGNING = (
    "certificate_rotation",
    "tls_certificates",
    "wormhole_container",
    "wormhole_containers",
    "wormhole_host",
)
SIGNERS = (
    "certificate_authority",
    "certificate_authority_info",
    "certificate_revocation",
    "certificate_signature",
)
FROM_THE_CONTROLLER = {
    "wormhole_container": {"certificates"},
    "wormhole_containers": {"certificates"},
    "wormhole_host": {"certificates"},
}
INTERNAL = {
    "wormhole_containers": {"pulls"},
    "wormhole_gate": {"program_required"},
    "wormhole_host": {"done", "gateways", "packages", "program_required", "pulls"},
}


@pytest.mark.parametrize("name", MODULES)
def test_what_is_read_of_an_answer_is_documented(name):
    module = importlib.import_module(f"ansible_collections.wormhole.docker.plugins.modules.{name}")
    documented = set(yaml.safe_load(module.RETURN)) - FROM_THE_CONTROLLER.get(name, set())
    assert {*answers.ANSWERS[name], "reasons"} == {*documented, *INTERNAL.get(name, set()), "reasons"}


REQUIRED = {"wormhole_policy": {"identity": "ci", "policy": "ci"}}
"""Arguments of tasks whose controller checks them first."""


def run_action(name, answer, variables):
    """Run the action plugin of a module that signs nothing on the controller."""
    plugin = importlib.import_module(f"ansible_collections.wormhole.docker.plugins.action.{name}")
    task = types.SimpleNamespace(
        args=dict(REQUIRED.get(name, {})),
        check_mode=False,
        async_val=0,
        action=plugin.ActionModule.MODULE,
        diff=False,
        delegate_to=None,
    )
    connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None), has_native_async=False)
    action = plugin.ActionModule(task, connection, types.SimpleNamespace(), None, None, None)
    action._remove_tmp_path = lambda path: None
    action._execute_module = lambda **_options: dict(answer)
    action._discovered_interpreter_key = "discovered_interpreter_python"
    action._discovered_interpreter = "/usr/bin/python3"
    return action.run(task_vars=variables)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in SIGNING])
def test_every_module_has_an_action_plugin_that_drops_facts(name):
    variables = {"inventory_hostname": "ci1"}
    result = run_action(name, {"changed": False, **FACTS}, variables)
    assert not result.get("failed"), result
    assert set(FACTS) & set(result) == {"ansible_facts"}
    assert result["ansible_facts"] == {"discovered_interpreter_python": "/usr/bin/python3"}
    rejected = run_action(name, {"changed": "x"}, variables)
    assert "ci1 gave a malformed answer to wormhole.docker." in rejected["msg"]
    variables["ansible_facts"] = {"certificates_ca_directory": "/srv/ca"}
    signs = name in SIGNERS
    assert bool(run_action(name, {"changed": False}, variables).get("failed")) == signs


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("gateway_info", "subject_alternative_names", ["IP:10.0.0.1"]),
        ("gateway_info", "subject_alternative_names", [{"name": "IP:10.0.0.1", "profile": "client"}]),
        ("engine_info", "missing_packages", "docker.io"),
        ("engine_info", "obstacles", [{}]),
        ("engine_info", "running", "no"),
        ("wormhole_container_info", "wormholes", [{"name": "x"}]),
        ("certificate_signature", "issued", {"x": 7}),
    ],
)
def test_what_later_tasks_use_has_its_type(name, key, value):
    rejected = run_action(name, {"changed": False, key: value}, {"inventory_hostname": "ci1"})
    assert f"ci1 gave a malformed answer to wormhole.docker.{name}: {key}: expected" in rejected["msg"]
