# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observing and changing wormholes, against the fake engine and real files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.identity_host import (
    GivenIdentity,
    NoIdentity,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wormhole_host import WormholeHost
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    ApplyFailed,
    EngineUnavailable,
    MissingRequirement,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import parse_spec
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_plan import plan_wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_simulation import (
    simulate_wormhole,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._adapters.engine_contract import (
    OPTION_VALUES,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._adapters.fake_engine import (
    IMAGE,
    NONROOT_IMAGE,
    FakeEngine,
    make_image,
)

DEFAULTS = {
    "name": "agent",
    "state": "started",
    "image": IMAGE,
    "pull": "missing",
    "transport": "tls",
    "certificate_path": "/certs",
    "port": 2376,
    "recreate": False,
    "adopt": False,
    "verify": True,
}
FAILURE = EngineUnavailable("the engine", found="a failure of this test")


class Bench:
    """A host with an engine, a listener and an identity that root may read."""

    def __init__(self, directory):
        self.engine = FakeEngine()
        self.unit = directory / "wormhole-docker-172.17.0.1:2376.socket"
        self.unit.write_text("[Socket]\nListenStream=172.17.0.1:2376\n")
        self.identity = directory / "identity"
        self.identity.mkdir(mode=0o755)
        for name in ("ca.pem", "cert.pem", "key.pem"):
            (self.identity / name).write_text("")
            (self.identity / name).chmod(0o400)
        self.socket = directory / "docker.sock"
        self.socket.write_text("")
        self.proofs = []
        self.proof_error = None

    def prove(self, container, spec, wiring, just_started):
        self.proofs.append((container, wiring.docker_host, just_started))
        if self.proof_error:
            raise self.proof_error  # pylint: disable=raising-bad-type

    def open(self, **params):
        params = {**DEFAULTS, "identity_directory": str(self.identity), **params}
        spec = parse_spec(params, str(self.socket))
        keeper = GivenIdentity(spec, self.engine) if spec.wiring.transport == "tls" else NoIdentity()
        directory = str(self.unit.parent)
        return spec, WormholeHost(spec, self.engine, self.prove, keeper, unit_directory=directory)

    def plan(self, **params):
        spec, host = self.open(**params)
        return plan_wormhole(spec, host.observe())

    def run(self, **params):
        """What the module does; returns the first plan, and holds the run to its promises."""
        spec, host = self.open(**params)
        state = host.observe()
        plan = plan_wormhole(spec, state)
        assert plan_wormhole(spec, simulate_wormhole(state, plan)).is_empty
        if not plan.is_empty:
            host.apply(plan)
            left = plan_wormhole(spec, host.observe())
            assert left.is_empty, left.texts()
        else:
            host.prove_running(state.container)
        return plan

    def identifier(self, name="agent"):
        found = self.engine.find_container(name)
        return found and found["Id"]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def methods(bench):
    return [method for method, _subject in bench.engine.calls]


def test_a_wormhole_is_created_started_and_proved(bench):
    bench.run()
    assert bench.engine.names() == {"agent": "running"}
    assert bench.proofs == [(bench.identifier(), "tcp://172.17.0.1:2376", True)]


def test_a_second_run_changes_nothing_and_proves_again(bench):
    bench.run()
    bench.engine.calls.clear()
    assert bench.run().is_empty
    assert bench.engine.calls == []
    assert bench.proofs[1:] == [(bench.identifier(), "tcp://172.17.0.1:2376", False)]


def test_a_wormhole_that_broke_is_reported_though_nothing_is_to_be_changed(bench):
    bench.run()
    bench.proof_error = VerificationFailed("broken")
    with pytest.raises(VerificationFailed):
        bench.run()
    assert bench.engine.names() == {"agent": "running"}


@pytest.mark.parametrize("params", [{"verify": False}, {"state": "stopped"}, {"state": "present"}])
def test_what_is_not_to_be_proved_is_not(bench, params):
    bench.run(**params)
    bench.run(**params)
    assert bench.proofs == []


def test_a_container_that_is_meant_to_end_is_started_once_a_run(bench):
    assert not bench.run(command="false", verify=False).is_empty
    assert bench.engine.names() == {"agent": "exited"}
    assert [reason.code for reason in bench.run(command="false", verify=False).reasons] == ["not_running"]


@pytest.mark.parametrize("option", sorted(set(OPTION_VALUES) - {"network_mode"}))
def test_an_option_is_set_changed_and_left(bench, option):
    bench.engine.files["/etc/passwd"] = b""
    (bench.identity / "key.pem").chmod(0o444)
    (bench.identity / "cert.pem").chmod(0o444)
    (bench.identity / "ca.pem").chmod(0o444)
    first, second = OPTION_VALUES[option]
    if option == "etc_hosts":
        first = {"a": "192.0.2.1"}
    bench.run()
    assert not bench.run(**{option: first}).is_empty
    assert bench.run(**{option: first}).is_empty
    assert bench.run().is_empty, "an option that is left out is not compared"
    assert not bench.run(**{option: second}).is_empty
    assert bench.engine.names() == {"agent": "running"}


def test_planning_touches_nothing(bench):
    bench.unit.unlink()
    (bench.identity / "key.pem").unlink()
    bench.engine.images.clear()
    plan = bench.plan()
    assert [reason.code for reason in plan.reasons] == ["missing"]
    assert plan.after["env"]["DOCKER_HOST"] == "tcp://172.17.0.1:2376"
    assert bench.engine.calls == []


def test_the_plan_of_a_virgin_host_is_the_plan_of_the_run(bench):
    text = bench.unit.read_text()
    bench.unit.unlink()
    (bench.identity / "key.pem").unlink()
    predicted = bench.plan()
    bench.unit.write_text(text)
    (bench.identity / "key.pem").write_text("")
    assert bench.run() == predicted


# -- what has to be there first --------------------------------------------------------------------


def no_listener(bench):
    bench.unit.unlink()


def other_port(bench):
    bench.unit.write_text("[Socket]\nListenStream=172.17.0.1:2377\n")


def no_key(bench):
    (bench.identity / "key.pem").unlink()


def no_identity(bench):
    bench.identity.rename(bench.identity.with_name("elsewhere"))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (no_listener, "dockerd listens nowhere for wormholes on port 2376.*role wormhole.docker.listener"),
        (other_port, "dockerd listens nowhere for wormholes on port 2376"),
        (no_key, "identity directory .*found no key.pem.*tls_certificates"),
        (no_identity, "identity directory .*found no ca.pem"),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_a_missing_precondition_is_named_before_anything_is_touched(bench, spoil, message, exists):
    if exists:
        bench.run()
    spoil(bench)
    bench.engine.calls.clear()
    with pytest.raises(MissingRequirement, match=message):
        bench.run(user="0")
    assert bench.engine.calls == []


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    "params",
    [
        {"networks": [{"name": "later"}]},
        {"network_mode": "later"},
        {"networks": [{"name": "bridge"}, {"name": "later"}]},
    ],
)
def test_a_missing_network_is_named_before_anything_is_touched(bench, params, exists):
    if exists:
        bench.run()
    bench.engine.calls.clear()
    with pytest.raises(
        MissingRequirement, match="there is no network later on this host. Create the network first"
    ):
        bench.run(**params)
    assert bench.engine.calls == []


def test_an_image_that_may_not_be_pulled_is_named(bench):
    bench.engine.images.clear()
    with pytest.raises(MissingRequirement, match=f"image {IMAGE}: .*not on this host. Set pull: missing"):
        bench.run(pull="never")
    assert bench.engine.calls == []


@pytest.mark.parametrize(
    "params, owner",
    [
        ({"user": "1234"}, 1234),
        ({"user": "ci"}, 1234),
        ({"image": NONROOT_IMAGE}, 1234),
        ({"user": "77:0"}, 77),
    ],
)
def test_an_identity_that_its_user_cannot_read_costs_no_container(bench, params, owner):
    if os.geteuid() == owner:
        pytest.fail("run these tests as another user")
    bench.run()
    kept = bench.identifier()
    with pytest.raises(
        VerificationFailed, match=f"readable for user {owner}.*owner: {owner} .*former container runs"
    ):
        bench.run(**params)
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})
    assert "stop_container" not in methods(bench)


