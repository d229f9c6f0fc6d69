# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin and module of wormhole_container, with the fake engine and real certificates."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    ApplyFailed,
    EngineUnavailable,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    record as certificate_record,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.ownership import Accepted
from ansible_collections.wormhole.docker.plugins.module_utils._glue import launch
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io import identity as identity_host
from ansible_collections.wormhole.docker.plugins.modules import wormhole_container as module
from ansible_collections.wormhole.docker.tests.unit.plugins.action import fleet as fleets
from ansible_collections.wormhole.docker.tests.unit.plugins.action.wormhole_host import make_host
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import (
    IMAGE,
    NONROOT_IMAGE,
    make_image,
)

PASSPHRASE = fleets.PASSPHRASE
FILES = {"agent", "agent/ca.pem", "agent/cert.pem", "agent/key.pem"}


@pytest.fixture
def host(tmp_path, monkeypatch):
    return make_host(tmp_path, monkeypatch)


def test_two_round_trips_if_the_identity_is_issued_and_one_if_nothing_is(host):
    first = host.launch()
    assert not first.get("failed"), first
    assert len(host.sent) == 2
    assert [reason["code"] for reason in first["reasons"]] == ["identity_missing", "missing"]
    assert first["certificate"]["common_name"] == "agent"
    assert first["wormhole"]["proved"]
    assert host.tree() == FILES
    second = host.launch()
    assert (second["changed"], second["reasons"], len(host.sent)) == (False, [], 1)
    assert second["certificate"] == first["certificate"]


def test_check_mode_on_a_virgin_host_predicts_the_run_and_touches_nothing(host):
    predicted = host.launch(check_mode=True)
    assert len(host.sent) == 1
    assert host.tree() == set()
    assert host.engine.names() == {}
    done = host.launch()
    assert {key: done[key] for key in ("changed", "reasons", "diff")} == {
        key: predicted[key] for key in ("changed", "reasons", "diff")
    }


def test_check_mode_assumes_that_an_authority_will_be_created(host):
    host.authority = host.authority.with_name("later")
    assert host.launch(check_mode=True)["changed"]
    failed = host.launch()
    assert failed["failed"]
    assert "wormhole.docker.certificate_authority" in failed["msg"]
    assert (host.tree(), host.engine.names()) == (set(), {})


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, ".wormhole/ca/hosts/ci1"),
        ({"certificate_authority_scope": "fleet"}, ".wormhole/ca"),
        ({"certificate_authority_directory": "~/pki"}, "pki/hosts/ci1"),
    ],
)
def test_the_default_authority_is_that_of_the_role(host, variables, place, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / place).parent.mkdir(parents=True)
    host.authority.rename(tmp_path / place)
    host.variables = variables
    assert host.launch(ca_directory=None)["certificate"]["common_name"] == "agent"


