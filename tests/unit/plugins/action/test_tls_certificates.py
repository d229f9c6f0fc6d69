# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both halves of tls_certificates together."""

from __future__ import annotations

import json

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import certificate_record, x509
from ansible_collections.wormhole.docker.tests.unit.plugins.action.fleet import PASSPHRASE, Fleet


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


def test_one_round_trip_if_drift_is_all_there_is(fleet):
    fleet.make_authority()
    fleet.run(fleet.server())
    (fleet.etc / "dockerd" / "key.pem").chmod(0o440)
    result = fleet.run(fleet.server())
    assert result["changed"]
    assert not result["restart_required"]
    assert [reason["code"] for reason in result["reasons"]] == ["mode_drift"]
    assert len(fleet.sent) == 1


def test_check_mode_on_a_virgin_host_predicts_the_run_and_touches_nothing(fleet):
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


def test_check_mode_predicts_a_change_and_touches_nothing(fleet):
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
    made = x509.read_certificate((fleet.etc / "dockerd" / "cert.pem").read_bytes())
    assert fact["serial"] == made.serial
    assert fact["fingerprint_sha256"] == made.fingerprint_sha256
    assert fact["subject_alternative_names"] == ["IP:172.17.0.1", "IP:172.18.0.1"]
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


def test_a_wrong_passphrase_is_refused_before_the_host_hears_of_it(fleet):
    fleet.make_authority(passphrase=PASSPHRASE)
    for wrong in ({}, {"ca_passphrase": "other"}):
        result = fleet.run(fleet.server(), **wrong)
        assert result["failed"]
        assert "passphrase" in result["msg"]
        assert fleet.sent == []


def test_bad_input_is_refused_before_the_host_hears_of_it(fleet):
    fleet.make_authority()
    result = fleet.run(fleet.entry("x", profile="server", subject_alternative_names=["IP:172.17.0.1:2376"]))
    assert result["failed"]
    assert result["error"]["kind"] == "InvalidInput"
    assert fleet.sent == []


def test_a_relative_path_of_the_authority_is_refused(fleet):
    result = fleet.run(fleet.server(), ca_directory="pki/ca")
    assert result["failed"]
    assert "ca_directory" in result["msg"]
    assert fleet.sent == []


def test_without_an_authority_the_module_to_run_is_named(fleet):
    result = fleet.run(fleet.server())
    assert result["failed"]
    assert "wormhole.docker.certificate_authority" in result["msg"]
    assert fleet.tree() == set()


def test_a_lost_key_of_the_authority_stops_only_what_needs_it(fleet):
    fleet.make_authority()
    fleet.run(fleet.server())
    (fleet.authority / "ca.key").unlink()
    (fleet.etc / "dockerd" / "ca.pem").unlink()
    assert [reason["code"] for reason in fleet.run(fleet.server())["reasons"]] == ["trust_bundle_outdated"]
    result = fleet.run(fleet.server(), fleet.client())
    assert result["failed"]
    assert "without ca.key" in result["msg"]
    assert fleet.tree() == FILES


def test_failures_of_the_module_come_through_as_they_are(fleet):
    fleet.make_authority()
    result = fleet.run(fleet.client(owner="nobody-of-this-name"))
    assert result["failed"]
    assert result["error"]["subject"] == "certificate 'jenkins': owner"
    assert len(fleet.sent) == 1


def test_an_interruption_between_the_round_trips_is_mended_by_the_next_run(fleet):
    fleet.make_authority()
    fleet.interrupt = True
    assert fleet.run(fleet.server())["unreachable"]
    assert fleet.tree() == {".dockerd.pending", ".dockerd.pending/key.pem"}
    fleet.interrupt = False
    assert fleet.run(fleet.server())["changed"]
    assert fleet.tree() == FILES


def test_another_authority_reissues_everything_at_once(fleet):
    fleet.make_authority()
    fleet.run(fleet.server(), fleet.client())
    fleet.authority = fleet.authority.with_name("other")
    fleet.make_authority(common_name="Other")
    result = fleet.run(fleet.server(), fleet.client())
    assert [(reason["subject"], reason["code"]) for reason in result["reasons"]] == [
        ("dockerd", "wrong_issuer"),
        ("dockerd", "trust_bundle_outdated"),
        ("jenkins", "wrong_issuer"),
        ("jenkins", "trust_bundle_outdated"),
    ]
    assert result["restart_required"]
    assert not fleet.run(fleet.server(), fleet.client())["changed"]


def test_a_clients_change_restarts_nothing(fleet):
    fleet.make_authority()
    assert not fleet.run(fleet.client())["restart_required"]


def test_a_client_is_removed_in_one_round_trip(fleet):
    fleet.make_authority()
    fleet.run(fleet.server(), fleet.client())
    assert fleet.run(fleet.server(), fleet.client(state="absent"))["changed"]
    assert len(fleet.sent) == 1
    assert fleet.tree() == FILES


def test_a_hundred_identities_take_two_round_trips_then_one(fleet):
    fleet.make_authority()
    identities = [fleet.client(f"runner-{number}") for number in range(100)]
    assert len(fleet.run(*identities)["reasons"]) == 100
    assert len(fleet.sent) == 2
    assert not fleet.run(*identities)["changed"]
    assert len(fleet.sent) == 1
    keys = {(fleet.etc / f"runner-{number}" / "key.pem").read_bytes() for number in range(100)}
    assert len(keys) == 100


# --- certificate_authority through its module ---------------------------------------------------------------------


def test_an_authority_is_predicted_made_and_left_alone(fleet):
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


def test_an_empty_passphrase_is_refused(fleet):
    result = fleet.make_authority(passphrase="")
    assert result["failed"]
    assert "passphrase" in result["msg"]
    assert not fleet.authority.exists()


def test_no_result_of_the_authority_holds_its_key_or_passphrase(fleet):
    result = json.dumps(fleet.make_authority(passphrase=PASSPHRASE))
    assert "PRIVATE" not in result
    assert PASSPHRASE not in result
