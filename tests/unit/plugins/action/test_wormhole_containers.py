# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin and module of wormhole_containers, with the fake engine and real certificates."""

from __future__ import annotations

import os
import re
import types

import pytest

from ansible_collections.wormhole.docker.plugins.action import wormhole_containers as action
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    EngineUnavailable,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue import launch, launch_list, unlisted
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import validate_list
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.io import program as program_host
from ansible_collections.wormhole.docker.plugins.modules import wormhole_containers as module
from ansible_collections.wormhole.docker.plugins.plugin_utils import wormholes
from ansible_collections.wormhole.docker.tests.unit.plugins.action import fleet as fleets
from ansible_collections.wormhole.docker.tests.unit.plugins.action.wormhole_host import make_host
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import (
    IMAGE,
    make_image,
)

READS = ("info", "version", "networks", "find_container", "find_image", "containers", "read_container_file")


class Lists:
    """A host, and a controller that runs lists of wormholes on it.

    Attributes:
        asked: the questions to the engine since the last run began.
        said: what the controller displayed in that run.
        processes: how many processes the last group of wormholes had.
    """

    def __init__(self, host, monkeypatch):
        self.host, self.engine = host, host.engine
        self.asked, self.said, self.processes = [], [], 0
        monkeypatch.setitem(fleets.MODULES, action.ActionModule.MODULE, module)
        for user in (launch_list, unlisted):
            monkeypatch.setattr(user, "open_engine", lambda params: host.engine)
        # Children would change copies of the fake engine.
        monkeypatch.setattr(launch_list, "call_side_by_side", self.one_after_another)
        monkeypatch.setattr(
            wormholes,
            "display",
            types.SimpleNamespace(display=lambda text, **_options: self.said.append(text)),
        )
        for name in READS:
            monkeypatch.setattr(host.engine, name, self.counting(name, getattr(host.engine, name)))

    def counting(self, name, original):
        def count(*arguments, **options):
            self.asked.append((name, *arguments))
            return original(*arguments, **options)

        return count

    def one_after_another(self, functions, *, limit, subject):
        assert limit > 1
        self.processes = len(functions)
        return [function() for function in functions]

    def run(self, *wormholes, check_mode=False, **options):
        self.asked.clear()
        self.said.clear()
        given = [self.wormhole(**wormhole) for wormhole in wormholes]
        arguments = {"wormholes": given, **self.host.source(options), **options}
        return self.host.run_task(action, arguments, check_mode)

    def wormhole(self, name, **options):
        values = {
            "image": IMAGE,
            "user": str(os.geteuid()),
            "identity_directory": str(self.host.etc / name),
            **options,
        }
        return {"name": name, **{key: value for key, value in values.items() if value is not None}}


@pytest.fixture
def lists(tmp_path, monkeypatch):
    return Lists(make_host(tmp_path, monkeypatch), monkeypatch)


NAMES = [{"name": f"agent-{number}"} for number in range(5)]


def test_a_list_takes_the_round_trips_of_one_wormhole(lists):
    first = lists.run(*NAMES)
    assert not first.get("failed"), first
    assert len(lists.host.sent) == 2
    assert lists.engine.names() == {wanted["name"]: "running" for wanted in NAMES}
    assert [item["name"] for item in first["wormholes"]] == [wanted["name"] for wanted in NAMES]
    assert all(item["changed"] and item["wormhole"]["proved"] for item in first["wormholes"])
    assert {item["certificate"]["common_name"] for item in first["wormholes"]} == {
        wanted["name"] for wanted in NAMES
    }
    codes = ["identity_missing", "missing"]
    assert [reason["code"] for reason in first["reasons"]] == codes * len(NAMES)
    assert [part["before_header"] for part in first["diff"]] == [wanted["name"] for wanted in NAMES]
    again = lists.run(*NAMES)
    assert (again["changed"], again["reasons"], again["diff"], len(lists.host.sent)) == (False, [], [], 1)
    assert [item["changed"] for item in again["wormholes"]] == [False] * len(NAMES)