def test_another_hosts_engine_is_used_with_an_identity_of_its_authority(host, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / ".wormhole/ca/hosts/ci2"
    place.parent.mkdir(parents=True)
    host.authority.rename(place)
    far = {"listener_host_addresses": ["192.0.2.2", "192.0.2.3"], "listener_port": "2386"}
    host.variables = {"hostvars": {"ci1": {}, "ci2": far}}
    result = host.launch(ca_directory=None, engine="ci2")
    assert not result.get("failed"), result
    assert result["wormhole"]["docker_host"] == "tcp://192.0.2.2:2386"
    assert not host.launch(ca_directory=None, engine="ci2")["changed"]
    chosen = {"engine": "ci2", "engine_address": "ci2.example.org", "port": 2376}
    assert host.launch(ca_directory=None, **chosen)["wormhole"]["docker_host"] == "tcp://ci2.example.org:2376"


@pytest.mark.parametrize(
    ("engine", "said"),
    [("ci3", "The inventory has no host ci3"), ("ci1", "The engine of ci1 serves no clients on other hosts")],
)
def test_an_engine_that_cannot_be_used_is_rejected_before_anything_is_sent(host, engine, said):
    host.variables = {"hostvars": {"ci1": {"listener_host_addresses": ""}}}
    assert said in host.launch(engine=engine)["msg"]
    assert host.sent == []


def test_a_scope_that_does_not_exist_is_rejected(host):
    host.variables = {"certificate_authority_scope": "galaxy"}
    assert "certificate_authority_scope" in host.launch(ca_directory=None)["msg"]
    assert host.sent == []


def test_a_renewal_leaves_the_container_as_it_is_and_keeps_the_key(host):
    before = host.launch(identity_validity_days=30)
    key = (host.etc / "agent" / "key.pem").read_bytes()
    serial = host.serial()
    host.engine.calls.clear()
    renewed = host.launch(identity_renew_before_days=60)
    assert [reason["code"] for reason in renewed["reasons"]] == ["identity_expires_soon"]
    assert (renewed["container"]["Id"], host.engine.calls) == (before["container"]["Id"], [])
    assert host.serial() != serial
    assert (host.etc / "agent" / "key.pem").read_bytes() == key


@pytest.mark.parametrize("options", [{"transport": "unix"}, {"state": "absent", "image": None}])
def test_no_authority_is_read_if_no_identity_is_issued(host, options):
    result = host.launch(ca_directory="/nowhere", ca_passphrase=PASSPHRASE, **options)
    assert not result.get("failed"), result
    assert len(host.sent) == 1
    assert "authority" not in host.sent[0]


def test_no_key_and_no_passphrase_is_sent_to_the_host(host, tmp_path):
    host.authority = tmp_path / "locked"
    host.make_authority(passphrase=PASSPHRASE)
    content = {
        "ca_certificate_content": (host.authority / "ca.pem").read_text(),
        "ca_private_key_content": (host.authority / "ca.key").read_text(),
        "ca_passphrase": PASSPHRASE,
    }
    result = host.launch(**content)
    assert result["changed"]
    wire = json.dumps(host.sent) + "".join(host.answers) + json.dumps(result)
    assert "PRIVATE" not in wire
    assert PASSPHRASE not in wire
    assert "authority" not in result["invocation"]["module_args"]
    keys = [(host.etc / "agent" / "key.pem").read_text(), content["ca_private_key_content"]]
    for line in (line for key in keys for line in key.splitlines() if "-----" not in line):
        assert line not in wire


def test_it_is_signed_where_the_authority_is(host):
    public = host.sign()["authority"]
    asked = host.launch(authority=public)
    assert (set(asked["requests"]), len(host.sent)) == ({"agent"}, 1)
    assert host.engine.names() == {}
    issued = host.sign(certificates=asked["certificates"], requests=asked["requests"])["issued"]
    done = host.launch(authority=public, issued=issued)
    assert [reason["code"] for reason in done["reasons"]] == ["identity_missing", "missing"]
    assert not host.launch(authority=public)["changed"]


def test_malformed_input_is_rejected_on_the_controller(host):
    for options in (
        {"identity_validity_days": 0},
        {"name": "a b"},
        {"nonsense": 1},
        {"docker_host": "tcp://x"},
    ):
        assert host.launch(**options)["failed"]
        assert host.sent == []


def test_missing_requirements_are_reported_before_a_key_is_created(host):
    failed = host.launch(networks=[{"name": "later"}])
    assert "there is no network later" in failed["msg"]
    assert "image" in host.launch(image="absent:1", pull="never")["msg"]
    assert host.tree() == set()


@pytest.mark.parametrize("failing", ["create_container", "start_container"])
def test_a_container_that_cannot_be_created_leaves_no_identity(host, failing):
    host.engine.failures[failing] = [EngineUnavailable("the engine", found="a failure of this test")]
    assert host.launch()["failed"]
    assert (host.tree(), host.engine.names()) == (set(), {})
    assert not host.state.exists()
    assert not host.launch().get("failed")


def test_an_existing_identity_survives_a_container_that_cannot_be_created(host):
    host.launch()
    serial = host.serial()
    host.engine.remove_container("agent", force=True)
    host.engine.failures["create_container"] = [
        EngineUnavailable("the engine", found="a failure of this test")
    ]
    assert host.launch()["failed"]
    assert (host.tree(), host.serial()) == (FILES, serial)


def test_it_is_removed_with_its_container_in_one_round_trip(host):
    host.launch()
    absent = {"state": "absent", "image": None, "user": None}
    predicted = host.launch(check_mode=True, **absent)
    assert host.tree() == FILES
    removed = host.launch(**absent)
    assert (removed["diff"], removed["reasons"]) == (predicted["diff"], predicted["reasons"])
    assert len(host.sent) == 1
    assert (host.tree(), host.engine.names(), host.state.exists()) == (set(), {}, False)
    assert not host.launch(**absent)["changed"]


ABSENT = {"state": "absent", "image": None, "user": None}


@pytest.mark.parametrize("made", [{"transport": "unix"}, {"identity_managed": False}, None])
def test_an_unmanaged_identity_is_kept_when_the_wormhole_is_removed(host, made):
    host.run(host.client("agent"))
    if made is not None:
        assert not host.launch(**made).get("failed")
    removed = host.launch(**ABSENT)
    assert (removed["changed"], host.tree(), host.engine.names()) == (made is not None, FILES, {})
    assert not host.launch(**ABSENT)["changed"]
    assert host.tree() == FILES


def test_an_identity_is_removed_although_its_container_is_already_removed(host):
    host.launch()
    host.engine.remove_container("agent", force=True)
    removed = host.launch(**ABSENT)
    assert {reason["code"] for reason in removed["reasons"]} == {"identity_not_wanted"}
    assert (host.tree(), host.state.exists()) == (set(), False)


def test_an_identity_becomes_unmanaged_once_the_container_is_recreated_so(host):
    host.launch()
    host.launch(identity_managed=False, recreate=True)
    host.launch(**ABSENT)
    assert not host.launch(**ABSENT)["changed"]
    assert host.tree() == FILES


def test_unmanaged_files_are_kept_and_reported(host, monkeypatch):
    told = []
    monkeypatch.setattr(module.AnsibleModule, "warn", lambda _self, text: told.append(text))
    host.launch(policy="unrestricted")
    (host.etc / "agent" / "notes").write_text("mine")
    removed = host.launch(state="absent", image=None)
    assert host.tree() == {"agent", "agent/notes"}
    assert removed["left"] == {f"{host.etc}/agent": ["notes"]}
    assert told == [
        f"{host.etc}/agent is kept, because it contains files that this collection did not create: notes"
    ]


def test_files_that_a_container_without_its_identity_leaves_are_reported(host, monkeypatch):
    monkeypatch.setattr(module.AnsibleModule, "warn", lambda _self, text: None)
    assert host.launch()["left"] == {}
    (host.etc / "agent" / "notes").write_text("mine")
    assert host.launch(transport="unix")["left"] == {f"{host.etc}/agent": ["notes"]}


def test_an_identity_that_another_container_mounts_is_kept(host):
    host.launch()
    body = {"Image": IMAGE, "HostConfig": {"Binds": [f"{host.etc}/agent:/x:ro"]}}
    host.engine.create_container("theirs", body)
    host.launch(state="absent", image=None)
    assert host.tree() == FILES
    host.engine.remove_container("theirs")
    assert host.launch(state="absent", image=None)["changed"]
    assert host.tree() == set()


def test_wormholes_of_different_users_do_not_share_an_identity(host):
    host.launch()
    refused = host.launch(name="second", identity="agent", user="4321")
    assert refused["error"]["kind"] == "Refused"
    assert f"agent, whose user is {os.geteuid()}" in refused["msg"]
    by_name = host.launch(name="second", identity="agent", user="ci")
    assert by_name["error"]["kind"] == "Refused"
    assert host.engine.names() == {"agent": "running"}
    assert not host.launch(name="second", identity="agent").get("failed")


def test_an_unchanged_wormhole_costs_the_engine_no_more_than_one_without_an_identity(host, monkeypatch):
    asked = []
    for name in ("info", "networks", "find_container", "find_image", "containers", "read_container_file"):
        original = getattr(host.engine, name)

        def count(*args, _name=name, _original=original, **kwargs):
            asked.append(_name)
            return _original(*args, **kwargs)

        monkeypatch.setattr(host.engine, name, count)
    counts = {}
    for transport in ("tls", "unix"):
        host.launch(name=transport, transport=transport, verify=False)
        asked.clear()
        assert not host.launch(name=transport, transport=transport, verify=False)["changed"]
        counts[transport] = sorted(asked)
    assert counts["tls"] == counts["unix"]


# --- the owner ------------------------------------------------------------------------------------


@pytest.fixture
def given(host, monkeypatch):
    """The owners that were set, in order, each with the engine's actions before it."""
    happened = []

    def give(identity):
        happened.append((identity.uid, [method for method, _subject in host.engine.calls]))

    monkeypatch.setattr(identity_host, "give", give)
    # No owner is really set, so the run does not converge.
    monkeypatch.setattr(launch, "execute", _once)
    return happened


def _once(*, check_mode, subject, observe, plan, apply, describe):
    state = observe()
    decided = plan(state)
    apply(decided)
    return {"changed": True, "reasons": [], "diff": {}}


@pytest.mark.parametrize(
    "options, uid",
    [
        ({"user": "ci"}, 1234),
        ({"user": "77"}, 77),
        ({"image": NONROOT_IMAGE, "user": None}, 1234),
        ({"user": "root", "identity_owner": "ci"}, 1234),
        ({"user": "root", "identity_owner": "77:0"}, 77),
    ],
)
def test_an_identity_is_handed_over_once_the_container_is_created_and_before_it_is_started(
    host, given, options, uid
):
    # Issued before, for the user of this process.
    host.run(host.client("agent"))
    result = host.launch(**options)
    assert not result.get("failed"), result
    assert given == [(uid, ["create_container"])]


def test_a_replaced_container_keeps_its_identity_until_it_is_stopped_and_if_the_new_one_fails(host, given):
    host.run(host.client("agent"))
    host.launch()
    given.clear()
    host.engine.calls.clear()
    host.engine.images["next:1"] = make_image("next")
    host.engine.failures["start_container"] = [
        EngineUnavailable("the engine", found="a failure of this test")
    ]
    failed = host.launch(user="ci", image="next:1")
    assert "previous container runs as before" in failed["msg"]
    (first, calls), (second, later) = given
    assert (first, second) == (1234, os.geteuid())
    assert calls == ["create_container", "stop_container", "rename_container", "rename_container"]
    assert later[-3:] == ["start_container", "stop_container", "rename_container"]
    after = [method for method, _subject in host.engine.calls[len(later) :]]
    assert after == ["rename_container", "start_container", "remove_container"]


def test_an_owner_whom_the_image_does_not_know_costs_nothing(host):
    failed = host.launch(identity_owner="jenkins")
    assert "jenkins" in failed["msg"]
    assert (host.engine.names(), host.tree()) == ({}, set())


def test_an_incomplete_handover_is_undone(host, given, monkeypatch):
    host.run(host.client("agent"))
    host.launch()
    given.clear()
    give = identity_host.give

    def give_in_part(identity):
        give(identity)
        if identity.uid == 77:
            raise ApplyFailed("key.pem", found="a failure of this test")

    monkeypatch.setattr(identity_host, "give", give_in_part)
    failed = host.launch(user="77")
    assert "previous container runs as before" in failed["msg"]
    assert [uid for uid, _calls in given] == [77, os.geteuid()]


def test_a_wormhole_whose_previous_container_cannot_be_removed_keeps_its_new_identity(host):
    host.launch(transport="unix")
    host.engine.failures["remove_container"] = [
        EngineUnavailable("the engine", found="a failure of this test")
    ]
    failed = host.launch()
    assert "a failure of this test" in failed["msg"]
    assert host.engine.names() == {"agent": "running", "agent.wormhole-former": "exited"}
    assert host.tree() == FILES
    assert not host.launch().get("failed")
    assert host.engine.names() == {"agent": "running"}


def test_a_container_with_host_users_keeps_its_identity_if_the_task_leaves_the_option_out(host, monkeypatch):
    info = host.engine.info()
    mapped = {"SecurityOptions": ["name=userns"], "DockerRootDir": "/var/lib/docker/100000.100000"}
    monkeypatch.setattr(host.engine, "info", lambda: {**info, **mapped})
    first = host.launch(userns_mode="host")
    assert not first.get("failed"), first
    assert (host.etc / "agent" / "key.pem").stat().st_uid == os.geteuid()
    second = host.launch()
    assert (second.get("failed"), second["changed"]) == (None, False), second


def test_a_failed_cleanup_does_not_hide_the_first_error(host, monkeypatch):
    def fail(plan):
        raise ApplyFailed("key.pem", found="another failure of this test")

    monkeypatch.setattr(identity_host.certificate_removal, "apply_removal", fail)
    host.engine.failures["create_container"] = [
        EngineUnavailable("the engine", found="a failure of this test")
    ]
    failed = host.launch()
    assert failed["msg"].startswith("the engine: found a failure of this test")
    assert host.tree() == FILES
    assert not host.launch().get("failed")


@pytest.mark.parametrize("recorded", [True, False])
def test_an_identity_is_given_back_to_a_restored_container_only_if_it_is_recorded(
    host, given, monkeypatch, recorded
):
    host.launch()
    previous = host.engine.find_container("agent")["Id"]
    host.engine.rename_container(previous, "agent.wormhole-former")
    given.clear()
    if not recorded:
        certificate_record.update(lambda record: record.without_identity(str(host.etc / "agent")))
    restored = host.launch(image=None, user=None)
    assert not restored.get("failed"), restored
    assert host.engine.names() == {"agent": "running"}
    assert [uid for uid, _calls in given] == ([os.geteuid()] if recorded else [])


def use_another_authority(host):
    host.authority = host.authority.with_name("other")
    host.make_authority(common_name="Other")


def accept(host):
    """Make the engine accept the clients of the present authority only."""
    anchors = decoding.read_bundle((host.authority / "ca.pem").read_bytes())
    host.accepted = Accepted("/etc/wormhole/server/ca.pem", anchors)


def test_an_identity_of_another_authority_that_works_is_kept(host, capfd):
    host.launch()
    serial = host.serial()
    use_another_authority(host)
    for check_mode in (True, False):
        refused = host.launch(check_mode=check_mode)
        assert "has valid certificates of CN=wormhole.docker CA (SHA-256 " in refused["msg"]
        assert host.serial() == serial
    result = host.launch(ca_replace=True)
    assert "identity_authority_replaced" in [reason["code"] for reason in result["reasons"]]
    assert "Clients with its certificates cannot connect" in capfd.readouterr().err
    assert host.serial() != serial


def test_an_identity_that_its_engine_would_not_accept_is_not_issued(host):
    accept(host)
    assert host.launch()["changed"]
    serial = host.serial()
    use_another_authority(host)
    for name in ("agent", "new"):
        options = {"name": name, "identity_directory": str(host.etc / name)}
        refused = host.launch(ca_replace=True, **options)
        assert (
            "the engine of this host accepts only clients of CN=wormhole.docker CA (SHA-256 "
            in refused["msg"]
        )
        assert (host.serial(), host.tree()) == (serial, FILES)
    assert (
        "accepts only clients of"
        in host.launch(True, name="new", identity_directory=str(host.etc / "new"))["msg"]
    )
    # In check mode, an earlier task may be about to change the engine.
    assert host.launch(True, ca_replace=True)["changed"]
    accept(host)
    assert host.launch(ca_replace=True)["changed"]


def test_check_mode_expects_an_earlier_task_to_replace_an_expired_authority(host):
    accept(host)
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    expired = tuple(dataclasses.replace(anchor, not_after=past) for anchor in host.accepted.anchors)
    host.accepted = dataclasses.replace(host.accepted, anchors=expired)
    use_another_authority(host)
    assert host.launch(check_mode=True).get("changed")
    assert "accepts only clients of" in host.launch()["msg"]
    assert host.tree() == set()


def test_check_mode_expects_an_earlier_task_to_replace_adopted_keys(host):
    accept(host)
    use_another_authority(host)
    for unit in host.units.iterdir():
        unit.unlink()
    assert host.launch(check_mode=True).get("changed")
    assert "dockerd does not listen" in host.launch()["msg"]
    assert host.tree() == set()


def test_an_identity_directory_with_other_files_is_rejected(host):
    (host.etc / "agent").mkdir(parents=True)
    (host.etc / "agent/ca.pem").write_text("of others")
    assert "which this collection did not create" in host.launch()["msg"]
    assert (host.etc / "agent/ca.pem").read_text() == "of others"


def test_a_name_that_is_too_long_for_an_identity_is_rejected_with_the_option_that_helps(host):
    long = "a" * 65
    refused = host.launch(name=long)
    assert refused["msg"].startswith("identity: expected 1 to 64 printable characters")
    assert refused["msg"].endswith("Set the option identity to a shorter or simpler one")
    assert host.launch(name=long, identity="short")["changed"]


def test_values_of_variables_leave_the_result_only_on_request(host):
    secrets = {"env": {"TOKEN": "s3cret"}}
    first = host.launch(**secrets)
    again = host.launch(**secrets)
    changed = host.launch(env={"TOKEN": "an0ther"})
    for result in (first, again, changed):
        assert not result.get("failed"), result
        assert "s3cret" not in str(result)
        assert "an0ther" not in str(result)
        assert "TOKEN=(hidden)" in result["container"]["Config"]["Env"]
    assert first["invocation"]["module_args"]["env"] == {"TOKEN": "(hidden)"}
    assert "an0ther" not in str(host.launch(state="absent", check_mode=True))
    # The container itself has the value, and the address of its engine is no secret.
    shown = host.launch(**secrets, return_environment=True)
    assert "TOKEN=s3cret" in shown["container"]["Config"]["Env"]
    assert shown["invocation"]["module_args"]["env"] == {"TOKEN": "(hidden)"}
    (address,) = [item for item in first["container"]["Config"]["Env"] if item.startswith("DOCKER_HOST=")]
    assert address.startswith("DOCKER_HOST=tcp://")


def test_the_log_of_the_host_has_no_secrets(host, monkeypatch):
    logged = []
    monkeypatch.setattr(AnsibleModule, "log", lambda self, text, log_args=None: logged.append(text))
    assert host.launch(env={"TOKEN": "s3cret"})["changed"]
    assert host.engine.find_container("agent")["Config"]["Env"].count("TOKEN=s3cret") == 1
    invocations = [text for text in logged if text.startswith("Invoked with ")]
    assert len(invocations) == len(host.sent)
    for text in invocations:
        assert "name=agent" in text
        assert "TOKEN" in text
        assert "s3cret" not in text
        assert "discover_program" not in text
