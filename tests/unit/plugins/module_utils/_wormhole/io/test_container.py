# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observing and changing wormholes, against the fake engine and real files."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    ApplyFailed,
    CommandFailed,
    EngineUnavailable,
    InvalidInput,
    MissingRequirement,
    Refused,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._container.inspection import docker_host_of
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import UNIX_UNIT
from ansible_collections.wormhole.docker.plugins.module_utils._wiring import program as discovery_program
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.io import program as program_host
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.io import state as wiring
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io.container import WormholeHost
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io.identity import (
    NoIdentity,
    UnmanagedIdentity,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.model import Action
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.plan import plan_wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.spec import parse_spec
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._container.option_strategies import (
    some_options,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.contract import (
    OPTION_VALUES,
    with_companions,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import (
    IMAGE,
    NONROOT_IMAGE,
    PARAMETERS,
    FakeEngine,
    make_image,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.simulation import (
    simulate_wormhole,
)

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
        self.health_error = None
        self.ended = None

    def prove(self, container, spec, wiring, just_started):
        self.proofs.append((container, wiring.docker_host, just_started))
        if self.proof_error:
            raise self.proof_error  # pylint: disable=raising-bad-type

    def await_health(self, container, timeout):
        self.proofs.append((container, "healthy", timeout))
        if self.health_error:
            raise self.health_error  # pylint: disable=raising-bad-type

    def open(self, **params):
        params = {**PARAMETERS, "identity_directory": str(self.identity), **params}
        spec = parse_spec(params, str(self.socket))
        given = spec.wiring.transport == "tls"
        keeper = UnmanagedIdentity(spec, self.engine) if given else NoIdentity(self.engine)
        look = functools.partial(wiring.observe_wiring, unit_directory=str(self.unit.parent))
        health = {"await_health": self.await_health, "look": look}
        return spec, WormholeHost(spec, self.engine, self.prove, keeper, **health)

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
            host.require(plan)
            host.carry_out(plan)
            self.ended = host.ended
            left = plan_wormhole(spec, host.observe())
            assert left.is_empty, left.texts()
        else:
            host.verify_running(state.container)
        return plan

    def identifier(self, name="agent"):
        found = self.engine.find_container(name)
        return found and found["Id"]


@pytest.fixture(scope="module", autouse=True)
def _no_engine():
    """The machine that tests run on may have one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "ask_served_engine", lambda: None)
        yield


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def methods(bench):
    return [method for method, _subject in bench.engine.calls]


def test_every_action_can_be_applied(bench):
    _spec, host = bench.open()
    assert set(host._appliers) == set(get_args(Action))


def test_a_wormhole_is_created_started_and_verified(bench):
    bench.run()
    assert bench.engine.names() == {"agent": "running"}
    assert bench.proofs == [(bench.identifier(), "tcp://172.17.0.1:2376", True)]


def test_a_second_run_changes_nothing_and_verifies_again(bench):
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
def test_a_wormhole_is_not_verified_unless_specified(bench, params):
    bench.run(**params)
    bench.run(**params)
    assert bench.proofs == []


def test_a_container_that_is_meant_to_end_is_started_once_a_run(bench):
    assert not bench.run(command="false", verify=False).is_empty
    assert bench.engine.names() == {"agent": "exited"}
    assert [reason.code for reason in bench.run(command="false", verify=False).reasons] == ["not_running"]


@pytest.mark.parametrize("option", sorted(set(OPTION_VALUES) - {"network_mode", "auto_remove"}))
def test_an_option_is_set_changed_and_left(bench, option):
    bench.engine.files["/etc/passwd"] = b""
    (bench.identity / "key.pem").chmod(0o444)
    (bench.identity / "cert.pem").chmod(0o444)
    (bench.identity / "ca.pem").chmod(0o444)
    first, second = OPTION_VALUES[option]
    if option == "etc_hosts":
        first = {"a": "192.0.2.1"}
    first, second = with_companions(option, first), with_companions(option, second)
    strict = {"comparisons": {"stop_timeout": "strict"}}
    bench.run()
    assert not bench.run(**first, **strict).is_empty
    identifier = bench.identifier()
    assert bench.run(**first, **strict).is_empty
    assert bench.run().is_empty, "an option that is left out is not compared"
    changed = bench.run(**second, **strict)
    assert option in changed.after or option == "env"
    assert all(reason.code == f"{option}_differs" for reason in changed.reasons)
    assert bench.engine.names() == {"agent": "running"}
    updated = option in UPDATED
    assert (bench.identifier() == identifier) == updated, "updated where the engine can"
    assert ("container" in changed.after) != updated, "and the diff tells"
    assert all(text.endswith("; requires a new container") != updated for text in changed.texts()), "and why"


UPDATED = (
    *("restart_policy", "memory", "memory_reservation", "cpus", "cpu_period", "cpu_quota", "cpu_shares"),
    *("cpuset_cpus", "cpuset_mems", "pids_limit", "blkio_weight", "memory_swap"),
)


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
        (no_listener, "dockerd does not listen for wormholes on port 2376.*role wormhole.docker.listener"),
        (other_port, "dockerd does not listen for wormholes on port 2376"),
        (no_key, "identity directory .* has no key.pem.*tls_certificates"),
        (no_identity, "identity directory .* has no ca.pem"),
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


@pytest.mark.parametrize("exists", [False, True])
def test_a_network_that_is_only_a_template_is_named_before_anything_is_touched(bench, exists):
    bench.engine.add_network("template", "172.31.0", driver="null", ConfigOnly=True)
    if exists:
        bench.run(transport="unix")
    bench.engine.calls.clear()
    for params in ({"networks": [{"name": "template"}]}, {"network_mode": "template"}):
        with pytest.raises(
            MissingRequirement, match="network template is config-only.*--config-from template"
        ):
            bench.run(transport="unix", **params)
        with pytest.raises(InvalidInput, match="network template: .*config-only: it is a template"):
            bench.run(**params)
    assert bench.engine.calls == []


def test_a_network_that_would_move_the_default_route_away_is_not_joined(bench):
    """Of several networks, the one whose name sorts first has the default route, also in a
    running container."""
    bench.engine.add_network("late", "172.31.0")
    bench.engine.add_network("a-macvlan", "172.32.0", driver="macvlan")
    bench.engine.add_network("Zed", "172.33.0")
    bench.run(networks=[{"name": "late"}])
    bench.engine.calls.clear()
    with pytest.raises(
        MissingRequirement, match="the default route of the container leads through network a-mac"
    ):
        bench.run(networks=[{"name": "late"}, {"name": "a-macvlan"}])
    assert bench.engine.calls == []
    # Names sort by bytes, upper case first.
    bench.run(networks=[{"name": "late"}, {"name": "Zed"}, {"name": "a-macvlan"}])
    assert "create_container" not in methods(bench)


def test_an_image_that_may_not_be_pulled_is_named(bench):
    bench.engine.images.clear()
    with pytest.raises(MissingRequirement, match=f"image {IMAGE} is not on this host. Set pull: missing"):
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
        VerificationFailed, match=f"readable for user {owner}.*owner: {owner} .*previous container runs"
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
    previous = bench.identifier()
    bench.run(user="0", stop_timeout=3)
    assert bench.identifier() != previous
    assert bench.engine.names() == {"agent": "running"}
    assert bench.engine.find_container(previous) is None
    assert methods(bench)[-6:] == [
        "create_container",
        "stop_container",
        "rename_container",
        "rename_container",
        "start_container",
        "remove_container",
    ]


def test_a_running_container_on_an_overlay_network_is_replaced(bench):
    bench.engine.add_network("docker_gwbridge", "172.29.0")
    bench.engine.add_network("over", driver="overlay", Scope="swarm")
    bench.run(networks=[{"name": "over"}])
    previous = bench.identifier()
    bench.run(networks=[{"name": "over"}], user="0")
    assert bench.engine.names() == {"agent": "running"}
    assert bench.identifier() != previous
    bench.engine.failures["start_container"] = [FAILURE]
    kept = bench.identifier()
    with pytest.raises(EngineUnavailable, match="The previous container runs as before"):
        bench.run(networks=[{"name": "over"}], env={"A": "b"})
    bench.proof_error = VerificationFailed("container agent")
    with pytest.raises(VerificationFailed, match="The previous container runs as before"):
        bench.run(networks=[{"name": "over"}], env={"A": "b"})
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


STEPS = ["create_container", "connect_network", "stop_container", "rename_container", "start_container"]


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


@pytest.mark.parametrize("step", STEPS)
def test_a_container_that_is_paused_is_back_whatever_fails(bench, step):
    bench.run()
    kept = bench.identifier()
    bench.engine.set_status(kept, "paused")
    bench.engine.failures[step] = [FAILURE]
    with pytest.raises(EngineUnavailable, match="a failure of this test"):
        bench.run(user="0", networks=[{"name": "bridge"}, {"name": "contract"}])
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "paused"})


@pytest.mark.parametrize("command", ["false", "nosuch"])
def test_a_successor_that_does_not_run_costs_no_container(bench, command):
    bench.run()
    kept = bench.identifier()
    bench.proof_error = (
        VerificationFailed("container agent", found="that it ended") if command == "false" else None
    )
    with pytest.raises(
        (VerificationFailed, EngineUnavailable), match="The previous container runs as before"
    ):
        bench.run(command=command)
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


def test_a_first_container_that_fails_verification_is_removed(bench):
    bench.proof_error = VerificationFailed("container agent", remedy="Mend it")
    with pytest.raises(VerificationFailed, match="Mend it. The new container is removed"):
        bench.run()
    assert bench.engine.names() == {}


def test_a_new_container_is_verified_by_its_own_wiring_even_if_the_task_has_changed(bench):
    bench.run()
    bench.engine.failures["remove_container"] = [FAILURE]
    with pytest.raises(EngineUnavailable):
        bench.run(transport="unix")
    assert sorted(bench.engine.names()) == ["agent", "agent.wormhole-former"]
    bench.proofs.clear()
    bench.run(user="0")
    assert bench.engine.names() == {"agent": "running"}
    assert [proof[1] for proof in bench.proofs] == ["unix:///var/run/docker.sock", "tcp://172.17.0.1:2376"]


def test_a_failed_rollback_names_the_kept_container_and_the_next_run_restores_it(bench):
    bench.run()
    kept = bench.identifier()
    bench.engine.failures = {"start_container": [FAILURE], "rename_container": [None, None, None, FAILURE]}
    with pytest.raises(
        ApplyFailed, match="a failure of this test.*kept as agent or agent.wormhole-former; the next run"
    ):
        bench.run(user="0")
    assert bench.engine.names() == {"agent.wormhole-former": "exited", "agent.wormhole-next": "created"}
    bench.run()
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


class Killed(BaseException):
    """What a run that is killed does no longer catch."""


def kill_after(bench, calls):
    """Kill the next run before its engine gets one more call than these."""
    note, left = type(bench.engine)._note, iter(range(calls))

    def count(method, subject):
        if next(left, None) is None:
            raise Killed
        note(bench.engine, method, subject)

    bench.engine._note = count


def revive(bench):
    del bench.engine._note
    bench.proof_error = None


STEPS_OF_A_REPLACEMENT = 6
STEPS_OF_A_ROLLBACK = 5


@pytest.mark.parametrize("calls", range(STEPS_OF_A_REPLACEMENT + STEPS_OF_A_ROLLBACK))
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("then", ["same", "previous", "absent", "killed"])
@pytest.mark.parametrize("state", ["started", "present"])
def test_a_run_that_dies_at_any_step_is_mended_by_the_next(bench, calls, fails, then, state):
    """What ran before runs again, also if the container need only be present."""
    bench.run()
    previous = bench.identifier()
    bench.proof_error = VerificationFailed("container agent") if fails else None
    kill_after(bench, calls)
    try:
        bench.run(user="0", state=state)
        assert not fails
        assert calls >= STEPS_OF_A_REPLACEMENT
        return
    except VerificationFailed:
        assert calls >= STEPS_OF_A_REPLACEMENT - 1 + STEPS_OF_A_ROLLBACK
        return
    except Killed:
        revive(bench)
    if then == "killed":
        for more in range(4):
            kill_after(bench, more)
            with contextlib.suppress(Killed):
                bench.run(state=state)
            revive(bench)
    if then == "absent":
        bench.run(state="absent")
        assert bench.engine.names() == {}
        return
    bench.run(**({"user": "0"} if then == "same" else {}), state=state)
    assert bench.engine.names() == {"agent": "running"}
    # One step before the end, the new container runs.
    if then != "same" and (calls < STEPS_OF_A_REPLACEMENT - 1 or (fails and calls >= STEPS_OF_A_REPLACEMENT)):
        assert bench.identifier() == previous


def test_a_new_container_that_is_left_alone_is_removed(bench):
    bench.run()
    kill_after(bench, 1)
    with pytest.raises(Killed):
        bench.run(user="0")
    revive(bench)
    assert bench.engine.names() == {"agent": "running", "agent.wormhole-next": "created"}
    bench.engine.remove_container("agent", force=True)
    plan = bench.run()
    assert [reason.code for reason in plan.reasons] == ["left_over", "missing"]
    assert bench.engine.names() == {"agent": "running"}


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("change", [{}, {"user": "0"}, {"user": "77", "image": "other:1"}])
def test_what_a_run_that_died_has_stopped_runs_again_although_it_need_only_be_present(bench, runs, change):
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (bench.identity / name).chmod(0o444)
    bench.run()
    if not runs:
        bench.run(state="stopped")
    previous = bench.identifier()
    bench.engine.failures = {
        "start_container" if runs else "remove_container": [Killed(), Killed()],
        **({"remove_container": [Killed()]} if runs else {}),
    }
    with pytest.raises(Killed):
        bench.run(state="present", user="0")
    assert "running" not in bench.engine.names().values()
    bench.engine.failures = {}
    if "image" in change:
        # No such image can be pulled.
        with pytest.raises(EngineUnavailable):
            bench.run(state="present", **change)
    else:
        bench.run(state="present", **change)
    left = {True: "running", False: "created" if change == {"user": "0"} else "exited"}
    assert bench.engine.names() == {"agent": left[runs]}
    assert (bench.identifier() == previous) == (change != {"user": "0"})


def test_a_crash_looping_container_that_is_put_back_goes_on(bench):
    crash_looping(bench)
    bench.engine.stop_container("agent")
    bench.engine.rename_container("agent", "agent.wormhole-former")
    bench.engine.start_container("agent.wormhole-former")
    assert bench.engine.names() == {"agent.wormhole-former": "restarting"}
    bench.run(command="false", restart_policy="always", verify=False)
    assert bench.engine.names() == {"agent": "restarting"}


def test_the_previous_container_is_kept_until_the_running_new_one_is_verified(bench):
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


@pytest.mark.parametrize("change", [{"user": "0"}, {"published_ports": ["28080:80"]}])
def test_a_port_of_the_previous_container_is_free_for_the_new_one(bench, change):
    bench.run(published_ports=["28080:80"])
    bench.run(**{"published_ports": ["28080:80"], "env": {"A": "b"}, **change})
    assert bench.engine.names() == {"agent": "running"}
    kept = bench.identifier()
    with pytest.raises(EngineUnavailable, match="starting .*nosuch|not found"):
        bench.run(**{"published_ports": ["28080:80"], "command": "nosuch", **change})
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


def test_a_successor_that_is_not_healthy_costs_no_container(bench):
    bench.run(healthcheck=CHECK)
    kept = bench.identifier()
    bench.health_error = VerificationFailed("container agent", expected="to be healthy")
    with pytest.raises(VerificationFailed, match="The previous container runs as before"):
        bench.run(healthcheck=CHECK, state="healthy", user="0", healthy_wait_timeout=7)
    assert bench.proofs[-1][1:] == ("healthy", 7)
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


def test_a_container_that_runs_is_asked_for_its_health_on_every_run(bench):
    bench.run(healthcheck=CHECK, state="healthy")
    bench.health_error = VerificationFailed("container agent", expected="to be healthy")
    with pytest.raises(VerificationFailed, match="to be healthy"):
        bench.run(healthcheck=CHECK, state="healthy")
    assert bench.engine.names() == {"agent": "running"}


CHECK = {"test": "true"}


def test_a_container_that_is_removed_with_its_volumes_says_so(bench):
    removed = []
    remove = bench.engine.remove_container
    bench.engine.remove_container = lambda c, **how: (removed.append(how.get("volumes")), remove(c, **how))
    bench.run()
    bench.run(user="0")
    bench.run(keep_volumes=False, env={"A": "b"})
    bench.run(state="absent", keep_volumes=False)
    assert removed == [False, True, True]


@pytest.mark.parametrize("signal, killed", [(None, "SIGKILL"), ("int", "SIGINT")])
def test_a_container_is_killed_where_it_is_asked_for(bench, signal, killed):
    sent = []
    kill = bench.engine.kill_container
    bench.engine.kill_container = lambda c, s: (sent.append(s), kill(c, s))
    bench.run()
    bench.run(state="stopped", force_kill=True, kill_signal=signal)
    assert sent == [killed]
    assert bench.engine.names() == {"agent": "exited"}


def test_a_container_that_the_engine_removes_meanwhile_is_gone(bench):
    stop, remove = bench.engine.stop_container, bench.engine.remove_container
    bench.engine.stop_container = lambda c, **how: (remove(c, force=True), stop(c, **how))
    bench.run(auto_remove=True)
    assert not bench.run(auto_remove=True, state="absent", force_kill=True).is_empty
    assert bench.engine.names() == {}


# -- jobs ------------------------------------------------------------------------------------------


def test_a_job_is_waited_for_and_started_again_by_the_next_run(bench):
    bench.engine.log = "done\n"
    assert not bench.run(detach=False).is_empty
    assert (bench.ended.status, bench.ended.output) == (0, "done\n")
    assert bench.engine.names() == {"agent": "exited"}
    assert [reason.code for reason in bench.run(detach=False).reasons] == ["not_running"]
    assert bench.proofs == []


def test_a_job_that_fails_tells_its_output_and_leaves_what_was_there(bench):
    bench.run()
    kept = bench.identifier()
    bench.engine.exit_code, bench.engine.log = 3, "no Dockerfile\n"
    with pytest.raises(
        CommandFailed, match="ended with exit code 3; its output ends with: no Dockerfile.*previous"
    ):
        bench.run(detach=False, user="0")
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


def test_a_job_that_fails_again_stays(bench):
    bench.run(detach=False)
    bench.engine.exit_code = 3
    with pytest.raises(CommandFailed) as caught:
        bench.run(detach=False)
    assert caught.value.facts() == {"status": 3, "output": ""}
    assert bench.engine.names() == {"agent": "exited"}


def test_a_job_that_ended_well_is_cleaned_up(bench):
    for _again in range(2):
        assert not bench.run(detach=False, cleanup=True).is_empty
        assert bench.engine.names() == {}
    bench.run(detach=False)
    bench.run(detach=False, cleanup=True)
    assert bench.engine.names() == {}


@pytest.mark.parametrize("cleanup", [True, False])
def test_a_job_that_the_engine_would_remove_tells_its_output_and_is_removed(bench, cleanup):
    bench.engine.log = "done\n"
    for _again in range(2):
        assert not bench.run(detach=False, auto_remove=True, cleanup=cleanup).is_empty
        assert bench.ended.output == "done\n"
        assert bench.engine.names() == {}


@pytest.mark.parametrize("existing", [True, False])
def test_a_job_that_the_engine_would_remove_is_removed_if_it_fails_too(bench, existing):
    if existing:
        bench.run(detach=False)
    bench.engine.exit_code, bench.engine.log = 3, "no Dockerfile\n"
    with pytest.raises(CommandFailed, match="its output ends with: no Dockerfile"):
        bench.run(detach=False, auto_remove=True)
    assert bench.engine.names() == {}


# -- restart and pause -----------------------------------------------------------------------------


def test_a_restarted_container_is_verified_again(bench):
    bench.run()
    kept, bench.proofs[:] = bench.identifier(), []
    assert [reason.code for reason in bench.run(restart=True, stop_timeout=3).reasons] == ["restart"]
    assert bench.proofs == [(kept, "tcp://172.17.0.1:2376", True)]
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


def test_a_container_that_the_engine_removes_survives_a_restart(bench):
    bench.run(auto_remove=True)
    kept = bench.identifier()
    bench.run(auto_remove=True, restart=True)
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "running"})


def test_a_container_is_verified_before_it_is_paused_and_while_it_is(bench):
    bench.run(paused=True)
    assert bench.engine.names() == {"agent": "paused"}
    assert [just_started for _id, _host, just_started in bench.proofs] == [True]
    assert bench.run(paused=True).is_empty
    assert [just_started for _id, _host, just_started in bench.proofs] == [True, False]
    bench.run(paused=True, user="0")
    assert bench.engine.names() == {"agent": "paused"}
    assert not bench.run(paused=False, user="0").is_empty
    assert bench.engine.names() == {"agent": "running"}


def test_a_paused_container_is_restored_paused_if_its_replacement_fails(bench):
    bench.run(paused=True)
    kept = bench.identifier()
    bench.proof_error = VerificationFailed("container agent", found="that it ended")
    with pytest.raises(VerificationFailed, match="The previous container runs as before"):
        bench.run(paused=True, user="0")
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "paused"})


def test_labels_of_a_pulled_image_are_checked_before_anything_is_created(bench):
    bench.engine.registry["new:1"] = make_image("new", Labels={"from": "image"})
    strict = {"comparisons": {"labels": "strict", "image": "strict"}, "labels": {"a": "b"}}
    spec, host = bench.open(image="new:1", image_label_mismatch="fail", **strict)
    plan = plan_wormhole(spec, host.observe())
    with pytest.raises(InvalidInput, match="The image new:1 has labels that the task does not set: from"):
        host.carry_out(plan)
    assert bench.engine.names() == {}


# -- engines ---------------------------------------------------------------------------------------

SERVED = {"ID": "of docker.service", "DockerRootDir": "/var/lib/docker"}


@pytest.mark.parametrize(
    "served, another",
    [
        (SERVED, True),
        # Engines that share /etc/docker have one ID.
        ({**SERVED, "ID": None}, True),
        ({"ID": None, "DockerRootDir": None}, False),
        # It is unknown which engine this is.
        (None, False),
    ],
)
def test_what_serves_another_engine_is_nothing_for_this_one(bench, monkeypatch, tmp_path, served, another):
    monkeypatch.setattr(wiring, "ask_served_engine", lambda: served)
    own = tmp_path / "own.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(own))
    (tmp_path / UNIX_UNIT).write_text(f"[Socket]\nListenStream={own}\n")
    _spec, host = bench.open()
    state = host.observe().wiring
    assert state.served_is_another == another
    assert (state.own_socket is None, state.served == ()) == (another, another)
    bench.run(transport="unix")
    wired = docker_host_of(bench.engine.find_container("agent"))
    assert wired == ("unix:///var/run/docker.sock" if another else f"unix://{own}")
    for params in ({}, {"network_mode": "host"}) if another else ():
        with pytest.raises(MissingRequirement, match="docker_host names another engine. Use transport unix"):
            bench.run(**params)
    listener.close()


@pytest.mark.parametrize("served, removed", [(SERVED, False), (None, True)])
@pytest.mark.parametrize("state", ["started", "absent"])
def test_the_program_of_another_engines_containers_stays(
    bench, monkeypatch, tmp_path, served, removed, state
):
    monkeypatch.setattr(wiring, "ask_served_engine", lambda: served)
    for path in ("PROGRAM", "NAMES"):
        monkeypatch.setattr(program_host, path, str(tmp_path / path))
        (tmp_path / path).write_text("")
    codes = [reason.code for reason in bench.plan(transport="unix", state=state).reasons]
    assert ("discover_program_unused" in codes) == removed


# -- networks --------------------------------------------------------------------------------------

NETWORK = {"name": "contract", "ipv4_address": "172.30.0.8", "aliases": ["ci"]}


def attachment(bench):
    return bench.engine.find_container("agent")["NetworkSettings"]["Networks"].get("contract")


@pytest.mark.parametrize("address, message", [("172.30.0.9", "already in use"), ("192.0.2.1", "no subnet")])
def test_a_network_that_cannot_be_attached_otherwise_is_attached_as_before(bench, address, message):
    other = bench.engine.create_container("other", {"Image": IMAGE})
    bench.engine.connect_network("contract", other, {"IPAMConfig": {"IPv4Address": "172.30.0.9"}})
    bench.run(networks=[NETWORK])
    kept, before = bench.identifier(), attachment(bench)
    with pytest.raises(EngineUnavailable, match=f"{message}.* attached to contract as before"):
        bench.run(networks=[{**NETWORK, "ipv4_address": address}])
    assert (bench.identifier(), attachment(bench)) == (kept, before)
    assert bench.engine.names()["agent"] == "running"
    assert bench.run(networks=[NETWORK]).is_empty


def test_a_network_that_cannot_be_attached_again_is_reported(bench):
    bench.run(networks=[NETWORK])
    bench.engine.failures["connect_network"] = [FAILURE, FAILURE]
    with pytest.raises(ApplyFailed, match="could not be attached to contract as before either") as caught:
        bench.run(networks=[{**NETWORK, "aliases": ["other"]}])
    assert caught.value.__cause__ is FAILURE
    assert attachment(bench) is None
    bench.run(networks=[NETWORK])
    assert attachment(bench) is not None


@pytest.mark.parametrize("params", [{"networks": [{"name": "ID"}]}, {"network_mode": "ID"}])
@pytest.mark.parametrize("transport", ["unix", "tls"])
def test_a_network_that_is_named_by_the_start_of_its_id_is_reported(bench, params, transport):
    number = next(found["Id"][:12] for found in bench.engine.networks() if found["Name"] == "contract")
    params = json.loads(json.dumps(params).replace("ID", number))
    with pytest.raises(
        MissingRequirement, match=f"no network {number}.*ID of network contract: use that name"
    ):
        bench.run(**params, transport=transport)


ANEW = "networks contract: expected attached, found attached to a removed network of that name"


@pytest.mark.parametrize(
    "params",
    [
        {"networks": [{"name": "contract", "aliases": ["ci"]}]},
        {"networks": [{"name": "contract", "aliases": ["ci"]}, {"name": "bridge"}]},
        {"networks": [{"name": "contract", "aliases": ["ci"]}], "comparisons": {"networks": "ignore"}},
        {"network_mode": "contract"},
    ],
)
def test_a_stopped_wormhole_follows_a_network_that_was_made_anew(bench, params):
    bench.run(**params)
    bench.run(**params, state="stopped")
    kept, before = bench.identifier(), attachment(bench)
    bench.engine.make_network_anew("contract", "172.31.0")
    with pytest.raises(EngineUnavailable, match="not found"):
        bench.engine.start_container(kept)
    assert bench.run(**params).texts() == [ANEW, "the container is exited"]
    assert bench.engine.names()["agent"] == "running"
    assert (bench.identifier(), attachment(bench)["Aliases"]) == (kept, before["Aliases"])
    assert attachment(bench)["NetworkID"] != before["NetworkID"]
    assert bench.run(**params).is_empty


def test_a_network_that_nobody_asked_for_and_that_was_made_anew_is_followed_or_left(bench):
    bench.run()
    bench.engine.connect_network("contract", bench.identifier(), {"Aliases": ["theirs"]})
    bench.run(state="stopped")
    bench.engine.make_network_anew("contract", "172.31.0")
    assert bench.run(state="present").texts() == [ANEW]
    assert "theirs" in attachment(bench)["Aliases"]
    bench.engine.make_network_anew("contract", "172.32.0")
    assert bench.run(networks=[{"name": "bridge"}], comparisons={"networks": "strict"}).texts() == [
        "networks contract: expected nothing, found attached",
        "the container is exited",
    ]
    assert attachment(bench) is None


def test_the_default_bridge_is_another_after_each_restart_of_the_engine_and_followed_by_name(bench):
    bench.run(state="stopped")
    bench.engine.make_network_anew("bridge", "172.17.0")
    assert bench.run(state="stopped").is_empty


def test_an_interrupted_run_leaves_no_network(bench):
    bench.run(networks=[NETWORK])
    before = attachment(bench)
    bench.engine.failures["connect_network"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        bench.run(networks=[{**NETWORK, "aliases": ["other"]}])
    assert attachment(bench) == before


# -- comparisons -----------------------------------------------------------------------------------


def test_networks_are_left_where_they_are_compared_strictly(bench):
    bench.run(networks=[{"name": "contract"}, {"name": "bridge"}])
    kept = bench.identifier()
    networks = {"networks": [{"name": "contract"}]}
    assert bench.run(**networks).is_empty
    assert bench.run(**networks, comparisons={"networks": "ignore"}).is_empty
    plan = bench.run(**networks, comparisons={"networks": "strict"})
    assert plan.texts() == ["networks bridge: expected nothing, found attached"]
    assert bench.identifier() == kept
    assert list(bench.engine.find_container(kept)["NetworkSettings"]["Networks"]) == ["contract"]


@pytest.mark.parametrize(
    "comparisons, texts",
    [
        ({}, []),
        ({"labels": "strict"}, ["labels a: expected nothing, found b"]),
        ({"*": "strict"}, ["env B: expected nothing, found (hidden)", "labels a: expected nothing, found b"]),
        ({"*": "strict", "labels": "ignore", "env": "allow_more_present"}, []),
    ],
)
def test_what_is_too_much_is_found_where_it_is_asked_for(bench, comparisons, texts):
    bench.run(labels={"a": "b", "c": "d"}, env={"A": "1", "B": "2"})
    plan = bench.run(labels={"c": "d"}, env={"A": "1"}, comparisons=comparisons)
    assert plan.texts() == [f"{text}; requires a new container" for text in texts]


def test_what_is_ignored_is_no_reason_but_the_wormhole_is(bench):
    bench.run(env={"A": "1"})
    ignored = {"env": {"A": "2"}, "hostname": "other", "tmpfs": ["/a"], "comparisons": {"*": "ignore"}}
    assert bench.run(**ignored).is_empty
    bench.engine.images[IMAGE] = make_image("moved")
    assert bench.run(**ignored).is_empty
    bench.unit.write_text("[Socket]\nListenStream=172.17.0.1:2377\n")
    assert bench.run(**ignored, port=2377).texts()[0].startswith("env DOCKER_HOST: expected tcp://")


def test_an_image_for_another_platform_is_pulled(bench):
    bench.run()
    bench.engine.images[IMAGE].update(Os="linux", Architecture="amd64")
    bench.engine.registry[IMAGE] = {
        **make_image("arm"),
        "Os": "linux",
        "Architecture": "arm64",
        "Variant": "v8",
    }
    assert bench.run(platform="amd64").is_empty
    plan = bench.run(platform="linux/aarch64")
    assert plan.texts() == [
        "platform: expected linux/arm64/v8, found an image for another platform; requires a new container"
    ]
    assert bench.run(platform="linux/arm64").is_empty


# -- images ----------------------------------------------------------------------------------------


def test_a_missing_image_is_pulled(bench):
    bench.engine.registry["new:1"] = make_image("new")
    bench.run(image="new:1")
    assert methods(bench)[0] == "pull_image"
    assert bench.run(image="new:1").is_empty


def test_an_image_that_moved_is_reported_by_its_id(bench):
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
    assert bench.run(pull="always").texts() == [
        f"image: the registry has a newer {IMAGE}; requires a new container"
    ]
    assert methods(bench)[0] == "pull_image"
    assert bench.run(pull="always").is_empty


# -- the law, on the fake --------------------------------------------------------------------------

BESIDE = st.fixed_dictionaries(
    {},
    optional={
        "networks": st.sampled_from([[{"name": "contract"}], [{"name": "contract", "aliases": ["x"]}]]),
        "transport": st.sampled_from(["tls", "unix"]),
        "recreate": st.booleans(),
        "state": st.sampled_from(["started", "healthy", "stopped", "present", "absent"]),
        "detach": st.just(True),
    },
)
PARAMS = st.tuples(some_options("user"), BESIDE).map(lambda both: {**both[0], **both[1]})


@given(runs=st.lists(PARAMS, min_size=1, max_size=4))
def test_any_sequence_of_runs_does_what_was_predicted_and_then_nothing(runs):
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        for given in runs:
            # A container that is to be healthy needs a healthcheck.
            params = {"healthcheck": CHECK, **given}
            predicted = bench.plan(**params)
            assert bench.run(**params) == predicted
            again = bench.plan(**{**params, "recreate": False})
            assert again.is_empty, again.texts()
            assert len(bench.engine.names()) == (params.get("state") != "absent")


@pytest.mark.parametrize("transport", ["tls", "unix"])
def test_a_wormhole_is_stopped_and_started_by_its_name_alone(bench, transport):
    bench.run(transport=transport, labels={"a": "b"})
    identifier = bench.identifier()
    proved = []
    bench.prove = lambda container, spec, wiring, just_started: proved.append(
        (spec.transport, wiring.docker_host)
    )
    for state in ("stopped", "present", "started"):
        bench.run(image=None, state=state)
        assert bench.engine.names() == {"agent": "running" if state == "started" else "exited"}
    assert bench.run(image=None, state="started").is_empty
    assert bench.identifier() == identifier
    address = "tcp://172.17.0.1:2376" if transport == "tls" else "unix:///var/run/docker.sock"
    assert proved == [(transport, address)] * 2


@pytest.mark.parametrize("option", ["network_mode", "pid_mode", "ipc_mode"])
def test_a_namespace_of_another_container_is_that_containers_until_it_is_another(bench, option):
    task = {option: "container:db", "transport": "unix"}
    with pytest.raises(
        MissingRequirement, match=f"{option} refers to the container db, which does not exist on this host"
    ):
        bench.run(**task)
    assert not bench.plan(**task).is_empty, "check mode: an earlier task may make it"
    first = bench.engine.create_container("db", {"Image": IMAGE})
    bench.run(**task)
    assert bench.run(**task).is_empty
    assert bench.run(**{**task, option: f"container:{first}"}).is_empty
    bench.engine.remove_container(first)
    second = bench.engine.create_container("db", {"Image": IMAGE})
    assert bench.run(**task).texts() == [
        f"{option}: expected container:{second}, found container:{first}; requires a new container"
    ]


@pytest.mark.parametrize("transport", [{}, {"transport": "tcp", "insecure_plaintext_port": 2375}])
def test_the_network_of_another_container_is_for_transport_unix(bench, transport):
    bench.engine.create_container("db", {"Image": IMAGE})
    with pytest.raises(
        InvalidInput, match="^network_mode container:db: .*networks are not known.*transport unix"
    ):
        bench.plan(network_mode="container:db", **transport)


# -- what images and engines make of values --------------------------------------------------------


STATEFUL = "registry.example.com/stateful:1"


@pytest.mark.parametrize(
    "params",
    [
        {"volumes": ["data:/data"]},
        {"volumes": ["/srv/data/:/data/:ro"]},
        {"volumes": ["/data"]},
        {"mounts": [{"target": "/data", "source": "data", "type": "volume"}]},
        {"tmpfs": ["/data"]},
        {},
    ],
)
def test_what_is_mounted_over_an_images_volume_is_right(bench, params):
    bench.engine.images[STATEFUL] = make_image("stateful", Volumes={"/data": {}})
    bench.run(image=STATEFUL, **params)
    assert bench.run(image=STATEFUL, **params).is_empty
    strict = {"volumes": "strict", "mounts": "strict", "tmpfs": "strict"}
    assert bench.run(image=STATEFUL, comparisons=strict, **params).is_empty


@pytest.mark.parametrize("slip", ["//", "/./", "/nosuch/../"])
@pytest.mark.parametrize("transport", ["tls", "unix"])
def test_paths_of_the_wiring_may_be_written_in_any_way(bench, slip, transport):
    def written(path):
        return slip.join(str(path).rsplit("/", 1)) + "/"

    params = {
        "transport": transport,
        "identity_directory": written(bench.identity),
        "certificate_path": written("/etc/certs"),
    }
    bench.socket = written(bench.socket).rstrip("/")
    bench.run(**params)
    assert bench.run(**params).is_empty


@pytest.mark.parametrize("option", ["identity_directory", "certificate_path"])
def test_the_root_is_no_directory_of_an_identity(bench, option):
    with pytest.raises(InvalidInput, match=f"{option}: expected an absolute path below /"):
        bench.run(**{option: "//"})


EMPTY = ["user", "hostname", "domainname", "runtime", "log_driver", "cgroup_parent"]


@pytest.mark.parametrize("option", EMPTY)
def test_an_empty_string_means_what_image_and_engine_say(bench, option):
    filled = {"User": "1234", "Hostname": "other"}
    bench.engine.images[STATEFUL] = make_image("stateful", **filled)
    (bench.identity / "key.pem").chmod(0o444)
    (bench.identity / "cert.pem").chmod(0o444)
    (bench.identity / "ca.pem").chmod(0o444)
    bench.run(image=STATEFUL, **{option: ""})
    assert bench.run(image=STATEFUL, **{option: ""}).is_empty


@pytest.mark.parametrize("discover", ["launch", "runtime"])
def test_an_images_entrypoint_can_be_taken_away(bench, discover, monkeypatch):
    monkeypatch.setattr(program_host, "install_program", lambda action: None)
    program = discovery_program.ProgramState("text" if discover == "runtime" else None)
    monkeypatch.setattr(program_host, "observe_program", lambda *args: program)
    bench.engine.images[STATEFUL] = make_image("stateful", Entrypoint=["/bin/tini"])
    params = {
        "image": STATEFUL,
        "entrypoint": [""],
        "command": "sleep 9",
        "discover": discover,
        "discover_program": "text",
    }
    bench.run(**params)
    config = bench.engine.find_container("agent")["Config"]
    wrapped = list(discovery_program.WRAPPER) if discover == "runtime" else []
    assert ((config["Entrypoint"] or []), config["Cmd"]) == (wrapped, ["sleep", "9"])
    assert bench.run(**params).is_empty


CHECKED = {"Test": ["CMD", "true"], "Interval": 9 * 10**9, "StartPeriod": 10**9, "Retries": 7}


@pytest.mark.parametrize(
    "healthcheck",
    [
        {"test_cli_compatible": True, "interval": "0s"},
        {"test": ["CMD", "other"], "start_period": "0s", "retries": 0},
        {"test": ["CMD", "other"], "interval": "1s", "start_period": "0s"},
    ],
)
@pytest.mark.parametrize("own", [CHECKED, None])
def test_a_healthcheck_of_nothing_is_the_images(bench, healthcheck, own):
    bench.engine.images[STATEFUL] = make_image("stateful", **({"Healthcheck": own} if own else {}))
    bench.run(image=STATEFUL, healthcheck=healthcheck)
    assert bench.run(image=STATEFUL, healthcheck=healthcheck).is_empty


def test_a_healthcheck_of_nothing_takes_a_set_value_away(bench):
    bench.run(healthcheck={"test": "true", "interval": "9s"})
    assert not bench.run(healthcheck={"test": "true", "interval": "0s"}).is_empty
    assert bench.run(healthcheck={"test": "true", "interval": "0s"}).is_empty


def test_a_healthcheck_that_is_not_there_need_not_be_switched_off(bench):
    bench.run()
    assert bench.run(healthcheck={"test": ["NONE"]}).is_empty


@pytest.mark.parametrize(
    "pull, there", [("always", True), ("missing", True), ("never", True), ("missing", False)]
)
def test_an_image_by_its_id_is_looked_for_on_the_host_alone(bench, pull, there):
    identifier = bench.engine.images[IMAGE]["Id"]
    bench.run(image=identifier)
    if there:
        assert bench.run(image=identifier, pull=pull).is_empty
        return
    bench.run(state="absent")
    bench.engine.images.clear()
    bench.engine.calls.clear()
    with pytest.raises(MissingRequirement, match="image sha256:.* is not on this host"):
        bench.run(image=identifier, pull=pull)
    assert bench.engine.calls == []


@pytest.mark.parametrize(
    "first, second", [({"cpu_quota": 50000}, {"cpus": 0.5}), ({"cpus": 0.5}, {"cpu_period": 50000})]
)
def test_the_other_way_to_limit_processors_takes_a_new_container(bench, first, second):
    bench.run(**first)
    plan = bench.run(**second)
    assert plan.after["container"] == "a new one"
    assert bench.run(**second).is_empty


@pytest.mark.parametrize("previous", [False, True])
def test_a_container_that_ends_at_once_and_is_removed_by_the_engine_has_been_started(bench, previous):
    if previous:
        bench.run()
    params = {"command": "false", "auto_remove": True, "verify": False}
    assert not bench.run(**params).is_empty
    assert bench.engine.names() == {}


def test_a_container_that_would_be_gone_then_is_not_stopped(bench):
    bench.run(auto_remove=True)
    with pytest.raises(Refused, match="auto_remove.*state: absent"):
        bench.run(state="stopped")
    assert bench.engine.names() == {"agent": "running"}


def crash_looping(bench, **params):
    """A wormhole whose process ends and is started again and again."""
    bench.run(command="false", restart_policy="always", verify=False, **params)
    assert bench.engine.names() == {"agent": "restarting"}


def test_a_crash_looping_container_is_replaced_at_once(bench):
    crash_looping(bench)
    bench.run(command="sleep 9", restart_policy="always")
    assert bench.engine.names() == {"agent": "running"}


def test_a_crash_looping_container_that_cannot_be_replaced_goes_on(bench):
    crash_looping(bench)
    kept = bench.identifier()
    bench.engine.failures["start_container"] = [FAILURE]
    with pytest.raises(EngineUnavailable, match="The previous container runs as before"):
        bench.run(command="sleep 9", restart_policy="always")
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "restarting"})


@pytest.mark.parametrize("step", ["rename_container", "create_container"])
def test_a_crash_looping_container_goes_on_whatever_fails(bench, step):
    crash_looping(bench)
    kept = bench.identifier()
    bench.engine.failures[step] = [FAILURE]
    with pytest.raises(EngineUnavailable, match="a failure of this test"):
        bench.run(command="sleep 9", restart_policy="always")
    assert (bench.identifier(), bench.engine.names()) == (kept, {"agent": "restarting"})


@pytest.mark.parametrize("state", ["started", "healthy"])
def test_a_crash_looping_container_is_not_reported_as_started(bench, state):
    crash_looping(bench, healthcheck=CHECK)
    bench.proof_error = bench.health_error = VerificationFailed("container agent", found="that it ended")
    with pytest.raises(VerificationFailed):
        bench.run(command="false", restart_policy="always", healthcheck=CHECK, state=state)


def test_a_crash_looping_container_is_accepted_without_verification(bench):
    crash_looping(bench)
    assert bench.run(command="false", restart_policy="always", verify=False).is_empty


@pytest.mark.parametrize("status", ["removing", "dead"])
def test_a_container_that_is_being_removed_makes_room(bench, status):
    bench.run()
    leaving = bench.identifier()
    bench.engine.set_status(leaving, status)
    assert [reason.code for reason in bench.run().reasons] == ["missing"]
    assert bench.engine.names() == {"agent": "running"}
    assert bench.identifier() != leaving
    bench.engine.set_status(bench.identifier(), status)
    bench.run(state="absent")
    assert bench.engine.names() == {}


@pytest.mark.parametrize("there", [True, False])
def test_what_the_previous_image_contributed_is_kept_if_the_image_is_ignored(bench, there):
    previous = make_image(
        "stateful", Labels={"vendor": "x"}, Env=["PATH=/bin", "LANG=C"], Volumes={"/data": {}}
    )
    bench.engine.images[STATEFUL] = previous
    params = {
        "image": STATEFUL,
        "labels": {"a": "b"},
        "env": {"A": "1"},
        "comparisons": {"*": "strict", "image": "ignore"},
    }
    bench.run(**params)
    kept = bench.identifier()
    bench.engine.images["other"] = previous
    bench.engine.images[STATEFUL] = make_image("moved")
    if not there:
        del bench.engine.images[STATEFUL]
    assert bench.run(**params).is_empty
    assert bench.identifier() == kept


def test_a_network_is_named_by_its_name(bench):
    identifier = next(n["Id"] for n in bench.engine.networks() if n["Name"] == "contract")
    with pytest.raises(MissingRequirement, match=f"no network {identifier}"):
        bench.run(networks=[{"name": identifier}], transport="unix")


def test_the_error_of_a_new_container_names_the_kept_one(bench):
    bench.run()
    bench.engine.rename_container(bench.identifier(), "agent.wormhole-former")
    bench.engine.stop_container(bench.identifier("agent.wormhole-former"))
    successor = bench.engine.create_container(
        "agent", {"Image": IMAGE, "Labels": {"wormhole.docker.managed": "true"}}
    )
    bench.engine.start_container(successor)
    bench.proof_error = VerificationFailed("container agent", remedy="Mend it")
    with pytest.raises(VerificationFailed, match="Mend it. .*agent.wormhole-former.*Remove agent"):
        bench.run()
    bench.proof_error = None
    bench.engine.remove_container("agent", force=True)
    bench.run()
    assert bench.engine.names() == {"agent": "running"}


def test_the_previous_container_gets_its_name_back_after_a_removal_in_progress(bench):
    bench.run()
    previous = bench.identifier()
    bench.engine.rename_container(previous, "agent.wormhole-former")
    leaving = bench.engine.create_container("agent", {"Image": IMAGE})
    bench.engine.set_status(leaving, "removing")
    bench.run()
    assert (bench.identifier(), bench.engine.names()) == (previous, {"agent": "running"})


MAC = "02:42:ac:11:00:98"


@pytest.mark.parametrize("api_version", ["1.44", "1.52"])
@pytest.mark.parametrize(
    "params",
    [
        {"networks": [{"name": "contract", "mac_address": MAC}]},
        {"networks": [{"name": "bridge"}, {"name": "contract", "mac_address": MAC}]},
        {"mac_address": MAC},
    ],
)
def test_a_container_that_has_ended_keeps_its_mac_address(bench, api_version, params):
    bench.engine.api_version = api_version
    bench.run(**params)
    kept = bench.identifier()
    bench.run(state="stopped", **params)
    assert bench.run(state="stopped", **params).is_empty
    bench.run(**params)
    assert bench.run(**params).is_empty
    assert bench.identifier() == kept


def test_another_mac_address_of_a_container_that_runs_is_seen(bench):
    bench.engine.api_version = "1.44"
    for state in ("started", "present"):
        bench.run(state=state, networks=[{"name": "contract", "mac_address": MAC}])
        kept = bench.identifier()
        bench.run(state=state, networks=[{"name": "contract", "mac_address": "02:42:ac:11:00:97"}])
        assert bench.identifier() != kept
        bench.run(state="absent")
