# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever is signed is recorded beside its authority, and the record decides what is signed again."""

from __future__ import annotations

import json
import os
import shutil
import stat

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._certificates import issued as record
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import timestamp
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding, issuing
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import issued as record_store
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    record as certificate_record,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.action.fleet import HOST, Fleet


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    fleet = Fleet(tmp_path)
    monkeypatch.setattr(certificate_record, "directory", lambda: str(fleet.state))
    monkeypatch.setattr(certificate_record, "is_kept", lambda: True)
    fleet.make_authority()
    return fleet


@pytest.fixture
def provisioned(fleet):
    fleet.run(fleet.server(), fleet.client())
    return fleet


def lines(authority):
    return [
        json.loads(line) for line in (authority / "issued.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def installed(fleet, name):
    return decoding.read_certificate((fleet.etc / name / "cert.pem").read_bytes())


def certificate(fleet, name):
    return (fleet.etc / name / "cert.pem").read_text(encoding="utf-8")


def adopt(fleet):
    """Make the authority one that existed before its record began."""
    (fleet.authority / "issued.jsonl").unlink()


def stage(fleet, name):
    assert not fleet.make_authority(rotation=name).get("failed")


def mark(fleet, name, target="identity"):
    found = installed(fleet, name)
    event = record.Revoked(
        found.not_before,
        target,
        "stolen",
        found.serial,
        found.fingerprint_sha256,
        "",
        found.common_name,
        HOST,
    )
    record_store.append(str(fleet.authority), [event])


def test_what_is_signed_is_recorded(provisioned):
    fleet = provisioned
    begin, server, client = lines(fleet.authority)
    authority = decoding.read_certificate((fleet.authority / "ca.pem").read_bytes())
    assert (begin["event"], begin["complete"], begin["issuer"]) == ("begin", True, authority.subject)
    for event, name in ((server, "dockerd"), (client, "jenkins")):
        facts = installed(fleet, name)
        assert {key: event[key] for key in event if key != "time"} == {
            "event": "issued",
            "serial": facts.serial,
            "spki_sha256": facts.public_key_sha256,
            "fingerprint_sha256": facts.fingerprint_sha256,
            "common_name": facts.common_name,
            "names": [str(alternative) for alternative in facts.subject_alternative_names],
            "profile": "server" if name == "dockerd" else "client",
            "host": HOST,
            "directory": str(fleet.etc / name),
            "not_before": timestamp(facts.not_before),
            "not_after": timestamp(facts.not_after),
            "issuer": authority.subject,
            "issuer_spki_sha256": authority.public_key_sha256,
        }
    assert stat.S_IMODE((fleet.authority / "issued.jsonl").stat().st_mode) == 0o600
    for name in ("trust", "reissue"):
        stage(fleet, name)
    fleet.rotate("servers")
    fleet.rotate("clients")
    stage(fleet, "drop")
    events = lines(fleet.authority)[3:]
    assert [event["event"] for event in events] == ["begin", "issued", "issued"]
    assert events[0]["complete"]
    assert {event["issuer"] for event in events} == {f"{authority.subject} G2"}


def test_an_unchanged_run_does_not_read_the_record_and_sets_the_time_of_its_host(provisioned, monkeypatch):
    fleet = provisioned
    seen = fleet.authority / "seen" / HOST
    os.utime(seen, (1_000_000, 1_000_000))
    monkeypatch.setattr(record_store, "_read", lambda path: pytest.fail("the record was read"))
    before = (fleet.authority / "issued.jsonl").read_bytes()
    assert not fleet.check(fleet.server(), fleet.client())["changed"]
    assert seen.stat().st_mtime == 1_000_000
    assert not fleet.run(fleet.server(), fleet.client())["changed"]
    assert seen.stat().st_mtime > 1_000_000
    assert (fleet.authority / "issued.jsonl").read_bytes() == before


def test_check_mode_records_nothing(fleet):
    before = {path.name for path in fleet.authority.iterdir()}
    assert fleet.check(fleet.server(), fleet.client())["changed"]
    assert {path.name for path in fleet.authority.iterdir()} == before
    assert len(lines(fleet.authority)) == 1


def test_a_host_that_fails_is_not_seen(fleet):
    (fleet.etc / "dockerd").parent.mkdir(parents=True)
    (fleet.etc / "dockerd").write_text("in the way")
    assert fleet.run(fleet.server())["failed"]
    assert not (fleet.authority / "seen").exists()


def test_nothing_is_handed_out_that_could_not_be_recorded(fleet):
    path = fleet.authority / "issued.jsonl"
    path.write_text("nonsense\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    refused = fleet.run(fleet.server())
    assert f"{path}, line 1" in refused["msg"]
    assert len(fleet.sent) == 1
    assert not (fleet.etc / "dockerd").exists()


def test_certificates_signed_on_another_host_are_recorded_there(fleet):
    authority = fleet.sign()["authority"]
    wanted = fleet.run(fleet.client(), authority=authority)
    fleet.sign(certificates=[fleet.client()], requests=wanted["requests"], host="ci7")
    assert [(event["event"], event.get("host")) for event in lines(fleet.authority)] == [
        ("begin", None),
        ("issued", "ci7"),
    ]
    assert set(record_store.read_seen(str(fleet.authority))) == {"ci7"}


def test_an_authority_by_path_has_no_record(fleet, tmp_path):
    source = {
        "ca_certificate_path": str(fleet.authority / "ca.pem"),
        "ca_private_key_path": str(fleet.authority / "ca.key"),
    }
    before = (fleet.authority / "issued.jsonl").read_bytes()
    assert fleet.run(fleet.client(), **source)["changed"]
    assert (fleet.authority / "issued.jsonl").read_bytes() == before
    assert not (fleet.authority / "seen").exists()


def test_a_rotation_signs_again_only_what_a_complete_record_holds(provisioned):
    fleet = provisioned
    path = fleet.authority / "issued.jsonl"
    kept = [line for line in path.read_text(encoding="utf-8").splitlines(True) if '"jenkins"' not in line]
    path.write_text("".join(kept), encoding="utf-8")
    for name in ("trust", "reissue"):
        stage(fleet, name)
    assert fleet.rotate("servers")["changed"]
    before = certificate(fleet, "jenkins")
    refused = fleet.rotate("clients")
    assert "is not in the record of issued certificates" in refused["msg"]
    assert certificate(fleet, "jenkins") == before


def test_an_incomplete_record_accepts_a_signature_with_a_warning(provisioned):
    fleet = provisioned
    adopt(fleet)
    for name in ("trust", "reissue"):
        stage(fleet, name)
    assert "not in the record" in fleet.rotate("servers", rotation_reason="compromised")["msg"]
    result = fleet.rotate("servers")
    assert not result.get("failed"), result
    (warning,) = result["warnings"]
    assert str(fleet.authority / "issued.jsonl") in warning
    assert str(fleet.etc / "dockerd") in warning
    fleet.rotate("clients")
    stage(fleet, "drop")
    # All certificates are of an authority whose record is complete.
    for name in ("trust", "reissue"):
        stage(fleet, name)
    for step in ("servers", "clients"):
        result = fleet.rotate(step, rotation_reason="compromised")
        assert result["changed"]
        assert "warnings" not in result


@pytest.mark.parametrize("is_adopted", [True, False])
def test_a_revoked_certificate_is_never_signed_again(provisioned, is_adopted):
    fleet = provisioned
    if is_adopted:
        adopt(fleet)
    mark(fleet, "jenkins")
    for name in ("trust", "reissue"):
        stage(fleet, name)
    fleet.rotate("servers")
    refused = fleet.rotate("clients")
    assert "was revoked at" in refused["msg"]
    assert "stolen" in refused["msg"]
    assert str(fleet.etc / "jenkins") in refused["msg"]


def test_a_revoked_key_is_not_certified_again(provisioned):
    """A renewal keeps the key of a client."""
    fleet = provisioned
    mark(fleet, "jenkins", "host")
    refused = fleet.run(fleet.client(renew_before_days=360, validity_days=365), fleet.client("new"))
    assert not refused.get("failed"), refused
    refused = fleet.run(fleet.client(validity_days=3000, renew_before_days=2000))
    assert "its key was revoked" in refused["msg"], refused


@pytest.mark.parametrize("target", ["host", "authority"])
def test_keys_are_replaced_and_bundles_exact(provisioned, target):
    fleet = provisioned
    mark(fleet, "jenkins", "host")
    before = {name: installed(fleet, name) for name in ("dockerd", "jenkins")}
    for name in ("trust", "reissue"):
        stage(fleet, name)
    predicted = fleet.rotate("replace", check_mode=True)
    result = fleet.rotate("replace", rotation_reason="compromised")
    assert result["restart_required"]
    assert {reason["code"] for reason in result["reasons"]} == {"key_replaced"}
    assert {key: predicted[key] for key in ("changed", "reasons", "diff")} == {
        key: result[key] for key in ("changed", "reasons", "diff")
    }
    for name, was in before.items():
        now = installed(fleet, name)
        assert now.public_key_sha256 != was.public_key_sha256
        assert (now.common_name, now.subject_alternative_names) == (
            was.common_name,
            was.subject_alternative_names,
        )
        assert now.issuer == "CN=wormhole.docker CA G2"
        (anchor,) = decoding.read_bundle((fleet.etc / name / "ca.pem").read_bytes())
        assert anchor.subject == now.issuer
    assert not fleet.rotate("replace", rotation_reason="compromised")["changed"]
    stage(fleet, "drop")
    assert not fleet.run(fleet.server(), fleet.client())["changed"]


def test_another_host_does_not_get_a_key_certified(provisioned):
    """In scope fleet, a host can present the certificates of another one."""
    fleet = provisioned
    for name in ("trust", "reissue"):
        stage(fleet, name)
    for name in ("dockerd", "jenkins"):
        request = issuing.make_request(issuing.make_key("ecdsa-p256"), name)
        pair = {"certificate": certificate(fleet, name), "request": request}
        for options, said in (
            ({"host": "ci2"}, "issued to ci1, not to ci2"),
            ({}, "issued to ci1, not to an unknown host"),
            ({"host": "ci1", "directories": ["/srv"]}, "not in or below"),
            ({"host": "ci1", "step": "clients" if name == "jenkins" else "servers"}, "another key"),
        ):
            terms = {"step": "replace", **options}
            refused = fleet.sign(requests={f"/etc/wormhole/{name}": pair}, **terms)
            if "host" in options or name == "jenkins" or "step" in options:
                assert said in refused["msg"]
        signed = fleet.sign(requests={f"/etc/wormhole/{name}": pair}, step="replace", host="ci1")
        assert (
            decoding.read_certificate(signed["issued"][f"/etc/wormhole/{name}"].encode()).common_name == name
        )
    pair["request"] = issuing.make_request(
        decoding.read_key((fleet.etc / "jenkins" / "key.pem").read_bytes()), "jenkins"
    )
    refused = fleet.sign(requests={"/etc/wormhole/jenkins": pair}, step="replace", host="ci1")
    assert "the same key" in refused["msg"]


def test_the_record_of_the_previous_scope_counts(fleet, tmp_path):
    fleet.run(fleet.server(), fleet.client())
    mark(fleet, "jenkins")
    before, after = fleet.authority, fleet.authority / "hosts" / HOST
    fleet.authority = after
    move = {"previous_directory": str(before)}
    for name in ("trust", "reissue"):
        done = fleet.make_authority(rotation=name, **move)
        assert not done.get("failed"), done["msg"]
    previous = {"ca_previous_directory": str(before), "rotation_reason": "compromised"}
    # The server is recorded in the other directory, and the client revoked there.
    assert fleet.rotate("servers", **previous)["changed"]
    assert "was revoked" in fleet.rotate("clients", **previous)["msg"]
    assert [event["event"] for event in lines(after)] == ["begin", "issued"]


def replace_authority(fleet, revoked, *, kill_after=99):
    """What playbook revoke does on one host; return whether it has changed anything."""
    answer = fleet.revoke(**revoked)
    assert not answer.get("failed"), answer["msg"]
    for name in ("dockerd", "jenkins", "backup"):
        if (fleet.etc / name).exists() and installed(fleet, name).fingerprint_sha256 in answer[
            "removed_identities"
        ]:
            shutil.rmtree(fleet.etc / name)
    steps = [
        *([lambda: fleet.make_authority(rotation="drop")] if answer["drop_required"] else []),
        lambda: fleet.make_authority(rotation="trust"),
        lambda: fleet.rotate("trust"),
        lambda: fleet.make_authority(rotation="reissue"),
        lambda: fleet.rotate("replace", rotation_reason="compromised"),
        lambda: fleet.make_authority(rotation="drop"),
    ]
    done = [answer]
    for step in steps[:kill_after] if answer["replacement_required"] else ():
        done.append(step())
        assert not done[-1].get("failed"), done[-1]["msg"]
    return any(result["changed"] for result in done)


def forge(fleet, authority):
    """Have the key of an authority sign a client that nobody recorded."""
    source = {"certificate_content": authority["ca.pem"], "private_key_content": authority["ca.key"]}
    request = issuing.make_request(issuing.make_key("ecdsa-p256"), "forged")
    certificates = [fleet.client("forged")]
    return fleet.sign(directory=None, certificates=certificates, requests={"forged": request}, **source)[
        "issued"
    ]["forged"]


@pytest.mark.parametrize(
    "revoked",
    [
        {"identity": "backup"},
        {"identity": "backup", "host": HOST},
        {"host": HOST},
        {"authority": "wormhole.docker CA"},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("kill_after", [0, 1, 2, 3, 4, 99])
def test_a_revocation_replaces_every_key_and_is_completed_after_an_interruption(
    provisioned, revoked, kill_after
):
    fleet = provisioned
    fleet.run(fleet.client("backup"))
    names = {"dockerd", "jenkins", "backup"}
    before = {name: installed(fleet, name) for name in names}
    assert fleet.revoke(check_mode=True, **revoked)["changed"]
    assert "revoked" not in {line["event"] for line in lines(fleet.authority)}
    assert replace_authority(fleet, revoked, kill_after=kill_after)
    if "identity" in revoked:
        answer = fleet.revoke(**revoked)
        assert answer["removed_identities"] == [before["backup"].fingerprint_sha256]
        names -= {"backup"}
    if kill_after < 99:
        assert replace_authority(fleet, revoked)
    for name in names:
        now = installed(fleet, name)
        assert now.issuer == "CN=wormhole.docker CA G2"
        assert now.public_key_sha256 != before[name].public_key_sha256
        (anchor,) = decoding.read_bundle((fleet.etc / name / "ca.pem").read_bytes())
        assert anchor.subject == now.issuer
    states = {one["fingerprint_sha256"]: one["state"] for one in fleet.issued()["certificates"]}
    assert {states[facts.fingerprint_sha256] for facts in before.values()} <= {"revoked", "untrusted"}
    assert {states[installed(fleet, name).fingerprint_sha256] for name in names} == {"alive"}
    if "host" not in revoked or "identity" in revoked:
        assert not replace_authority(fleet, revoked)
    assert not fleet.run(fleet.server(), fleet.client())["changed"]


def test_what_a_stolen_authority_signs_is_no_proof(provisioned):
    fleet = provisioned
    stolen = {name: (fleet.authority / name).read_text(encoding="utf-8") for name in ("ca.pem", "ca.key")}
    (fleet.etc / "forged").mkdir()
    (fleet.etc / "forged" / "cert.pem").write_text(forge(fleet, stolen), encoding="utf-8")
    fleet.revoke(authority="wormhole.docker CA")
    for name in ("trust", "reissue"):
        stage(fleet, name)
    request = issuing.make_request(issuing.make_key("ecdsa-p256"), "forged")
    pair = {"certificate": certificate(fleet, "forged"), "request": request}
    for step in ("replace", "clients"):
        refused = fleet.sign(requests={"/etc/wormhole/forged": pair}, step=step, host=HOST)
        assert refused["failed"]
        assert "not in the record" in refused["msg"] or "another key" in refused["msg"]


def test_a_rotation_in_progress_is_ended_before_the_revocation(provisioned):
    fleet = provisioned
    for name in ("trust", "reissue"):
        stage(fleet, name)
    fleet.rotate("servers")
    fleet.rotate("clients")
    stolen = installed(fleet, "jenkins")
    assert replace_authority(fleet, {"host": HOST})
    now = installed(fleet, "jenkins")
    assert now.issuer == "CN=wormhole.docker CA G3"
    assert now.public_key_sha256 != stolen.public_key_sha256


def test_the_record_is_listed(provisioned):
    fleet = provisioned
    fleet.revoke(identity="jenkins")
    found = fleet.issued(expires_within_days=400)
    assert not found["changed"]
    assert (found["record"]["complete"], found["record"]["path"]) == (
        True,
        str(fleet.authority / "issued.jsonl"),
    )
    assert {one["common_name"]: one["state"] for one in found["certificates"]} == {
        "dockerd": "expiring",
        "jenkins": "revoked",
    }
    assert [one["common_name"] for one in found["expiring"]] == ["dockerd"]
    (revoked,) = found["revoked"]
    assert (revoked["revoked"]["reason"], revoked["revoked"]["target"]) == ("stolen", "identity")
    (host,) = found["hosts"]
    assert (host["host"], host["alive"], host["days_since_seen"]) == (HOST, 1, 0)
    adopt(fleet)
    found = fleet.issued()
    assert (found["record"]["complete"], found["record"]["begun"], found["certificates"]) == (False, "", [])
    fleet.authority = fleet.authority / "none"
    assert "there is no authority in" in fleet.issued()["msg"]
    assert not fleet.revoke(identity="jenkins")["known"]


def test_nothing_is_revoked_in_an_incomplete_record(provisioned):
    fleet = provisioned
    adopt(fleet)
    for options in ({"identity": "jenkins"}, {"host": HOST}, {"authority": "wormhole.docker CA"}):
        assert "wormhole.docker.rotate" in fleet.revoke(**options)["msg"]
    assert "one of the following is required" in fleet.revoke()["msg"]
