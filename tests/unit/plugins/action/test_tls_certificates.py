# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module tls_certificates with its action plugin."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    record as certificate_record,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io import admitted
from ansible_collections.wormhole.docker.tests.unit.plugins.action.fleet import PASSPHRASE, Fleet, show


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    fleet = Fleet(tmp_path)
    monkeypatch.setattr(certificate_record, "directory", lambda: str(fleet.state))
    monkeypatch.setattr(certificate_record, "is_kept", lambda: True)
    return fleet


FILES = {"dockerd", "dockerd/ca.pem", "dockerd/cert.pem", "dockerd/key.pem"}


def test_two_round_trips_if_something_is_issued_and_one_if_nothing_is(fleet):
    fleet.make_authority()
    first = fleet.run(fleet.server(), fleet.client())
    assert not first.get("failed"), first
    assert first["changed"]
    assert len(fleet.sent) == 2
    second = fleet.run(fleet.server(), fleet.client())
    assert not second["changed"]
    assert second["reasons"] == []
    assert len(fleet.sent) == 1


def test_correcting_drift_takes_one_round_trip(fleet):
    fleet.make_authority()
    fleet.run(fleet.server())
    (fleet.etc / "dockerd" / "key.pem").chmod(0o440)
    result = fleet.run(fleet.server())
    assert result["changed"]
    assert not result["restart_required"]
    assert [reason["code"] for reason in result["reasons"]] == ["mode_drift"]
    assert len(fleet.sent) == 1


def test_check_mode_on_a_new_host_predicts_the_run_and_changes_nothing(fleet):
    fleet.make_authority(check_mode=True)
    predicted = fleet.check(fleet.server(), fleet.client())
    assert len(fleet.sent) == 1
    assert not fleet.authority.exists()
    assert fleet.tree() == set()
    fleet.make_authority()
    assert fleet.check(fleet.server(), fleet.client())["diff"] == predicted["diff"]
    assert fleet.tree() == set()
    done = fleet.run(fleet.server(), fleet.client())
    for key in ("changed", "reasons", "diff", "restart_required"):
        assert done[key] == predicted[key]


def test_check_mode_predicts_a_change_and_changes_nothing(fleet):
    fleet.make_authority()
    fleet.run(fleet.server())
    before = {path: path.read_bytes() for path in (fleet.etc / "dockerd").iterdir()}
    wider = fleet.server()
    wider["subject_alternative_names"] = [*wider["subject_alternative_names"], "DNS:host.docker.internal"]
    predicted = fleet.check(wider)
    assert {path: path.read_bytes() for path in (fleet.etc / "dockerd").iterdir()} == before
    assert fleet.tree() == FILES
    done = fleet.run(wider)
    for key in ("changed", "reasons", "diff", "restart_required"):
        assert done[key] == predicted[key]
    assert [reason["text"] for reason in done["reasons"]] == ["SAN missing: DNS host.docker.internal"]


def test_facts_describe_what_was_installed(fleet):
    fleet.make_authority()
    fact = fleet.run(fleet.server())["certificates"]["dockerd"]
    made = decoding.read_certificate((fleet.etc / "dockerd" / "cert.pem").read_bytes())
    assert fact["serial"] == made.serial
    assert fact["fingerprint_sha256"] == made.fingerprint_sha256
    assert fact["subject_alternative_names"] == [
        "IP:172.17.0.1",
        "IP:172.18.0.1",
        "URI:wormhole:ci1",
    ]
    assert (fact["subject"], fact["issuer"], fact["days_left"]) == (
        "CN=dockerd",
        "CN=wormhole.docker CA",
        364,
    )
    assert [reason["code"] for reason in fact["reasons"]] == ["missing"]