def test_wormholes_that_do_not_change_share_processes(lists, monkeypatch):
    monkeypatch.setattr(launch_list, "SIDE_BY_SIDE", 2)
    lists.run(*NAMES)
    assert lists.processes == len(NAMES)

    def connect(pid, spec, wiring):
        if spec.identity == "agent-3":
            raise VerificationFailed("the engine", expected="an answer", found="none")

    monkeypatch.setattr(launch.verification, "connect_from_inside", connect)
    again = lists.run(*NAMES, {"name": "added"}, {**NAMES[0], "name": "second"})
    assert lists.processes == 2 + 2
    names = [*(wanted["name"] for wanted in NAMES), "added", "second"]
    assert [item["name"] for item in again["wormholes"]] == names
    assert [item["name"] for item in again["wormholes"] if item["failed"]] == ["agent-3"]
    assert [item["name"] for item in again["wormholes"] if item["changed"]] == ["added", "second"]
    assert {item["name"] for item in again["wormholes"] if not item.get("wormhole", {}).get("proved")} == {
        "agent-3"
    }


def test_a_list_knows_whether_it_issues_an_identity(lists):
    def issues(wanted):
        given = [lists.wormhole(**item) for item in wanted]
        params = [{**item, "discover_program": ""} for item in validate_list(given, {})]
        signing = launch.Signing(lists.host.sent[0]["authority"])
        return launch_list.WormholeList(params, signing, check_mode=True).issues

    lists.run(*NAMES[:1])
    assert not issues(NAMES[:1])
    assert not issues([{**NAMES[0], "labels": {"a": "b"}}])
    assert issues(NAMES[:2])


def test_nothing_is_asked_twice_if_nothing_changes(lists):
    lists.run(*NAMES)
    lists.run(*NAMES)
    assert len(lists.asked) == len(set(map(str, lists.asked))), lists.asked
    inspected = [question for question in lists.asked if question[0] == "find_container"]
    assert inspected == [("find_container", wanted["name"]) for wanted in NAMES]
    assert len([question for question in lists.asked if question[0] == "find_image"]) == 1


def test_check_mode_predicts_the_run_and_changes_nothing(lists):
    predicted = lists.run(*NAMES, check_mode=True)
    assert (len(lists.host.sent), lists.host.tree(), lists.engine.names()) == (1, set(), {})
    done = lists.run(*NAMES)
    for key in ("changed", "reasons", "diff"):
        assert predicted[key] == done[key]


def test_a_failure_leaves_the_others_alone_and_is_named(lists):
    lists.engine.failures["start_container"] = [None, EngineUnavailable("x", problem="no space left"), None]
    failed = lists.run(*NAMES[:3])
    assert failed["failed"]
    assert failed["msg"].startswith("1 of 3 wormholes failed. agent-1: ")
    assert "no space left" in failed["msg"]
    assert [item["failed"] for item in failed["wormholes"]] == [False, True, False]
    assert failed["wormholes"][1]["error"]["kind"] == "EngineUnavailable"
    assert set(lists.engine.names()) == {"agent-0", "agent-2"}
    assert failed["changed"]
    # Its identity is removed again, the others' are kept.
    assert {path for path in lists.host.tree() if "/" not in path} == {"agent-0", "agent-2"}
    assert [item["changed"] for item in lists.run(*NAMES[:3])["wormholes"]] == [False, True, False]


def test_what_is_not_listed_is_removed_first_and_on_request_only(lists):
    shared = {"transport": "unix", "image": IMAGE}
    lists.run(*NAMES[:3])
    lists.engine.create_container("unmanaged", {"Image": IMAGE})
    lists.run({"name": "new", **shared})
    assert len(lists.engine.names()) == 5
    predicted = lists.run(NAMES[0], {"name": "newer", **shared}, unlisted="remove", check_mode=True)
    assert len(lists.engine.names()) == 5
    lists.engine.calls.clear()
    done = lists.run(NAMES[0], {"name": "newer", **shared}, unlisted="remove")
    assert (done["reasons"], done["diff"]) == (predicted["reasons"], predicted["diff"])
    assert lists.engine.names() == {"agent-0": "running", "unmanaged": "created", "newer": "running"}
    order = [
        subject
        for method, subject in lists.engine.calls
        if method in ("remove_container", "create_container")
    ]
    assert order[-1] == "newer"
    assert {path for path in lists.host.tree() if "/" not in path} == {"agent-0"}
    assert not lists.run(NAMES[0], {"name": "newer", **shared}, unlisted="remove")["changed"]
    assert lists.run(unlisted="remove")["changed"]
    assert lists.engine.names() == {"unmanaged": "created"}