def test_an_identity_that_its_group_may_read_is_right(bench):
    gid = bench.identity.stat().st_gid
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (bench.identity / name).chmod(0o440)
    bench.run(user=f"4321:{gid}")
    bench.run(user="4321", groups=[str(gid)])


# -- replacing -------------------------------------------------------------------------------------


def test_a_replacement_leaves_one_container_and_keeps_volumes(bench):
    bench.run()
    former = bench.identifier()
    bench.run(user="0", stop_timeout=3)
    assert bench.identifier() != former
    assert bench.engine.names() == {"agent": "running"}
    assert bench.engine.find_container(former) is None
    assert methods(bench)[-5:] == [
        "rename_container",
        "create_container",
        "stop_container",
        "start_container",
        "remove_container",
    ]


STEPS = ["rename_container", "create_container", "connect_network", "stop_container", "start_container"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("runs", [True, False])
def test_a_replacement_that_fails_costs_no_container(bench, step, runs):
    bench.run(restart_policy="always")
    if not runs:
        bench.run(state="stopped")
    kept, names = bench.identifier(), bench.engine.names()
    bench.engine.failures[step] = [FAILURE]
    change = {"user": "0", "networks": [{"name": "bridge"}, {"name": "contract"}]}
    if step == "stop_container" and not runs:
        bench.run(**change)
        return
    with pytest.raises(EngineUnavailable, match="a failure of this test"):
        bench.run(**change)
    assert (bench.identifier(), bench.engine.names()) == (kept, names)
    assert bench.engine.find_container(kept)["HostConfig"]["RestartPolicy"]["Name"] == "always"
    bench.run(**change)
    assert bench.engine.names() == {"agent": "running"}


@pytest.mark.parametrize("command", ["false", "nosuch"])
def test_a_successor_that_does_not_run_costs_no_container(bench, command):
    bench.run()
    kept = bench.identifier()
    bench.proof_error = (
        VerificationFailed("container agent", found="that it ended") if command == "false" else None
    )
    with pytest.raises((VerificationFailed, EngineUnavailable), match="The former container runs as before"):
        bench.run(command=command)
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


def test_a_first_container_that_is_not_proved_is_not_left_behind(bench):
    bench.proof_error = VerificationFailed("container agent", remedy="Mend it")
    with pytest.raises(VerificationFailed, match="Mend it. The new container is removed"):
        bench.run()
    assert bench.engine.names() == {}


def test_a_failure_to_put_back_says_where_the_former_is_and_the_next_run_mends_it(bench):
    bench.run()
    kept = bench.identifier()
    bench.engine.failures = {"start_container": [FAILURE], "rename_container": [None, FAILURE]}
    with pytest.raises(
        ApplyFailed, match="a failure of this test.*kept as agent.wormhole-former; the next run"
    ):
        bench.run(user="0")
    assert bench.engine.names() == {"agent.wormhole-former": "exited"}
    bench.run()
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


KILLED = [method for method in STEPS if method != "connect_network"] + ["remove_container"]


@pytest.mark.parametrize("step", KILLED)
@pytest.mark.parametrize("then", ["same", "former", "absent"])
def test_a_run_that_dies_at_any_step_is_mended_by_the_next(bench, step, then):
    class Killed(BaseException):
        pass

    bench.run()
    former = bench.identifier()
    # Nothing is undone by a process that is dead: every later call fails as well.
    order = ["rename_container", "create_container", "stop_container", "start_container", "remove_container"]
    bench.engine.failures = {method: [Killed()] * 9 for method in order[order.index(step) :]}
    if step != "rename_container":
        bench.engine.failures["rename_container"] = [None, Killed(), Killed()]
    if step == "stop_container":
        bench.engine.failures["remove_container"] = [Killed()] * 9
    with pytest.raises(Killed):
        bench.run(user="0")
    bench.engine.failures = {}
    statuses = sorted(bench.engine.names().values())
    assert "running" in statuses or step == "start_container"
    if then == "absent":
        bench.run(state="absent")
        assert bench.engine.names() == {}
        return
    bench.run(**({"user": "0"} if then == "same" else {}))
    assert bench.engine.names() == {"agent": "running"}
    if then == "former" and step != "remove_container":
        assert bench.identifier() == former


def test_the_former_is_kept_until_its_running_successor_is_proved(bench):
    bench.run()
    bench.engine.rename_container(bench.identifier(), "agent.wormhole-former")
    bench.engine.stop_container(bench.identifier("agent.wormhole-former"))
    successor = bench.engine.create_container(
        "agent", {"Image": IMAGE, "Labels": {"wormhole.docker.managed": "true"}}
    )
    bench.engine.start_container(successor)
    bench.proof_error = VerificationFailed("container agent")
    with pytest.raises(VerificationFailed):
        bench.run()
    assert sorted(bench.engine.names()) == ["agent", "agent.wormhole-former"]


# -- images ----------------------------------------------------------------------------------------


def test_a_missing_image_is_pulled(bench):
    bench.engine.registry["new:1"] = make_image("new")
    bench.run(image="new:1")
    assert methods(bench)[0] == "pull_image"
    assert bench.run(image="new:1").is_empty


def test_an_image_that_moved_is_told_by_its_id(bench):
    bench.run()
    bench.engine.images[IMAGE] = make_image("moved")
    assert bench.run().texts()[0].startswith("image: expected sha256:")
    assert bench.run().is_empty


def test_pull_always_asks_the_registry_and_changes_only_what_it_must(bench):
    bench.engine.registry[IMAGE] = bench.engine.images[IMAGE]
    bench.run()
    bench.engine.calls.clear()
    assert bench.run(pull="always").is_empty
    bench.engine.registry[IMAGE] = make_image("newer")
    assert bench.run(pull="always").texts() == [f"image: the registry has a newer {IMAGE}"]
    assert methods(bench)[0] == "pull_image"
    assert bench.run(pull="always").is_empty


# -- the law, on the fake --------------------------------------------------------------------------

PARAMS = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.sampled_from(values)
            for name, values in OPTION_VALUES.items()
            if name not in ("network_mode", "etc_hosts", "user")
        },
        "networks": st.sampled_from([[{"name": "contract"}], [{"name": "contract", "aliases": ["x"]}]]),
        "transport": st.sampled_from(["tls", "unix"]),
        "recreate": st.booleans(),
        "state": st.sampled_from(["started", "stopped", "present", "absent"]),
    },
)


@given(runs=st.lists(PARAMS, min_size=1, max_size=4))
def test_any_sequence_of_runs_does_what_was_predicted_and_then_nothing(runs):
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        for params in runs:
            predicted = bench.plan(**params)
            assert bench.run(**params) == predicted
            again = bench.plan(**{**params, "recreate": False})
            assert again.is_empty, again.texts()
            assert len(bench.engine.names()) == (params.get("state") != "absent")