def test_no_private_key_and_no_passphrase_goes_over_the_wire(fleet):
    fleet.make_authority(passphrase=PASSPHRASE)
    result = fleet.run(fleet.server(), fleet.client(), ca_passphrase=PASSPHRASE)
    assert result["changed"]
    wire = json.dumps(fleet.sent) + "".join(fleet.answers) + json.dumps(result)
    assert "PRIVATE" not in wire
    assert PASSPHRASE not in wire
    keys = [
        path.read_text(encoding="utf-8") for path in (*fleet.etc.rglob("key.pem"), fleet.authority / "ca.key")
    ]
    assert len(keys) == 3
    for line in (line for key in keys for line in key.splitlines() if "-----" not in line):
        assert line not in wire


def test_no_result_holds_pem(fleet):
    fleet.make_authority()
    result = fleet.run(fleet.server())
    assert result["invocation"]
    assert "BEGIN" not in json.dumps(result)


def test_a_wrong_passphrase_is_rejected_before_the_host_is_contacted(fleet):
    fleet.make_authority(passphrase=PASSPHRASE)
    for wrong in ({}, {"ca_passphrase": "other"}):
        result = fleet.run(fleet.server(), **wrong)
        assert result["failed"]
        assert "passphrase" in result["msg"]
        assert fleet.sent == []


def test_invalid_input_is_rejected_before_the_host_is_contacted(fleet):
    fleet.make_authority()
    result = fleet.run(fleet.entry("x", profile="server", subject_alternative_names=["IP:172.17.0.1:2376"]))
    assert result["failed"]
    assert result["error"]["kind"] == "InvalidInput"
    assert fleet.sent == []


def test_a_relative_path_of_the_authority_is_rejected(fleet):
    result = fleet.run(fleet.server(), ca_directory="pki/ca")
    assert result["failed"]
    assert "ca_directory" in result["msg"]
    assert fleet.sent == []


def test_without_an_authority_the_module_to_run_is_named(fleet):
    result = fleet.run(fleet.server())
    assert result["failed"]
    assert "wormhole.docker.certificate_authority" in result["msg"]
    assert fleet.tree() == set()


def test_a_missing_key_of_the_authority_is_an_error_only_if_it_is_needed(fleet):
    fleet.make_authority()
    fleet.run(fleet.server())
    (fleet.authority / "ca.key").unlink()
    (fleet.etc / "dockerd" / "ca.pem").unlink()
    assert [reason["code"] for reason in fleet.run(fleet.server())["reasons"]] == ["trust_bundle_outdated"]
    result = fleet.run(fleet.server(), fleet.client())
    assert result["failed"]
    assert "without ca.key" in result["msg"]
    assert fleet.tree() == FILES


def test_errors_of_the_module_are_returned_unchanged(fleet):
    fleet.make_authority()
    result = fleet.run(fleet.client(owner="nobody-of-this-name"))
    assert result["failed"]
    assert result["error"]["subject"] == "certificate 'jenkins': owner"
    assert len(fleet.sent) == 1


def test_the_next_run_recovers_from_an_interruption_between_the_round_trips(fleet):
    fleet.make_authority()
    fleet.interrupt = True
    assert fleet.run(fleet.server())["unreachable"]
    assert fleet.tree() == {".dockerd.pending", ".dockerd.pending/key.pem"}
    fleet.interrupt = False
    assert fleet.run(fleet.server())["changed"]
    assert fleet.tree() == FILES


def use_another_authority(fleet):
    fleet.authority = fleet.authority.with_name("other")
    fleet.make_authority(common_name="Other")


def record_of(fleet):
    return fleet.state / certificate_record.NAME


def contents(fleet):
    return {path: path.read_bytes() for path in fleet.etc.rglob("*") if path.is_file()}