def test_a_failure_of_all_is_told_once(lists, monkeypatch):
    def open_engine(params):
        raise EngineUnavailable("x", problem="The engine does not answer")

    monkeypatch.setattr(launch_list, "open_engine", open_engine)
    failed = lists.run(*NAMES[:3])
    assert failed["msg"] == "3 of 3 wormholes failed. agent-0, agent-1, agent-2: The engine does not answer"


def test_what_is_missing_for_one_wormhole_does_not_stop_the_others(lists):
    failed = lists.run(NAMES[0], {"name": "lost", "networks": [{"name": "nowhere"}]})
    assert failed["msg"].startswith("1 of 2 wormholes failed. lost: ")
    assert "no network nowhere" in failed["msg"]
    assert lists.engine.names() == {"agent-0": "running"}
    assert lists.host.tree() >= {"agent-0/key.pem"}
    assert not [path for path in lists.host.tree() if "lost" in path]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"name": "agent-0"}, "The wormhole agent-0 is listed more than once"),
        (
            {"name": "far", "image": "cli", "engine": "ci2", "engine_address": "192.0.2.2"},
            "engine ci2 is not supported in a list",
        ),
        (
            {"name": "bb", "published_ports": ["127.0.0.1:80:81"]},
            "agent-0 and bb publish the same port 80/tcp of the host",
        ),
        ({"name": "bb", "imgae": "x"}, "bb: unknown options imgae"),
        ({"name": "bb", "memory": "much"}, "bb: memory"),
        ({"name": "bb", "port": "many"}, "bb: .*port"),
        ({"image": "x", "name": None}, "wormhole 2 of the list: .*name"),
    ],
)
def test_a_list_that_cannot_be_is_rejected_before_anything_is_sent(lists, second, message):
    first = {"name": "agent-0", "published_ports": ["80:80"]}
    given = [lists.wormhole(**first), {"image": IMAGE, **second}]
    given[1] = {key: value for key, value in given[1].items() if value is not None}
    rejected = lists.host.run_task(action, {"wormholes": given, "ca_directory": str(lists.host.authority)})
    assert rejected["failed"]
    assert re.search(message, rejected["msg"]), rejected["msg"]
    assert (lists.host.sent, lists.engine.names()) == ([], {})


def test_two_wormholes_share_an_identity_only_if_it_is_the_same(lists):
    shared = {"identity": "both", "identity_directory": str(lists.host.etc / "both")}
    rejected = lists.run({"name": "aa", **shared}, {"name": "bb", **shared, "identity_validity_days": 9})
    assert "The wormholes aa and bb set different options for the identity in" in rejected["msg"]
    assert lists.host.sent == []
    done = lists.run({"name": "aa", **shared}, {"name": "bb", **shared})
    assert not done.get("failed"), done
    assert lists.engine.names() == {"aa": "running", "bb": "running"}
    assert not lists.run({"name": "aa", **shared}, {"name": "bb", **shared})["changed"]


@pytest.mark.parametrize("how", ["absent", "unlisted"])
@pytest.mark.parametrize("kind", ["identity", "program"])
def test_what_several_share_goes_with_the_last_of_them(lists, monkeypatch, tmp_path, kind, how):
    programs = tmp_path / "programs"
    for name, value in (("DIRECTORY", ""), ("PROGRAM", "program"), ("NAMES", "names")):
        monkeypatch.setattr(program_host, name, str(programs / value))
    shared = {
        "identity": {"identity": "both", "identity_directory": str(lists.host.etc / "both")},
        "program": {"discover": "runtime"},
    }[kind]
    wanted = [{"name": "aa", **shared}, {"name": "bb", **shared}, {"name": "cc"}]
    made = lists.run(*wanted)
    assert not made.get("failed"), made
    assert programs.exists() == (kind == "program")
    if how == "absent":
        gone = lists.run(*({**item, "state": "absent"} for item in wanted))
    else:
        gone = lists.run(unlisted="remove")
    assert not gone.get("failed"), gone
    assert lists.engine.names() == {}
    assert lists.host.tree() == set()
    assert not programs.exists()


def test_a_wormhole_that_refers_to_another_one_comes_after_it(lists):
    joined = {"name": "aa", "network_mode": "container:zz", "transport": "unix"}
    done = lists.run(joined, {"name": "zz"})
    assert not done.get("failed"), done
    created = [subject for method, subject in lists.engine.calls if method == "create_container"]
    assert created == ["zz", "aa"]
    assert not lists.run(joined, {"name": "zz"})["changed"]


