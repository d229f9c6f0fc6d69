# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both halves of wormhole_container together, against the fake engine and real certificates."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.wormhole.docker.plugins.action import wormhole_container as action
from ansible_collections.wormhole.docker.plugins.module_utils._adapters import (
    certificate_record,
    identity_host,
    x509,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters import managed_wormhole as managed
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    ApplyFailed,
    EngineUnavailable,
)
from ansible_collections.wormhole.docker.plugins.modules import wormhole_container as module
from ansible_collections.wormhole.docker.tests.unit.plugins.action import fleet as fleets
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._adapters.fake_engine import (
    IMAGE,
    NONROOT_IMAGE,
    FakeEngine,
    make_image,
)

PASSPHRASE = fleets.PASSPHRASE
FILES = {"agent", "agent/ca.pem", "agent/cert.pem", "agent/key.pem"}


class Host(fleets.Fleet):
    """A controller, and a host with an engine and a listener. Whose files are is noted, and not done: that needs root."""

    def __init__(self, home, monkeypatch):
        super().__init__(home)
        self.engine = FakeEngine()
        self.owners = {}
        units = home / "units"
        units.mkdir()
        (units / "wormhole-docker-172.17.0.1:2376.socket").write_text(
            "[Socket]\nListenStream=172.17.0.1:2376\n"
        )
        monkeypatch.setitem(fleets.MODULES, action.ActionModule.MODULE, module)
        monkeypatch.setattr(module, "open_engine", lambda params: self.engine)
        monkeypatch.setattr(module, "traverse", lambda pid, spec, wiring: None)
        monkeypatch.setattr(managed.WormholeHost.__init__, "__kwdefaults__", {"unit_directory": str(units)})
        monkeypatch.setattr(
            managed.ManagedWormhole.__init__, "__kwdefaults__", {"unit_directory": str(units)}
        )
        monkeypatch.setattr(certificate_record, "directory", lambda: str(self.state))
        monkeypatch.setattr(certificate_record, "is_kept", lambda: True)

    def launch(self, check_mode=False, **options):
        arguments = {
            "name": "agent",
            "image": IMAGE,
            "user": str(os.geteuid()),
            "identity_directory": str(self.etc / "agent"),
            **self.source(options),
            **options,
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        return self.run_task(action, arguments, check_mode)

    def serial(self):
        return x509.read_certificate((self.etc / "agent" / "cert.pem").read_bytes()).serial


@pytest.fixture
def host(tmp_path, monkeypatch):
    # The group of an identity's files is root's, which only root can give.
    monkeypatch.setattr(
        "ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_identity.GROUP", os.getegid()
    )
    monkeypatch.setattr(
        "ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_identity.owned.__defaults__",
        (os.getegid(),),
    )
    host = Host(tmp_path, monkeypatch)
    host.make_authority()
    return host


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


def test_check_mode_assumes_that_an_authority_is_going_to_be_made(host):
    host.authority = host.authority.with_name("later")
    assert host.launch(check_mode=True)["changed"]
    failed = host.launch()
    assert failed["failed"]
    assert "wormhole.docker.certificate_authority" in failed["msg"]
    assert (host.tree(), host.engine.names()) == (set(), {})


def test_a_bare_task_uses_the_authority_that_the_role_makes(host, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".wormhole").mkdir()
    host.authority.rename(tmp_path / ".wormhole" / "ca")
    assert host.launch(ca_directory=None)["certificate"]["common_name"] == "agent"


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
def test_where_no_identity_is_made_no_authority_is_read(host, options):
    result = host.launch(ca_directory="/nowhere", ca_passphrase=PASSPHRASE, **options)
    assert not result.get("failed"), result
    assert len(host.sent) == 1
    assert "authority" not in host.sent[0]


def test_no_key_and_no_passphrase_goes_over_the_wire(host, tmp_path):
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


def test_bad_input_is_refused_before_the_host_hears_of_it(host):
    for options in (
        {"identity_validity_days": 0},
        {"name": "a b"},
        {"nonsense": 1},
        {"docker_host": "tcp://x"},
    ):
        assert host.launch(**options)["failed"]
        assert host.sent == []


def test_what_is_missing_besides_is_told_before_a_key_is_made(host):
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


def test_an_identity_that_was_there_survives_a_container_that_cannot_be_created(host):
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
def test_an_identity_of_somebody_else_stays_when_a_wormhole_of_its_name_goes(host, made):
    host.run(host.client("agent"))
    if made is not None:
        assert not host.launch(**made).get("failed")
    removed = host.launch(**ABSENT)
    assert (removed["changed"], host.tree(), host.engine.names()) == (made is not None, FILES, {})
    assert not host.launch(**ABSENT)["changed"]
    assert host.tree() == FILES


def test_an_identity_goes_although_its_container_has_gone_without_it(host):
    host.launch()
    host.engine.remove_container("agent", force=True)
    removed = host.launch(**ABSENT)
    assert {reason["code"] for reason in removed["reasons"]} == {"identity_not_wanted"}
    assert (host.tree(), host.state.exists()) == (set(), False)


def test_an_identity_that_was_handed_to_somebody_else_is_theirs_once_the_container_says_so(host):
    host.launch()
    host.launch(identity_managed=False, recreate=True)
    host.launch(**ABSENT)
    assert not host.launch(**ABSENT)["changed"]
    assert host.tree() == FILES


def test_what_was_not_made_here_stays_and_is_told(host, monkeypatch):
    told = []
    monkeypatch.setattr(module.AnsibleModule, "warn", lambda _self, text: told.append(text))
    host.launch()
    (host.etc / "agent" / "notes").write_text("mine")
    removed = host.launch(state="absent", image=None)
    assert host.tree() == {"agent", "agent/notes"}
    assert removed["left"] == {f"{host.etc}/agent": ["notes"]}
    assert told == [f"{host.etc}/agent stays with what was not made by this module: notes"]


def test_an_identity_that_somebody_elses_container_mounts_stays(host):
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
    assert f"agent, which runs as user {os.geteuid()}" in refused["msg"]
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


# --- who owns it ---------------------------------------------------------------------------------------------------


@pytest.fixture
def given(host, monkeypatch):
    """What was given to whom, in order: the user of the directory's key, and what happened in the engine before."""
    happened = []

    def give(keeper, identity):
        happened.append((identity.uid, [method for method, _subject in host.engine.calls]))

    monkeypatch.setattr(identity_host.ManagedIdentity, "_give", give)
    # Nothing is changed in truth, so the run does not find what it has wanted.
    monkeypatch.setattr(module, "execute", _once)
    return happened


def _once(*, check_mode, subject, observe, plan, apply, describe):
    state = observe()
    decided = plan(state)
    apply(decided)
    return {"changed": True, "reasons": [], "diff": {}}


@pytest.mark.parametrize(
    "options, uid",
    [({"user": "ci"}, 1234), ({"user": "77"}, 77), ({"image": NONROOT_IMAGE, "user": None}, 1234)],
)
def test_an_identity_is_handed_over_once_the_container_is_created_and_before_it_is_started(
    host, given, options, uid
):
    # Issued beforehand, for whom this process can issue it.
    host.run(host.client("agent"))
    result = host.launch(**options)
    assert not result.get("failed"), result
    assert given == [(uid, ["create_container"])]


def test_a_container_that_is_replaced_has_its_identity_until_it_is_stopped_and_if_its_successor_fails(
    host, given
):
    host.run(host.client("agent"))
    host.launch()
    given.clear()
    host.engine.calls.clear()
    host.engine.images["next:1"] = make_image("next")
    host.engine.failures["start_container"] = [
        EngineUnavailable("the engine", found="a failure of this test")
    ]
    failed = host.launch(user="ci", image="next:1")
    assert "former container runs as before" in failed["msg"]
    (first, calls), (second, later) = given
    assert (first, second) == (1234, os.geteuid())
    assert calls == ["rename_container", "create_container", "stop_container"]
    assert later[-3:] == ["start_container", "remove_container", "rename_container"]


def test_what_is_handed_over_in_part_is_taken_back(host, given, monkeypatch):
    host.run(host.client("agent"))
    host.launch()
    given.clear()
    give = identity_host.ManagedIdentity._give

    def give_in_part(keeper, identity):
        give(keeper, identity)
        if identity.uid == 77:
            raise ApplyFailed("key.pem", found="a failure of this test")

    monkeypatch.setattr(identity_host.ManagedIdentity, "_give", give_in_part)
    failed = host.launch(user="77")
    assert "former container runs as before" in failed["msg"]
    assert [uid for uid, _calls in given] == [77, os.geteuid()]


def test_a_wormhole_whose_former_container_cannot_be_removed_keeps_its_new_identity(host):
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


def test_a_container_that_is_exempt_from_mapped_users_keeps_its_identity_though_the_task_does_not_say_so_again(
    host, monkeypatch
):
    info = host.engine.info()
    mapped = {"SecurityOptions": ["name=userns"], "DockerRootDir": "/var/lib/docker/100000.100000"}
    monkeypatch.setattr(host.engine, "info", lambda: {**info, **mapped})
    first = host.launch(userns_mode="host")
    assert not first.get("failed"), first
    assert (host.etc / "agent" / "key.pem").stat().st_uid == os.geteuid()
    second = host.launch()
    assert (second.get("failed"), second["changed"]) == (None, False), second


def test_an_identity_that_cannot_be_discarded_hides_no_failure(host, monkeypatch):
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