def test_an_authority_that_works_is_replaced_only_if_the_task_says_so(fleet, capfd):
    fleet.make_authority()
    fleet.run(fleet.server(), fleet.client())
    before, record = contents(fleet), record_of(fleet).read_bytes()
    use_another_authority(fleet)
    for certificates in ([fleet.client()], [fleet.client("new"), fleet.server()]):
        for check_mode in (True, False):
            refused = fleet.run(*certificates, check_mode=check_mode)
            assert "has valid certificates of CN=wormhole.docker CA (SHA-256 " in refused["msg"]
            assert "but this task uses another authority, CN=Other (SHA-256 " in refused["msg"]
            assert (contents(fleet), record_of(fleet).read_bytes()) == (before, record)
    result = fleet.run(fleet.server(), fleet.client(), ca_replace=True)
    assert [(reason["subject"], reason["code"]) for reason in result["reasons"]] == [
        (name, code)
        for name in ("dockerd", "jenkins")
        for code in ("wrong_issuer", "trust_bundle_outdated", "authority_replaced")
    ]
    assert capfd.readouterr().err.count("Clients with its certificates cannot connect") == 2
    assert result["restart_required"]
    assert not fleet.run(fleet.server(), fleet.client())["changed"]


def test_without_an_authority_that_of_another_controller_stays(fleet):
    fleet.make_authority()
    fleet.run(fleet.server())
    before = contents(fleet)
    fleet.authority = fleet.authority.with_name("missing")
    assert "which does not exist yet" in fleet.check(fleet.server())["msg"]
    assert "which does not exist yet" in fleet.run(fleet.server())["msg"]
    assert contents(fleet) == before
    assert fleet.check(fleet.server(), ca_replace=True)["changed"]


@pytest.mark.parametrize("replaces", [False, True])
def test_files_that_this_collection_did_not_create_stay(fleet, replaces):
    fleet.make_authority()
    fleet.run(fleet.client())
    shutil.copytree(fleet.etc / "jenkins", fleet.etc / "dockerd")
    record_of(fleet).unlink()
    use_another_authority(fleet)
    fleet.etc.joinpath("lone").mkdir()
    fleet.etc.joinpath("lone/key.pem").write_text("a key")
    before = contents(fleet)
    for name, files in (("dockerd", "ca.pem, cert.pem, key.pem"), ("lone", "key.pem")):
        for state in ("present", "absent"):
            refused = fleet.run(fleet.client(name, state=state), ca_replace=replaces)
            assert f"{fleet.etc}/{name} holds {files}, which this collection did not create" in refused["msg"]
            assert contents(fleet) == before
            assert not record_of(fleet).exists()


def test_a_certificate_of_the_same_name_and_authority_is_adopted_and_another_is_not(fleet):
    fleet.make_authority()
    fleet.run(fleet.client())
    record_of(fleet).unlink()
    before = contents(fleet)
    refused = fleet.run(fleet.client(common_name="other"))
    assert "did not create (CN=jenkins, issued by CN=wormhole.docker CA)" in refused["msg"]
    assert contents(fleet) == before
    (fleet.etc / "jenkins/key.pem").unlink()
    assert fleet.run(fleet.client())["changed"]
    assert not fleet.run(fleet.client())["changed"]


def test_a_change_of_a_client_requires_no_restart(fleet):
    fleet.make_authority()
    assert not fleet.run(fleet.client())["restart_required"]


def test_a_client_is_removed_in_one_round_trip(fleet):
    fleet.make_authority()
    fleet.run(fleet.server(), fleet.client())
    assert fleet.run(fleet.server(), fleet.client(state="absent"))["changed"]
    assert len(fleet.sent) == 1
    assert fleet.tree() == FILES


def test_a_policy_admits_the_certificate_that_is_installed(fleet, tmp_path, monkeypatch):
    policies = tmp_path / "policies"
    policies.mkdir()
    change = admitted._change
    monkeypatch.setattr(admitted, "_change", lambda _place, old, new: change(str(policies), old, new))
    fleet.make_authority()
    fleet.run(fleet.client())
    installed, path = fleet.etc / "jenkins" / "cert.pem", policies / "jenkins.json"
    first = admitted.fingerprint(installed.read_bytes())
    path.write_text(json.dumps({"policy": {}, "certificates": [first]}))

    assert fleet.run(fleet.client(subject_alternative_names=["DNS:other"]))["changed"]
    second = admitted.fingerprint(installed.read_bytes())
    assert second != first
    assert json.loads(path.read_text())["certificates"] == [second]
    fleet.run(fleet.client(state="absent"))
    assert not installed.exists()
    assert json.loads(path.read_text())["certificates"] == []