def test_images_to_pull_are_named_before_the_pull_begins(lists):
    lists.engine.registry["new"] = make_image("new")
    again = [{"name": name, "image": "new", "transport": "unix"} for name in ("aa", "bb")]
    pulled = []
    original = lists.engine.pull_image

    def pull(reference, **options):
        pulled.append((reference, list(lists.said)))
        return original(reference, **options)

    lists.engine.pull_image = pull
    done = lists.run(*again)
    assert not done.get("failed"), done
    assert pulled[0][0] == "new"
    assert pulled[0][1] == ["[ci1] pulling 1 image: new"]
    assert len(lists.host.sent) == 2
    assert "pulls" not in done
    # Together with a request for a certificate, there is no further round trip.
    lists.engine.registry["newer"] = make_image("newer")
    done = lists.run({"name": "cc", "image": "newer"})
    assert not done.get("failed"), done
    assert "[ci1] pulling 1 image: newer" in lists.said
    assert len(lists.host.sent) == 2


def test_changes_are_named_in_the_log(lists):
    lists.run(*NAMES[:2])
    assert [line.partition(": changed")[0] for line in lists.said] == ["[ci1] agent-0", "[ci1] agent-1"]
    lists.run(NAMES[0], {**NAMES[1], "env": {"A": "b"}})
    (line,) = lists.said
    assert line.startswith("[ci1] agent-1: changed: env A")


def test_an_authority_elsewhere_signs_all_identities_in_one_exchange(lists):
    authority = lists.host.sign()["authority"]
    asked = lists.run(*NAMES[:2], authority=authority)
    directories = [str(lists.host.etc / wanted["name"]) for wanted in NAMES[:2]]
    assert list(asked["requests"]) == directories
    assert [item["name"] for item in asked["certificates"]] == directories
    assert [item["common_name"] for item in asked["certificates"]] == ["agent-0", "agent-1"]
    assert lists.engine.names() == {}
    signed = lists.host.sign(certificates=asked["certificates"], requests=asked["requests"])
    done = lists.run(*NAMES[:2], authority=authority, issued=signed["issued"])
    assert not done.get("failed"), done
    assert not lists.run(*NAMES[:2], authority=authority)["changed"]


def test_internal_options_are_rejected_and_not_returned(lists):
    assert "announced is internal" in lists.run(*NAMES[:1], announced=True)["msg"]
    sent = []

    def execute_module(module_name, module_args, task_vars):
        sent.append(module_args)
        return {
            "changed": True,
            **({} if "announced" in module_args else {"pulls": ["new"]}),
            "invocation": {"module_args": dict(module_args)},
        }

    lists.host.execute_module = execute_module
    done = lists.run({"name": "aa", "transport": "unix"})
    assert [arguments.get("announced") for arguments in sent] == [None, True]
    assert all("discover_program" in arguments for arguments in sent)
    assert set(done["invocation"]["module_args"]) == {"wormholes"}


def test_nothing_is_requested_for_a_task_without_identities(lists):
    answer = {"changed": True, "requests": {"root": "x"}, "certificates": [{"name": "root"}]}
    lists.host.execute_module = lambda module_name, module_args, task_vars: dict(answer)
    assert not {"requests", "certificates"} & set(lists.run({"name": "aa", "transport": "unix"}))


def test_the_connection_of_the_task_is_the_default_of_its_wormholes(lists, monkeypatch):
    opened = []

    def open_engine(params):
        opened.append((params["docker_host"], params["timeout"]))
        return lists.engine

    monkeypatch.setattr(launch_list, "open_engine", open_engine)
    monkeypatch.setattr(launch, "open_engine", open_engine)
    there = {"transport": "unix", "verify": False}
    lists.run(
        {"name": "aa", **there},
        {"name": "bb", "docker_host": "unix:///run/b.sock", **there},
        docker_host="unix:///run/a.sock",
        timeout=7,
    )
    assert set(opened) == {("unix:///run/a.sock", 7), ("unix:///run/b.sock", 7)}


def test_values_of_variables_are_not_returned(lists):
    wanted = {"name": "aa", "transport": "unix", "env": {"TOKEN": "s3cret"}}
    result = lists.run(wanted)
    assert not result.get("failed"), result
    assert "s3cret" not in str(result)
    assert result["invocation"]["module_args"]["wormholes"][0]["env"] == {"TOKEN": "(hidden)"}
    assert "TOKEN=s3cret" in str(lists.run({**wanted, "return_environment": True}))
