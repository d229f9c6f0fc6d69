# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module tls_certificates with state absent: created files are removed, and others stay."""

from __future__ import annotations

import json
import os
import shutil
import stat

import pytest

from ansible_collections.wormhole.docker.plugins.action import tls_certificates as tls_certificates_action
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    record as certificate_record,
)
from ansible_collections.wormhole.docker.plugins.module_utils._engine.command import EngineCommand
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io import daemon_config
from ansible_collections.wormhole.docker.tests.unit.plugins.action.fleet import Fleet


@pytest.fixture
def config(tmp_path):
    """The engine's configuration."""
    return tmp_path / "daemon.json"


@pytest.fixture
def fleet(tmp_path, config, monkeypatch):
    fleet = Fleet(tmp_path)
    words = f"dockerd -H fd:// --config-file {config}"
    monkeypatch.setattr(certificate_record, "directory", lambda: str(fleet.state))
    monkeypatch.setattr(certificate_record, "is_kept", lambda: True)
    monkeypatch.setattr(daemon_config, "observe_command", lambda: EngineCommand(words, f"/usr/sbin/{words}"))
    fleet.make_authority()
    return fleet


@pytest.fixture
def provisioned(fleet):
    fleet.run(fleet.server(), fleet.client(), fleet.client("backup"))
    return fleet


def absent(fleet, *, check_mode=False, **options):
    return fleet.run_task(tls_certificates_action, {"state": "absent", **options}, check_mode)


def snapshot(home):
    """Everything below a directory, with content, mode and time, except an authority's record."""
    found = {}
    for path in sorted(home.rglob("*")):
        if {"issued.jsonl", "seen"} & set(path.parts):
            continue
        info = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
        found[str(path)] = (info.st_mode, content, info.st_mtime_ns if content else 0)
    return found


def test_a_host_is_restored_to_its_original_state(fleet, tmp_path):
    before = snapshot(tmp_path)
    fleet.run(fleet.server(), fleet.client(directory=str(fleet.etc / "deep/er/jenkins")))
    predicted = absent(fleet, check_mode=True)
    assert fleet.tree() > {"dockerd/key.pem", "deep/er/jenkins/key.pem"}
    done = absent(fleet)
    assert done["changed"]
    assert {key: done[key] for key in ("changed", "reasons", "diff", "left")} == {
        key: predicted[key] for key in ("changed", "reasons", "diff", "left")
    }
    assert done["left"] == {}
    assert snapshot(tmp_path) == before
    assert not absent(fleet)["changed"]
    assert snapshot(tmp_path) == before


def test_a_host_without_created_certificates_is_unchanged(fleet, tmp_path):
    before = snapshot(tmp_path)
    assert not absent(fleet)["changed"]
    assert not absent(fleet, check_mode=True)["changed"]
    assert snapshot(tmp_path) == before


def test_removal_requires_neither_an_authority_nor_a_library(provisioned, monkeypatch):
    monkeypatch.setattr(decoding, "require", lambda: pytest.fail("the library was asked for"))
    shutil.rmtree(provisioned.authority)
    assert absent(provisioned, ca_directory=str(provisioned.authority))["changed"]
    assert provisioned.tree() == set()
    assert "ca_directory" not in json.dumps(provisioned.sent)


def test_only_certificates_below_the_directories_are_removed(provisioned):
    done = absent(provisioned, directories=[str(provisioned.etc / "jenkins") + "/"])
    assert [reason["subject"] for reason in done["reasons"]] == [str(provisioned.etc / "jenkins")] * 2
    assert not any(name.startswith("jenkins") for name in provisioned.tree())
    assert {"dockerd/key.pem", "backup/key.pem"} < provisioned.tree()
    assert absent(provisioned)["changed"]
    assert provisioned.tree() == set()


def test_unmanaged_files_stay_and_are_reported(provisioned):
    etc = provisioned.etc
    (etc / "dockerd/notes.txt").write_text("mine")
    (etc / "theirs").mkdir()
    (etc / "theirs/cert.pem").write_bytes((etc / "jenkins/cert.pem").read_bytes())
    (etc / "backup/cert.pem").unlink()
    (etc / "backup/cert.pem").write_text("another authority's")
    done = absent(provisioned)
    expected = {
        str(etc): ["theirs"],
        str(etc / "dockerd"): ["notes.txt"],
        str(etc / "backup"): ["cert.pem"],
    }
    assert done["left"] == expected
    left = {
        "dockerd",
        "dockerd/notes.txt",
        "theirs",
        "theirs/cert.pem",
        "backup",
        "backup/cert.pem",
    }
    assert provisioned.tree() == left
    again = absent(provisioned)
    assert not again["changed"]
    assert again["left"] == expected
    (etc / "dockerd/notes.txt").unlink()
    assert absent(provisioned)["changed"]
    assert provisioned.tree() == left - {"dockerd", "dockerd/notes.txt"}


def test_an_existing_directory_stays(fleet):
    (fleet.etc / "jenkins").mkdir(parents=True)
    fleet.run(fleet.client(), fleet.server())
    assert absent(fleet)["left"] == {}
    assert fleet.tree() == {"jenkins"}
    assert not fleet.state.exists()