def test_a_hundred_identities_take_two_round_trips_then_one(fleet):
    fleet.make_authority()
    identities = [fleet.client(f"runner-{number}") for number in range(100)]
    assert len(fleet.run(*identities)["reasons"]) == 100
    assert len(fleet.sent) == 2
    assert not fleet.run(*identities)["changed"]
    assert len(fleet.sent) == 1
    keys = {(fleet.etc / f"runner-{number}" / "key.pem").read_bytes() for number in range(100)}
    assert len(keys) == 100


# --- certificate_authority through its module -----------------------------------------------------


def test_an_authority_is_predicted_created_and_then_unchanged(fleet):
    predicted = fleet.make_authority(check_mode=True)
    assert not fleet.authority.exists()
    made = fleet.make_authority()
    assert {key: made[key] for key in ("changed", "reasons", "diff")} == {
        key: predicted[key] for key in ("changed", "reasons", "diff")
    }
    assert made["certificate"] == (fleet.authority / "ca.pem").read_text(encoding="utf-8")
    again = fleet.make_authority(common_name="Other", key_type="rsa-4096")
    assert not again["changed"]
    assert again["subject"] == "CN=wormhole.docker CA"


def test_an_empty_passphrase_is_rejected(fleet):
    result = fleet.make_authority(passphrase="")
    assert result["failed"]
    assert "passphrase" in result["msg"]
    assert not fleet.authority.exists()


def test_no_result_of_the_authority_holds_its_key_or_passphrase(fleet):
    result = fleet.make_authority(passphrase=PASSPHRASE)
    assert result["invocation"]
    assert "PRIVATE" not in json.dumps(result)
    assert PASSPHRASE not in show(result)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o604, 0o666])
def test_a_private_key_by_path_that_others_can_read_is_reported(fleet, mode, capsys):
    fleet.make_authority()
    key = fleet.authority / "ca.key"
    key.chmod(mode)
    by_path = {
        "ca_certificate_path": str(fleet.authority / "ca.pem"),
        "ca_private_key_path": str(key),
    }
    for result in (fleet.run(fleet.server(), **by_path), fleet.run(fleet.server(), **by_path)):
        assert not result.get("failed"), result
        warnings = result.get("warnings", [])
        if mode & 0o077:
            assert [f"{key} has mode {mode:04o}: other users can read or replace it" in warnings[0]] == [True]
        assert len(warnings) == bool(mode & 0o077)
    capsys.readouterr()
    local = {name[3:]: value for name, value in by_path.items()}
    assert not fleet.sign(directory=None, **local).get("failed")
    # A module's own warnings are no part of its result here.
    assert (f"{key} has mode" in capsys.readouterr().err) == bool(mode & 0o077)


STRONGER = {"more iterations": ["-v2", "aes-256-cbc", "-iter", "600000"], "scrypt": ["-scrypt"]}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
@pytest.mark.parametrize("encryption", STRONGER.values(), ids=STRONGER)
def test_a_key_that_was_encrypted_again_is_used_and_not_changed(fleet, encryption):
    """As docs/certificates.md shows."""
    fleet.make_authority(passphrase=PASSPHRASE)
    key = fleet.authority / "ca.key"
    argv = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-out", f"{key}.new", *encryption]
    words = ["-passin", f"pass:{PASSPHRASE}", "-passout", f"pass:{PASSPHRASE}"]
    subprocess.run([*argv, *words], check=True)
    content = (fleet.authority / "ca.key.new").read_bytes()
    (fleet.authority / "ca.key.new").replace(key)
    key.chmod(0o400)
    again = fleet.make_authority(passphrase=PASSPHRASE)
    assert (again.get("failed"), again["changed"]) == (None, False)
    assert fleet.run(fleet.server(), ca_passphrase=PASSPHRASE)["changed"]
    assert key.read_bytes() == content


def uris(fleet, name):
    made = decoding.read_certificate((fleet.etc / name / "cert.pem").read_bytes())
    return [alternative.value for alternative in made.subject_alternative_names if alternative.kind == "URI"]


def test_certificates_of_a_shared_authority_name_the_host(fleet):
    fleet.make_authority()
    predicted = fleet.check(fleet.server(), fleet.client())
    done = fleet.run(fleet.server(), fleet.client())
    assert uris(fleet, "dockerd") == ["wormhole:ci1"]
    assert uris(fleet, "jenkins") == ["wormhole:ci1/jenkins"]
    assert "URI:wormhole:ci1/jenkins" in json.dumps(done["diff"])
    assert done["diff"] == predicted["diff"]
    assert not fleet.run(fleet.server(), fleet.client())["changed"]


def test_certificates_of_the_hosts_own_authority_do_not(fleet):
    fleet.authority = fleet.authority / "hosts" / "ci1"
    fleet.make_authority()
    done = fleet.run(fleet.server(), fleet.client())
    assert uris(fleet, "dockerd") == uris(fleet, "jenkins") == []
    assert "wormhole:" not in json.dumps(done["diff"])


def test_a_host_whose_authority_is_elsewhere_is_named_by_the_signing_task(fleet):
    fleet.make_authority()
    authority = fleet.sign()["authority"]
    requested = fleet.run(fleet.client(), authority=authority)
    given = {"requests": requested["requests"], "certificates": [fleet.client()]}
    issued = fleet.sign(**given, host="ci1")["issued"]
    predicted = fleet.check(fleet.client(), authority=authority)
    done = fleet.run(fleet.client(), authority=authority, issued=issued)
    assert uris(fleet, "jenkins") == ["wormhole:ci1/jenkins"]
    assert done["diff"] == predicted["diff"]
    assert "URI:wormhole:ci1/jenkins" in json.dumps(done["diff"])


def test_another_name_of_the_host_is_no_reason_and_comes_with_the_next_certificate(fleet):
    """Two names of one host in inventories do not have its certificates issued in turn."""
    fleet.make_authority()
    fleet.run(fleet.server(), fleet.client())
    fleet.variables = {"inventory_hostname": "other"}
    again = fleet.run(fleet.server(), fleet.client())
    assert not again["changed"], again["reasons"]
    assert not again["restart_required"]
    # Another reason: the diff has the change of the name, too.
    wider = fleet.server()
    wider["subject_alternative_names"] = [
        *wider["subject_alternative_names"],
        {"name": "IP:172.19.0.1", "urgent": False},
    ]
    predicted = fleet.check(wider)
    done = fleet.run(wider)
    assert [reason["code"] for reason in done["reasons"]] == ["san_missing"]
    assert not done["restart_required"]
    assert uris(fleet, "dockerd") == ["wormhole:other"]
    assert done["diff"] == predicted["diff"]
    assert "URI:wormhole:ci1" in json.dumps(done["diff"]["before"])
    assert "URI:wormhole:other" in json.dumps(done["diff"]["after"])
    assert uris(fleet, "jenkins") == ["wormhole:ci1/jenkins"]


def test_a_correction_without_a_new_certificate_does_not_claim_another_name(fleet):
    fleet.make_authority()
    fleet.run(fleet.server())
    fleet.variables = {"inventory_hostname": "other"}
    (fleet.etc / "dockerd" / "key.pem").chmod(0o440)
    diff = fleet.run(fleet.server())["diff"]
    assert "URI:wormhole:ci1" in json.dumps(diff["after"])
    assert "wormhole:other" not in json.dumps(diff)