def test_a_symbolic_link_is_not_followed(provisioned, tmp_path):
    key = provisioned.etc / "jenkins/key.pem"
    key.rename(tmp_path / "key.pem")
    key.symlink_to(tmp_path / "key.pem")
    assert absent(provisioned)["left"] == {str(key.parent): ["key.pem"]}
    assert key.is_symlink()
    assert (tmp_path / "key.pem").exists()


@pytest.mark.parametrize(("key", "name"), [("tlscert", "cert.pem"), ("tlscacert", "ca.pem")])
def test_files_named_in_daemon_json_are_rejected_before_anything_is_removed(provisioned, config, key, name):
    before = provisioned.tree()
    config.write_text(json.dumps({key: str(provisioned.etc / "dockerd" / name)}))
    refused = absent(provisioned)
    assert refused["failed"]
    assert key in refused["msg"]
    assert "would not start" in refused["msg"]
    assert provisioned.tree() == before
    # In check mode, an earlier task has only predicted that it removes the key.
    predicted = absent(provisioned, check_mode=True)
    assert predicted["changed"]
    assert key in json.dumps(predicted["reasons"])
    assert not absent(provisioned, directories=[str(provisioned.etc / "jenkins")]).get("failed")
    config.write_text('{"tlscert": "/elsewhere/cert.pem"}')
    assert not absent(provisioned).get("failed")
    assert provisioned.tree() == set()


def test_leftovers_of_an_interrupted_run_are_removed_too(fleet):
    fleet.interrupt = True
    fleet.run(fleet.server(), fleet.client())
    assert {".dockerd.pending/key.pem", ".jenkins.pending/key.pem"} < fleet.tree()
    assert absent(fleet)["changed"]
    assert not fleet.etc.exists()
    assert not fleet.state.exists()


def test_a_certificate_without_a_record_is_recorded_by_the_next_run(provisioned):
    certificates = provisioned.server(), provisioned.client(), provisioned.client("backup")
    (provisioned.state / "certificates.json").unlink()
    assert not absent(provisioned)["changed"]
    assert len(provisioned.tree()) == 12
    mended = provisioned.run(*certificates)
    assert {reason["code"] for reason in mended["reasons"]} == {"not_recorded"}
    assert not mended["restart_required"]
    assert not provisioned.run(*certificates)["changed"]
    absent(provisioned)
    # It is unknown whether the directories existed before.
    assert provisioned.tree() == {"dockerd", "jenkins", "backup"}


def test_renewed_reissued_and_removed_certificates_are_recorded(provisioned):
    fleet = provisioned
    fleet.run(fleet.server(key_type="ed25519"), fleet.client(common_name="other"))
    fleet.run(fleet.client("backup", state="absent"))
    assert not any(name.startswith("backup") for name in fleet.tree())
    assert "backup" not in (fleet.state / "certificates.json").read_text()
    fleet.make_authority(rotation="trust")
    fleet.rotate("trust")
    fleet.make_authority(rotation="reissue")
    fleet.rotate("servers")
    fleet.rotate("clients")
    fleet.make_authority(rotation="drop")
    fleet.rotate("drop")
    assert absent(fleet)["left"] == {}
    assert not fleet.etc.exists()
    assert not fleet.state.exists()


def test_the_record_is_for_root_and_holds_no_key(provisioned):
    record = provisioned.state / "certificates.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert "PRIVATE" not in record.read_text()


def test_other_files_beside_the_record_stay(provisioned):
    (provisioned.state / "listener").mkdir()
    absent(provisioned)
    assert os.listdir(provisioned.state) == ["listener"]


def test_an_invalid_record_is_reported(provisioned):
    (provisioned.state / "certificates.json").write_text("oops")
    refused = absent(provisioned)
    assert refused["failed"]
    assert "certificates.json" in refused["msg"]


def test_certificates_of_other_users_are_not_recorded(fleet, monkeypatch):
    monkeypatch.setattr(certificate_record, "is_kept", lambda: False)
    assert fleet.run(fleet.client())["changed"]
    assert not fleet.run(fleet.client())["changed"]
    assert not fleet.state.exists()
    refused = absent(fleet)
    assert refused["failed"]
    assert "become" in refused["msg"]
    assert fleet.run(fleet.client(state="absent"))["changed"]
    assert fleet.tree() == set()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"state": "absent", "certificates": [{"name": "a", "profile": "client", "directory": "/d"}]}, "a"),
        ({"state": "absent", "directories": ["relative"]}, "absolute"),
        ({"state": "present", "certificates": [], "directories": ["/d"], "ca_directory": "/ca"}, "absent"),
        ({"state": "present", "ca_directory": "/ca"}, "certificates"),
        ({"certificates": []}, "one of the following is required"),
        ({"state": "gone"}, "state"),
    ],
)
def test_invalid_options_are_rejected(fleet, options, complaint):
    refused = fleet.run_task(tls_certificates_action, options)
    assert refused["failed"]
    assert complaint in refused["msg"]
    assert not fleet.sent
