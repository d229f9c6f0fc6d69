# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner of wormholes: decision tables, and the law that a plan leaves nothing to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._container.inspection import (
    docker_host_of,
    environment_of,
)
from ansible_collections.wormhole.docker.plugins.module_utils._engine.security import parse_security
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import (
    Gateway,
    Topology,
    Unreachable,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.program import ProgramState
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.spec import RESERVED_VARIABLES
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.wire import EngineSocket, WiringState
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.model import (
    CleanUp,
    ConnectNetwork,
    CreateContainer,
    DisconnectNetwork,
    PauseContainer,
    PullImage,
    RemoveContainer,
    RemovePrevious,
    RestartContainer,
    RestorePrevious,
    StartContainer,
    StopContainer,
    UnpauseContainer,
    UpdateContainer,
    WormholeState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.plan import plan_wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.rejections import limit_warnings
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.resolve import (
    wiring_of,
    wiring_spec_of,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.spec import parse_spec
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._container.option_strategies import (
    some_options,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import make_image
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.simulation import (
    simulate_wormhole,
)

DEFAULTS = {
    "name": "agent",
    "state": "started",
    "image": "busybox:1",
    "pull": "missing",
    "transport": "tls",
    "certificate_path": "/certs",
    "port": 2376,
    "recreate": False,
    "adopt": False,
    "verify": True,
}
IMAGE = make_image("one", User="1234", Env=["PATH=/bin", "A=image"], Labels={"from": "image"})
OTHER_IMAGE = make_image("two")
TOPOLOGY = Topology(
    (
        Gateway("172.17.0.1", 4, "bridge", "docker0", "172.17.0.0/16"),
        Gateway("172.18.0.1", 4, "ci", "br-1", "172.18.0.0/16"),
    ),
    (Unreachable("host", "host", "", ""), Unreachable("none", "null", "no network at all", "transport unix")),
)
VIRGIN = WormholeState(WiringState(TOPOLOGY, (("172.17.0.1", 2376),), 998), image=IMAGE)


def spec(**params):
    return parse_spec({**DEFAULTS, **params}, "/var/run/docker.sock")


def after(found, **params):
    """What an earlier run with these parameters has left."""
    left = simulate_wormhole(found, plan_wormhole(spec(**params), found))
    return replace(left, created_now=False, started_now=False)


def codes(plan):
    return [reason.code for reason in plan.reasons]


def kinds(plan):
    return [type(action) for action in plan.actions]


def put_aside(container):
    return {**container, "Id": "previous", "Name": "/agent.wormhole-former"}


def new(container):
    return {**container, "Id": "successor", "Name": "/agent.wormhole-next"}


RUNNING = after(VIRGIN)
STOPPED = after(RUNNING, state="stopped")
FOREIGN = replace(
    RUNNING, container={**RUNNING.container, "Config": {**RUNNING.container["Config"], "Labels": {}}}
)


@pytest.mark.parametrize(
    "state, params, expected_codes, expected_kinds",
    [
        (VIRGIN, {}, ["missing"], [CreateContainer]),
        (replace(VIRGIN, image=None), {}, ["missing"], [PullImage, CreateContainer]),
        (replace(VIRGIN, image=None), {"pull": "never"}, ["missing"], [CreateContainer]),
        (VIRGIN, {"state": "absent"}, [], []),
        (RUNNING, {}, [], []),
        (RUNNING, {"state": "present"}, [], []),
        (RUNNING, {"state": "stopped"}, ["running"], [StopContainer]),
        (RUNNING, {"state": "absent"}, ["not_absent"], [RemoveContainer]),
        (STOPPED, {}, ["not_running"], [StartContainer]),
        (STOPPED, {"state": "present"}, [], []),
        (STOPPED, {"state": "stopped"}, [], []),
        (
            after(VIRGIN, network_mode="host"),
            {"networks": [{"name": "ci"}]},
            ["networks_differs"],
            [CreateContainer],
        ),
        (replace(RUNNING, image_outdated=True), {}, [], []),
        (RUNNING, {"recreate": True}, ["recreate"], [CreateContainer]),
        (RUNNING, {"restart_policy": "always"}, ["restart_policy_differs"], [UpdateContainer]),
        (
            RUNNING,
            {"restart_policy": "always", "user": "5"},
            ["user_differs", "restart_policy_differs"],
            [CreateContainer],
        ),
        (RUNNING, {"networks": [{"name": "ci"}]}, ["networks_differs"], [ConnectNetwork]),
        (
            replace(RUNNING, api_version=(1, 44)),
            {"networks": [{"name": "ci", "mac_address": "02:42:ac:12:00:09"}]},
            ["networks_differs"],
            [CreateContainer],
        ),
        (
            STOPPED,
            {"networks": [{"name": "ci"}], "memory": "64m"},
            ["memory_differs", "networks_differs", "not_running"],
            [UpdateContainer, ConnectNetwork, StartContainer],
        ),
        (RUNNING, {"transport": "unix"}, None, [CreateContainer]),
        (RUNNING, {"identity": "other"}, None, [CreateContainer]),
        (replace(RUNNING, image=OTHER_IMAGE), {}, ["image_differs"], [CreateContainer]),
        (
            replace(RUNNING, image_outdated=True),
            {"pull": "always"},
            ["image_differs"],
            [PullImage, CreateContainer],
        ),
        (replace(RUNNING, image=None), {}, [], []),
        (
            replace(RUNNING, image=None),
            {"image": "busybox:2"},
            ["image_differs"],
            [PullImage, CreateContainer],
        ),
        (
            replace(RUNNING, wiring=replace(RUNNING.wiring, served=(("172.18.0.1", 2376),))),
            {"networks": [{"name": "ci"}]},
            ["env_differs", "networks_differs"],
            [CreateContainer],
        ),
    ],
)
def test_decisions(state, params, expected_codes, expected_kinds):
    plan = plan_wormhole(spec(**params), state)
    if expected_codes is not None:
        assert codes(plan)[: len(expected_codes)] == expected_codes
        assert bool(plan.reasons) == bool(expected_codes)
    if expected_kinds is not None:
        assert kinds(plan) == expected_kinds


@pytest.mark.parametrize(
    "state, wanted, runs",
    [(RUNNING, "present", True), (STOPPED, "present", False), (RUNNING, "stopped", False)],
)
def test_a_replacement_runs_if_it_should_or_if_what_it_replaces_did(state, wanted, runs):
    (action,) = plan_wormhole(spec(state=wanted, user="5"), state).actions
    assert (action.start, action.previous) == (runs, state.container["Id"])


def test_a_diff_tells_both_sides_of_every_option_and_the_reasons_say_why():
    plan = plan_wormhole(spec(user="5", env={"TOKEN": "s3cret"}, transport="unix"), RUNNING)
    assert plan.before["user"] == "1234"
    assert plan.after["user"] == "5"
    assert plan.before["env"]["DOCKER_HOST"] == "tcp://172.17.0.1:2376"
    assert plan.after["env"] == {
        "DOCKER_HOST": "unix:///var/run/docker.sock",
        "TOKEN": "(hidden)",
        **dict.fromkeys(("DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")),
    }
    difference = "env DOCKER_HOST: expected unix:///var/run/docker.sock, found tcp://172.17.0.1:2376"
    assert f"{difference}; requires a new container" in plan.texts()
    assert "s3cret" not in str((plan.before, plan.after, plan.reasons))


@pytest.mark.parametrize(
    "params, replacing",
    [
        ({"restart_policy": "always"}, []),
        ({"networks": [{"name": "ci"}]}, []),
        ({"user": "5"}, ["user_differs"]),
        ({"user": "5", "restart_policy": "always", "networks": [{"name": "ci"}]}, ["user_differs"]),
        ({"restart_policy": "always", "recreate": True}, ["recreate"]),
        ({"memory": "64m", "comparisons": {"image": "strict"}, "image": "two"}, ["image_differs"]),
    ],
)
def test_what_takes_a_new_container_is_told_apart_from_what_does_not(params, replacing):
    state = replace(RUNNING, image=OTHER_IMAGE) if "image" in params else RUNNING
    plan = plan_wormhole(spec(**params), state)
    requiring = [reason.code for reason in plan.reasons if reason.text.endswith("; requires a new container")]
    assert requiring == replacing
    assert (CreateContainer in kinds(plan)) == bool(replacing)
    sides = plan.before.get("container"), plan.after.get("container")
    assert sides == (("simulated", "a new one") if replacing else (None, None))


def test_a_network_takes_a_new_container_where_none_can_be_attached():
    plan = plan_wormhole(spec(networks=[{"name": "ci"}]), after(VIRGIN, network_mode="host"))
    assert plan.texts() == ["networks ci: expected attached, found nothing; requires a new container"]


def test_what_image_and_engine_contribute_is_never_compared():
    state = replace(
        RUNNING, container={**RUNNING.container, "HostConfig": {**RUNNING.container["HostConfig"]}}
    )
    state.container["HostConfig"].update(Memory=0, ShmSize=67108864, Runtime="runc", CgroupnsMode="private")
    state.container["Config"]["StopSignal"] = "SIGTERM"
    assert plan_wormhole(spec(), state).is_empty


# -- what an earlier run has left half-way ---------------------------------------------------------


@pytest.mark.parametrize(
    "state, expected_codes, expected_kinds",
    [
        # Died before the successor got the name of the wormhole, and it was removed.
        (
            replace(RUNNING, container=None, previous=put_aside(RUNNING.container)),
            ["interrupted"],
            [RestorePrevious],
        ),
        # Died between stop of the previous and creation of the next: cannot be, but is mended.
        (
            replace(RUNNING, container=None, previous=put_aside(STOPPED.container)),
            ["interrupted", "not_running"],
            [RestorePrevious, StartContainer],
        ),
        # Died before the successor was started.
        (
            replace(STOPPED, previous=put_aside(STOPPED.container)),
            ["interrupted", "not_running"],
            [RestorePrevious, StartContainer],
        ),
        # Died before the previous was stopped, after it was stopped, and after it was renamed.
        (replace(RUNNING, successor=new(STOPPED.container)), ["left_over"], [RestorePrevious]),
        (
            replace(STOPPED, successor=new(STOPPED.container)),
            ["left_over", "not_running"],
            [RestorePrevious, StartContainer],
        ),
        (
            replace(VIRGIN, previous=put_aside(STOPPED.container), successor=new(STOPPED.container)),
            ["interrupted", "not_running"],
            [RestorePrevious, StartContainer],
        ),
        # The others were removed since.
        (
            replace(VIRGIN, successor=new(STOPPED.container)),
            ["left_over", "missing"],
            [RemoveContainer, CreateContainer],
        ),
        # Not what a run leaves.
        (
            replace(RUNNING, previous=put_aside(STOPPED.container), successor=new(STOPPED.container)),
            ["left_over"],
            [RemoveContainer, RemovePrevious],
        ),
        (
            replace(STOPPED, previous=put_aside(STOPPED.container), successor=new(STOPPED.container)),
            ["interrupted", "not_running"],
            [RemoveContainer, RestorePrevious, StartContainer],
        ),
        # Died before the previous was removed.
        (replace(RUNNING, previous=put_aside(STOPPED.container)), ["left_over"], [RemovePrevious]),
    ],
)
def test_half_done_replacements(state, expected_codes, expected_kinds):
    plan = plan_wormhole(spec(), state)
    assert (codes(plan), kinds(plan)) == (expected_codes, expected_kinds)
    assert plan_wormhole(spec(), simulate_wormhole(state, plan)).is_empty


MADE = "2026-11-23T12:00:00.1Z"


@pytest.mark.parametrize(
    "ended, again",
    [
        ("0001-01-01T00:00:00Z", False),
        ("2026-11-23T12:00:00.09Z", False),
        ("2026-11-23T12:00:00Z", False),
        ("2026-11-23T12:00:00.11Z", True),
        ("2026-11-23T12:00:01Z", True),
    ],
)
@pytest.mark.parametrize("params", [{}, {"user": "77"}])
@pytest.mark.parametrize("state", ["present", "stopped", "started"])
def test_what_ended_after_its_successor_was_made_was_stopped_for_it(state, params, ended, again):
    previous = put_aside({**STOPPED.container, "State": {**STOPPED.container["State"], "FinishedAt": ended}})
    found = replace(STOPPED, container={**STOPPED.container, "Created": MADE}, previous=previous)
    wanted = spec(state=state, **params)
    plan = plan_wormhole(wanted, found)
    restore = plan.actions[0]
    assert isinstance(restore, RestorePrevious)
    assert restore.start == (again and state != "stopped")
    left = simulate_wormhole(found, plan)
    assert plan_wormhole(wanted, left).is_empty
    assert left.container["State"]["Running"] == (state == "started" or (again and state == "present"))


def test_all_are_removed_if_none_is_wanted():
    state = replace(RUNNING, previous=put_aside(STOPPED.container), successor=new(STOPPED.container))
    plan = plan_wormhole(spec(state="absent"), state)
    assert kinds(plan) == [RemoveContainer] * 3
    assert plan_wormhole(spec(state="absent"), simulate_wormhole(state, plan)).is_empty


# -- unmanaged containers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state, verb", [("started", "replace"), ("stopped", "replace"), ("absent", "remove")]
)
def test_an_unmanaged_container_is_left_alone(state, verb):
    with pytest.raises(Refused, match=f"^The container agent is not managed .*adopt: true to {verb} it"):
        plan_wormhole(spec(state=state), FOREIGN)
    assert not plan_wormhole(spec(state=state, adopt=True), FOREIGN).is_empty


def test_a_container_that_could_not_be_put_back_is_not_replaced():
    foreign = {**FOREIGN.container, "HostConfig": {**FOREIGN.container["HostConfig"], "AutoRemove": True}}
    with pytest.raises(Refused, match="auto_remove"):
        plan_wormhole(spec(adopt=True), replace(FOREIGN, container=foreign))


def secured(*names):
    """A virgin host whose engine confines its containers so."""
    security = parse_security({"SecurityOptions": names, "DockerRootDir": "/var/lib/docker/100000.200000"})
    return replace(VIRGIN, wiring=replace(VIRGIN.wiring, security=security))


BAKED = make_image("baked", Env=["PATH=/bin", *(f"{name}=image" for name in RESERVED_VARIABLES)])
"""An image that has an opinion on where its engine is."""


@pytest.mark.parametrize(
    "params, wired",
    [
        ({}, {"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"}),
        ({"transport": "unix"}, {"DOCKER_HOST", "DOCKER_CONTEXT"}),
        ({"transport": "tcp", "insecure_plaintext_port": 2375}, {"DOCKER_HOST", "DOCKER_CONTEXT"}),
        ({"discover": "runtime"}, {"DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"}),
    ],
)
def test_what_an_image_says_of_its_engine_is_not_inherited(params, wired):
    params = {**params, "discover_program": "#!/bin/sh"}
    state = after(replace(VIRGIN, image=BAKED), **params)
    env = environment_of(state.container)
    assert {name for name in env if name in RESERVED_VARIABLES} == wired
    assert "image" not in env.values()
    assert "PATH" in env
    assert plan_wormhole(spec(**params), state).is_empty
    strict = {**params, "comparisons": {"env": "strict"}, "env": {"A": "b"}}
    assert plan_wormhole(spec(**strict), after(replace(VIRGIN, image=BAKED), **strict)).is_empty


def test_settings_of_the_program_that_an_image_brings_are_not_inherited_either():
    image = make_image(
        "loose", Env=["WORMHOLE_INSECURE_PLAINTEXT=true", "WORMHOLE_TIMEOUT=3", "WORMHOLE_PORT=1"]
    )
    params = {"discover": "runtime", "discover_program": "#!/bin/sh"}
    env = environment_of(after(replace(VIRGIN, image=image), **params).container)
    assert (env.get("WORMHOLE_INSECURE_PLAINTEXT"), env["WORMHOLE_TIMEOUT"], env["WORMHOLE_PORT"]) == (
        None,
        "3",
        "2376",
    )


def with_context(*variables):
    """A wormhole that has these variables instead of its ``DOCKER_CONTEXT=default``."""
    state = after(VIRGIN)
    config = state.container["Config"]
    rest = [item for item in config["Env"] if not item.startswith("DOCKER_CONTEXT")]
    assert len(rest) == len(config["Env"]) - 1
    return replace(state, container={**state.container, "Config": {**config, "Env": [*rest, *variables]}})


@pytest.mark.parametrize("params", [{}, {"comparisons": {"env": "strict"}, "env": {"A": "b"}}])
@pytest.mark.parametrize("variables", [(), ("DOCKER_CONTEXT",)])
def test_a_container_of_a_version_that_did_not_choose_the_context_is_kept(variables, params):
    own = [f"{name}={value}" for name, value in params.get("env", {}).items()]
    assert plan_wormhole(spec(**params), with_context(*variables, *own)).is_empty


def test_a_container_with_another_context_is_replaced():
    plan = plan_wormhole(spec(), with_context("DOCKER_CONTEXT=other"))
    assert kinds(plan) == [CreateContainer]
    assert plan.reasons[0].text.startswith("env DOCKER_CONTEXT: expected default, found other")


def test_a_replacement_chooses_the_context():
    (action,) = plan_wormhole(spec(user="5"), with_context()).actions
    assert "DOCKER_CONTEXT=default" in action.body["Env"]


@pytest.mark.parametrize("params", [{}, {"comparisons": {"env": "ignore"}, "env": {"A": "b"}}])
def test_a_container_that_has_inherited_it_is_replaced(params):
    params = {"transport": "unix", **params}
    state = after(VIRGIN, **params)
    config = state.container["Config"]
    config = {**config, "Env": [*config["Env"], "DOCKER_TLS_VERIFY=1"]}
    state = replace(state, container={**state.container, "Config": config})
    plan = plan_wormhole(spec(**params), state)
    assert kinds(plan) == [CreateContainer]
    assert plan.reasons[0].text.startswith("env DOCKER_TLS_VERIFY: expected nothing, found 1")
    assert (plan.before["env"], plan.after["env"]) == (
        {"DOCKER_TLS_VERIFY": "1"},
        {"DOCKER_TLS_VERIFY": None},
    )


@pytest.mark.parametrize(
    "security, params, message",
    [
        (
            ["name=seccomp", "name=userns"],
            {"transport": "unix"},
            "userns-remap.*Use transport tls, or set userns",
        ),
        (["name=rootless"], {}, "rootless engine does not have. Use transport unix"),
        (["name=selinux"], {"transport": "unix"}, "selinux-enabled.*Use transport tls"),
        (["name=selinux"], {"shared_directory": "/src"}, "selinux-enabled.*Label it"),
    ],
)
def test_what_an_engine_leaves_no_way_for_is_refused_by_name(security, params, message):
    with pytest.raises(Refused, match=message):
        plan_wormhole(spec(**params), secured(*security))


@pytest.mark.parametrize(
    "security, params",
    [
        ("name=rootless", {"transport": "unix"}),
        ("name=userns", {}),
        ("name=selinux", {"transport": "unix", "privileged": True}),
    ],
)
def test_what_an_engine_leaves_a_way_for_is_not(security, params):
    assert not plan_wormhole(spec(**params), secured(security)).is_empty


# -- the socket in a directory of its own ----------------------------------------------------------

OWN = replace(
    VIRGIN, wiring=replace(VIRGIN.wiring, own_socket=EngineSocket("/run/wormhole/docker.sock", 997))
)
OWN_ADDRESS = "unix:///run/wormhole/docker.sock"


def test_a_new_wormhole_gets_the_socket_in_a_directory_of_its_own():
    container = after(OWN, transport="unix").container
    assert docker_host_of(container) == OWN_ADDRESS
    assert container["HostConfig"]["Binds"] == ["/run/wormhole:/run/wormhole:ro"]
    assert container["HostConfig"]["GroupAdd"] == ["997"]


def test_a_wormhole_with_the_stock_socket_keeps_it_until_it_is_made_anew():
    better = replace(after(VIRGIN, transport="unix"), wiring=OWN.wiring)
    assert plan_wormhole(spec(transport="unix"), better).is_empty
    moved = after(better, transport="unix", recreate=True)
    assert docker_host_of(moved.container) == OWN_ADDRESS
    assert plan_wormhole(spec(transport="unix"), moved).is_empty


def test_a_wormhole_whose_own_socket_is_gone_gets_the_stock_one():
    plan = plan_wormhole(spec(transport="unix"), replace(after(OWN, transport="unix"), wiring=VIRGIN.wiring))
    assert "env DOCKER_HOST: expected unix:///var/run/docker.sock" in "; ".join(plan.texts())


def test_a_shared_directory_is_the_working_directory_unless_another_in_it_is():
    host_config = after(VIRGIN, shared_directory="/src/").container["HostConfig"]
    assert "/src:/src" in host_config["Binds"]
    assert after(VIRGIN, shared_directory="/src/").container["Config"]["WorkingDir"] == "/src"
    inside = after(VIRGIN, shared_directory="/src", working_dir="/src/a").container
    assert inside["Config"]["WorkingDir"] == "/src/a"


def test_an_option_that_the_kernel_ignores_is_refused():
    with pytest.raises(InvalidInput, match="does not support memory"):
        plan_wormhole(spec(memory="64m"), replace(VIRGIN, info={"MemoryLimit": False}))


# Options beside those of the table, each with what it must not be; one sentence for each.
MALFORMED_PARAMETERS = [
    ({"name": "a b"}, "name 'a b'"),
    ({"name": "-a"}, "name '-a'"),
    ({"name": "x"}, "name 'x' is not the name of a container: it needs at least two characters"),
    ({"image": "Foo Bar"}, "image: expected an image name in lower case"),
    ({"image": "busybox:"}, "image: expected an image name in lower case"),
    ({"transport": "udp"}, "transport: expected tls or unix or tcp, found udp"),
    ({"transport": "tcp"}, "transport tcp requires the option insecure_plaintext_port"),
    (
        {"insecure_plaintext_port": 2375},
        "insecure_plaintext_port requires transport tcp, and the task has transport tls",
    ),
    (
        {"transport": "tcp", "insecure_plaintext_port": 65536},
        "insecure_plaintext_port: expected a number from 1 to 65535",
    ),
    ({"shared_directory": "src"}, "shared_directory: expected an absolute path"),
    ({"shared_directory": "//"}, "shared_directory: expected an absolute path below /"),
    (
        {"shared_directory": "/src", "working_dir": "/srcs"},
        "working_dir /srcs is not in the shared_directory /src",
    ),
    ({"port": 0}, "port: expected a number from 1 to 65535"),
    ({"identity": "../x"}, "identity ../x is not a plain name"),
    ({"identity": ".."}, "identity .. is not a plain name"),
    ({"identity": ".agent"}, "The name of identity .agent begins with a dot"),
    ({"identity": ".agent.pending"}, "The name of identity .agent.pending begins with a dot"),
    (
        {"transport": "unix", "identity_owner": "ci"},
        "identity_owner requires transport tls and identity_managed: true",
    ),
    ({"identity_owner": "ci"}, "identity_owner requires transport tls and identity_managed: true"),
    (
        {"identity_managed": True, "identity_owner": ":5"},
        "identity_owner: expected a user ID, or a name in /etc/passwd of the image, found ':5'",
    ),
    ({"identity_managed": True, "identity_owner": "a:b:c"}, "identity_owner: expected a user"),
    ({"identity_managed": True, "identity_owner": "a\0b"}, "identity_owner"),
    ({"identity_directory": "x"}, "identity_directory: expected an absolute path"),
    ({"certificate_path": "/a:b"}, "certificate_path: expected an absolute path below /, without a colon"),
    ({"stop_timeout": -2}, "stop_timeout: expected"),
    ({"default_host_ip": "localhost"}, "default_host_ip: expected an IP address, or an empty string"),
    ({"pull": "sometimes"}, "pull: expected never, missing, always, true or false, found 'sometimes'"),
    ({"platform": "a/b/c/d"}, "platform: expected os"),
    ({"comparisons": {"env": "roughly"}}, "comparisons env: expected one of"),
    ({"networks": [{"name": ""}]}, "networks: expected the name of a network"),
    ({"detach": False, "state": "stopped"}, "detach: false requires state started"),
    ({"paused": True, "state": "healthy"}, "paused and state healthy exclude each other"),
    ({"paused": True, "detach": False}, "paused and detach: false exclude each other"),
    *(
        ({name: value}, f"{name}: {str(value).lower()} is not available: ")
        for name, value in (
            ("command_handling", "compatibility"),
            ("container_default_behavior", "compatibility"),
            ("image_comparison", "desired-image"),
            ("kernel_memory", "64m"),
            ("networks_cli_compatible", False),
            ("pull_check_mode_behavior", "always"),
        )
    ),
    ({"cleanup": True}, "cleanup requires detach: false"),
    ({"kill_signal": "SIGTERM"}, "kill_signal requires force_kill"),
    ({"kill_signal": "a b", "force_kill": True}, "kill_signal: expected a signal such as SIGTERM"),
    ({"auto_remove": True, "state": "stopped"}, "auto_remove and state stopped exclude each other"),
    ({"discover": "later"}, "discover: expected launch or runtime, found later"),
    ({"discover": "runtime", "testcontainers": True}, "testcontainers requires discover launch"),
    ({"state": "healthy", "healthcheck": {"test": ["NONE"]}}, "state healthy requires a healthcheck"),
]


@pytest.mark.parametrize("params, message", MALFORMED_PARAMETERS)
def test_malformed_parameters_are_refused_in_one_sentence(params, message):
    with pytest.raises(InvalidInput, match=f"^{message}"):
        spec(**params)


# -- what the wiring sets, too ---------------------------------------------------------------------

MANAGED = {"identity_managed": True}
WIRED = [
    MANAGED,
    {**MANAGED, "identity_owner": "77"},
    {"discover": "runtime", "program": "#!/bin/sh"},
    {"transport": "unix"},
    {"transport": "unix", "testcontainers": True, "shared_directory": "/src"},
    {"transport": "tcp", "insecure_plaintext_port": 2375, "testcontainers": True},
]


def planned(state, **params):
    params.pop("program", None)
    return plan_wormhole(replace(spec(**params), program="#!/bin/sh"), state)


def served(state):
    plaintext = (SocketAddress("172.17.0.1", 2375),)
    return replace(state, wiring=replace(state.wiring, served_plaintext=plaintext))


@pytest.mark.parametrize("params", WIRED)
def test_a_task_may_repeat_what_the_wiring_sets(params):
    """Such as the values that wormhole_wiring_info returns."""
    virgin = served(VIRGIN)
    plan = planned(virgin, **params)
    added = wiring_of(spec(**{key: value for key, value in params.items() if key != "program"}), virgin)
    repeated = {
        "env": dict(added.env),
        "etc_hosts": dict(added.etc_hosts),
        "labels": dict(added.labels),
        "volumes": list(added.volumes),
        "groups": list(added.groups),
    }
    left = replace(simulate_wormhole(virgin, plan), created_now=False, started_now=False)
    assert planned(left, **params, **repeated).is_empty
    first, same = (
        one.actions[-1].body["HostConfig"] for one in (plan, planned(virgin, **params, **repeated))
    )
    assert sorted(same.get("Binds", ())) == sorted(first.get("Binds", ()))
    # The container's own values count if the task names no image.
    assert planned(left, **{**params, **repeated, "image": None}).is_empty
    for name, value in added.env.items():
        with pytest.raises(InvalidInput, match=f"^env {name} is set by"):
            planned(virgin, **params, env={name: value + "x"})
    for name, value in added.labels.items():
        with pytest.raises(InvalidInput, match=f"^labels {name} is set by transport"):
            planned(virgin, **params, labels={name: value + "x"})
    for volume in added.volumes:
        target = volume.split(":")[1]
        with pytest.raises(InvalidInput, match=f"^volumes {target} is set by transport"):
            planned(virgin, **params, volumes=[f"/x:{target}"])
        with pytest.raises(InvalidInput, match=f"^volumes {target} is set by transport"):
            planned(virgin, **params, tmpfs=[target])


@pytest.mark.parametrize(
    "params, subject",
    [
        ({"env": {"DOCKER_HOST": "x"}}, "env DOCKER_HOST"),
        ({"env": {"DOCKER_TLS": "1"}}, "env DOCKER_TLS"),
        ({"transport": "unix", "env": {"DOCKER_TLS_VERIFY": "1"}}, "env DOCKER_TLS_VERIFY"),
        ({"testcontainers": True, "env": {"TESTCONTAINERS_HOST_OVERRIDE": "x"}}, "env TESTCONTAINERS_HOST"),
        ({"volumes": ["/x:/certs/"]}, "volumes /certs"),
        ({"transport": "unix", "volumes": ["/x:/var/run//docker.sock"]}, "volumes /var/run/docker.sock"),
        ({"shared_directory": "/src", "volumes": ["vol:/src/"]}, "volumes /src"),
        ({"etc_hosts": {"host.docker.internal": "192.0.2.1"}}, "etc_hosts host.docker.internal"),
        ({"labels": {"wormhole.docker.managed": "false"}}, "labels wormhole.docker.managed"),
        ({"labels": {"wormhole.docker.mine": "1"}}, "labels wormhole.docker.mine"),
    ],
)
def test_the_user_cannot_set_what_the_wiring_sets_to_another_value(params, subject):
    with pytest.raises(InvalidInput, match=f"^{subject}.* is set by transport"):
        plan_wormhole(spec(**params), VIRGIN)


def test_what_the_wiring_does_not_set_is_free():
    unix = {"transport": "unix", "env": {"DOCKER_API_VERSION": "1.41"}, "labels": {"a": "b"}}
    assert not plan_wormhole(spec(**unix, volumes=["/x:/certs"]), VIRGIN).is_empty
    assert not plan_wormhole(
        spec(volumes=["/x:/var/run/docker.sock"], etc_hosts={"a": "192.0.2.1"}), VIRGIN
    ).is_empty


# -- without an image ------------------------------------------------------------------------------

UNIX = after(VIRGIN, transport="unix")
ELSEWHERE = after(VIRGIN, networks=[{"name": "ci"}], identity="other", user="7")


@pytest.mark.parametrize("image", [None, ""])
@pytest.mark.parametrize("state", ["stopped", "started", "present", "healthy"])
def test_where_there_is_no_container_an_image_is_missed(image, state):
    with pytest.raises(
        InvalidInput, match="^The container agent does not exist, and the task names no image"
    ):
        plan_wormhole(spec(image=image, state=state), VIRGIN)


@pytest.mark.parametrize("found", [RUNNING, UNIX, ELSEWHERE])
@pytest.mark.parametrize("own_image", [IMAGE, None])
def test_a_container_is_stopped_and_started_by_its_name_alone(found, own_image):
    found = replace(found, image=own_image)
    assert plan_wormhole(spec(image=None), found).is_empty
    plan = plan_wormhole(spec(image=None, state="stopped"), found)
    assert (codes(plan), kinds(plan)) == (["running"], [StopContainer])
    stopped = simulate_wormhole(found, plan)
    assert plan_wormhole(spec(image=None, state="present"), stopped).is_empty
    assert kinds(plan_wormhole(spec(image=None), stopped)) == [StartContainer]


def test_without_an_image_what_can_be_changed_in_place_is_changed():
    plan = plan_wormhole(spec(image=None, memory="64m", networks=[{"name": "ci"}], pull="always"), UNIX)
    assert kinds(plan) == [UpdateContainer, ConnectNetwork]


@pytest.mark.parametrize(
    "params, found",
    [({"user": "5"}, "user: expected 5, found 1234"), ({"recreate": True}, "recreate: requested")],
)
def test_without_an_image_nothing_is_replaced(params, found):
    message = f"^The container agent has to be replaced, and the task names no image: {found}"
    with pytest.raises(InvalidInput, match=message):
        plan_wormhole(spec(image=None, **params), with_user(RUNNING))


def with_user(state):
    config = {**state.container["Config"], "User": "1234"}
    return replace(state, container={**state.container, "Config": config})


def test_without_an_image_the_wiring_is_the_containers():
    assert wiring_of(spec(image=None), UNIX).docker_host == "unix:///var/run/docker.sock"
    assert wiring_spec_of(spec(image=None), UNIX).transport == "unix"
    wiring, wired = wiring_of(spec(image=None), ELSEWHERE), wiring_spec_of(spec(image=None), ELSEWHERE)
    assert (wiring.address, wiring.port) == ("172.17.0.1", 2376)
    assert (wired.transport, wired.identity, wired.certificate_path) == ("tls", "other", "/certs")


def test_without_an_image_a_container_does_not_lose_its_way():
    none = {"image": None, "networks": [], "comparisons": {"networks": "strict"}}
    with pytest.raises(InvalidInput, match="^network none: .*no network at all. Use transport unix"):
        plan_wormhole(spec(**none), RUNNING)
    assert kinds(plan_wormhole(spec(**none), UNIX)) == [DisconnectNetwork]


def test_without_an_image_the_program_of_a_container_stays():
    found = replace(RUNNING, program=ProgramState("an older one"))
    assert plan_wormhole(spec(image=None), found).is_empty


def test_without_an_image_a_healthcheck_is_missed_too():
    with pytest.raises(InvalidInput, match="^state healthy requires the option healthcheck"):
        plan_wormhole(spec(image=None, state="healthy"), replace(RUNNING, image=None))


# -- on no network at all --------------------------------------------------------------------------

NO_NETWORKS = {"networks": [], "comparisons": {"networks": "strict"}, "transport": "unix"}


def test_networks_that_are_none_are_all_left():
    joined = after(VIRGIN, transport="unix", networks=[{"name": "bridge"}, {"name": "ci"}])
    plan = plan_wormhole(spec(**NO_NETWORKS), joined)
    assert plan.actions == (DisconnectNetwork("simulated", "bridge"), DisconnectNetwork("simulated", "ci"))
    assert plan.texts() == [f"networks {name}: expected nothing, found attached" for name in ("bridge", "ci")]
    assert plan_wormhole(spec(**NO_NETWORKS), simulate_wormhole(joined, plan)).is_empty


def test_a_container_on_no_network_is_created_so():
    state = after(VIRGIN, **NO_NETWORKS)
    assert state.container["HostConfig"]["NetworkMode"] == "none"
    assert plan_wormhole(spec(**NO_NETWORKS), state).is_empty
    assert plan_wormhole(spec(**{**NO_NETWORKS, "comparisons": {"*": "strict"}}), state).is_empty


def test_the_hosts_network_is_left_by_a_replacement():
    on_host = after(VIRGIN, transport="unix", network_mode="host")
    assert kinds(plan_wormhole(spec(**NO_NETWORKS), on_host)) == [CreateContainer]


def test_without_networks_there_is_no_way_but_the_socket():
    with pytest.raises(InvalidInput, match="^network none: .*no network at all. Use transport unix"):
        plan_wormhole(spec(**{**NO_NETWORKS, "transport": "tls"}), VIRGIN)


@pytest.mark.parametrize(
    "params",
    [
        {"networks": []},
        {"networks": None, "comparisons": {"networks": "strict"}},
        {"networks": [], "comparisons": {"networks": "strict"}, "network_mode": "bridge"},
    ],
)
def test_networks_are_left_only_if_that_is_asked_for(params):
    assert plan_wormhole(spec(transport="unix", **params), after(VIRGIN, transport="unix")).is_empty


def test_a_platform_that_is_not_compared_is_no_reason():
    foreign = {**IMAGE, "Os": "linux", "Architecture": "arm64"}
    found = replace(RUNNING, image=foreign)
    assert codes(plan_wormhole(spec(platform="linux/amd64"), found)) == ["platform_differs"]
    ignored = {"comparisons": {"platform": "ignore"}}
    assert plan_wormhole(spec(platform="linux/amd64", **ignored), found).is_empty


# -- where ports are published ---------------------------------------------------------------------

BOUND = replace(
    VIRGIN, wiring=replace(VIRGIN.wiring, topology=replace(TOPOLOGY, host_bindings={"ci": "192.0.2.1"}))
)


def bindings(state):
    found = state.container["HostConfig"]["PortBindings"]
    return {port: [binding["HostIp"] for binding in bindings] for port, bindings in found.items()}


@pytest.mark.parametrize(
    "params, expected",
    [
        ({}, "0.0.0.0"),
        ({"networks": [{"name": "bridge"}, {"name": "ci"}]}, "192.0.2.1"),
        ({"networks": [{"name": "ci"}], "default_host_ip": "127.0.0.1"}, "127.0.0.1"),
        ({"networks": [{"name": "ci"}], "default_host_ip": ""}, ""),
        ({"network_mode": "ci"}, "0.0.0.0"),
    ],
)
def test_ports_are_published_where_docker_container_publishes_them(params, expected):
    state = after(BOUND, published_ports=["80:80", "127.0.0.2:81:81"], **params)
    assert bindings(state) == {"80/tcp": [expected], "81/tcp": ["127.0.0.2"]}


def test_ports_return_to_the_default_address_once_an_empty_one_is_left_out():
    everywhere = after(VIRGIN, published_ports=["80:80"], default_host_ip="")
    # Without IPv6, the engine reports the same bindings for both.
    ports = {"80/tcp": [{"HostIp": "0.0.0.0"}]}
    settings = {**everywhere.container["NetworkSettings"], "Ports": ports}
    everywhere = replace(everywhere, container={**everywhere.container, "NetworkSettings": settings})
    assert plan_wormhole(spec(published_ports=["80:80"], default_host_ip=""), everywhere).is_empty
    plan = plan_wormhole(spec(published_ports=["80:80"]), everywhere)
    assert kinds(plan) == [CreateContainer]
    assert bindings(simulate_wormhole(everywhere, plan)) == {"80/tcp": ["0.0.0.0"]}


# -- restart and pause -----------------------------------------------------------------------------

PAUSED = after(RUNNING, paused=True)
RESTARTING = replace(RUNNING, container={**RUNNING.container, "State": {"Running": True, "Restarting": True}})


@pytest.mark.parametrize(
    "state, params, expected_codes, expected_kinds, status",
    [
        (RUNNING, {"restart": True}, ["restart"], [RestartContainer], "running"),
        (RUNNING, {"restart": True, "image": None}, ["restart"], [RestartContainer], "running"),
        (RUNNING, {"restart": True, "state": "present"}, [], [], None),
        (RUNNING, {"restart": True, "state": "stopped"}, ["running"], [StopContainer], "exited"),
        (STOPPED, {"restart": True}, ["not_running"], [StartContainer], "running"),
        (STOPPED, {"restart": True, "state": "stopped"}, [], [], None),
        (VIRGIN, {"restart": True}, ["missing"], [CreateContainer], "running"),
        (
            RUNNING,
            {"restart": True, "memory": "64m"},
            ["memory_differs", "restart"],
            [UpdateContainer, RestartContainer],
            "running",
        ),
        (RUNNING, {"restart": True, "user": "5"}, ["user_differs"], [CreateContainer], "running"),
        (RUNNING, {"paused": True}, ["paused"], [PauseContainer], "paused"),
        (RUNNING, {"paused": False}, [], [], None),
        (RUNNING, {"paused": True, "state": "present"}, [], [], None),
        (PAUSED, {}, [], [], None),
        (PAUSED, {"paused": True}, [], [], None),
        (PAUSED, {"paused": False}, ["paused"], [UnpauseContainer], "running"),
        (PAUSED, {"paused": False, "state": "present"}, [], [], None),
        (PAUSED, {"paused": True, "state": "stopped"}, ["running"], [StopContainer], "exited"),
        (STOPPED, {"paused": True}, ["not_running", "paused"], [StartContainer, PauseContainer], "paused"),
        (STOPPED, {"paused": True, "state": "present"}, [], [], None),
        (VIRGIN, {"paused": True}, ["missing"], [CreateContainer, PauseContainer], "paused"),
        (VIRGIN, {"paused": True, "state": "present"}, ["missing"], [CreateContainer], "created"),
        (
            PAUSED,
            {"paused": True, "user": "5"},
            ["user_differs"],
            [CreateContainer, PauseContainer],
            "paused",
        ),
        (PAUSED, {"user": "5"}, ["user_differs"], [CreateContainer], "running"),
        (PAUSED, {"restart": True}, ["restart"], [RestartContainer], "running"),
        (
            PAUSED,
            {"restart": True, "paused": True},
            ["restart", "paused"],
            [RestartContainer, PauseContainer],
            "paused",
        ),
    ],
)
def test_restart_and_pause(state, params, expected_codes, expected_kinds, status):
    plan = plan_wormhole(spec(**params), state)
    assert (codes(plan), kinds(plan)) == (expected_codes, expected_kinds)
    assert plan.after.get("state") == status
    left = simulate_wormhole(state, plan)
    assert plan_wormhole(spec(**params), left).is_empty
    if status:
        assert left.container["State"]["Status"] == status


def test_a_container_that_waits_for_its_restart_is_restarted():
    assert kinds(plan_wormhole(spec(restart=True), RESTARTING)) == [RestartContainer]


def test_a_restart_is_in_the_diff():
    plan = plan_wormhole(spec(restart=True), RUNNING)
    assert (plan.before, plan.after) == (
        {"state": "running", "restarted": False},
        {"state": "running", "restarted": True},
    )


# -- names and labels of images --------------------------------------------------------------------


def test_another_name_of_the_same_image_is_a_difference_unless_it_is_to_be_ignored():
    plan = plan_wormhole(spec(image="busybox:latest"), RUNNING)
    assert plan.texts() == [
        "image: expected busybox:latest, found busybox:1 (another name of the same image); "
        "requires a new container"
    ]
    assert (plan.before["image"], plan.after["image"]) == ("busybox:1", "busybox:latest")
    for ignored in ({"image_name_mismatch": "ignore"}, {"comparisons": {"image": "ignore"}}):
        assert plan_wormhole(spec(image="busybox:latest", **ignored), RUNNING).is_empty
    assert plan_wormhole(spec(image=None), RUNNING).is_empty


LABELLED = {"image_label_mismatch": "fail", "comparisons": {"labels": "strict"}}


@pytest.mark.parametrize("state", [VIRGIN, RUNNING])
@pytest.mark.parametrize("comparisons", [{"labels": "strict"}, {"*": "strict"}])
def test_an_image_with_labels_that_the_task_does_not_set_is_rejected(state, comparisons):
    message = "^The image busybox:1 has labels that the task does not set: from. Set them in labels"
    with pytest.raises(InvalidInput, match=message):
        plan_wormhole(spec(**{**LABELLED, "comparisons": comparisons}, labels={"a": "b"}), state)


@pytest.mark.parametrize(
    "params",
    [
        {**LABELLED, "labels": {"from": "task", "a": "b"}},
        {**LABELLED, "labels": {"a": "b"}, "image_label_mismatch": "ignore"},
        {**LABELLED, "labels": {"a": "b"}, "comparisons": {}},
        LABELLED,
    ],
)
def test_an_image_whose_labels_are_set_or_may_stay_is_not(params):
    assert plan_wormhole(spec(**params), after(VIRGIN, **params)).is_empty


# -- limits that the kernel does not support -------------------------------------------------------

BARE = replace(VIRGIN, info={"MemoryLimit": False, "CPUShares": False})
TOLERANT = {"unsupported_limits": "warn", "memory": "64m", "cpu_shares": 512, "oom_score_adj": 5}


def test_limits_that_the_kernel_does_not_support_are_left_out_if_a_warning_will_do():
    made = after(BARE, **TOLERANT)
    host_config = made.container["HostConfig"]
    assert host_config["OomScoreAdj"] == 5
    assert not {"Memory", "CpuShares"} & set(host_config)
    wanted = spec(**TOLERANT)
    assert plan_wormhole(wanted, made).is_empty
    assert limit_warnings(wanted, made) == (
        "agent: the kernel of this host does not support memory, cpu_shares. "
        "The container runs without these limits",
    )
    assert limit_warnings(spec(**{**TOLERANT, "state": "absent"}), made) == ()


def test_limits_are_set_once_the_kernel_supports_them():
    able = replace(after(BARE, **TOLERANT), info={"MemoryLimit": True, "CPUShares": True})
    plan = plan_wormhole(spec(**TOLERANT), able)
    assert (codes(plan), kinds(plan)) == (["memory_differs", "cpu_shares_differs"], [UpdateContainer])
    assert limit_warnings(spec(**TOLERANT), able) == ()
    assert plan_wormhole(spec(**TOLERANT), simulate_wormhole(able, plan)).is_empty


def test_a_supported_limit_is_set_whatever_unsupported_limits_is():
    made = after(replace(VIRGIN, info={"MemoryLimit": True, "CPUShares": False}), **TOLERANT)
    assert made.container["HostConfig"]["Memory"] == 2**26
    (warning,) = limit_warnings(spec(**TOLERANT), made)
    assert warning.endswith("does not support cpu_shares. The container runs without this limit")


# -- the notations of docker_container -------------------------------------------------------------


@pytest.mark.parametrize("mode", ["host", "none"])
@pytest.mark.parametrize("given_mode", [{}, {"network_mode": ""}, {"network_mode": "same"}])
def test_a_network_mode_may_be_the_only_network(mode, given_mode):
    given_mode = {"network_mode": mode} if given_mode.get("network_mode") == "same" else given_mode
    params = {"transport": "unix", "networks": [{"name": mode}], **given_mode}
    made = after(VIRGIN, **params)
    assert made.container["HostConfig"]["NetworkMode"] == mode
    assert plan_wormhole(spec(**params), made).is_empty
    assert plan_wormhole(spec(**{**params, "comparisons": {"networks": "strict"}}), made).is_empty


def test_a_job_that_is_removed_by_the_engine_is_removed_by_the_module():
    for cleanup in (True, False):
        wanted = spec(detach=False, auto_remove=True, cleanup=cleanup)
        assert "auto_remove" not in wanted.options
        assert (wanted.cleanup, wanted.remove_failed) == (True, True)
        plan = plan_wormhole(wanted, VIRGIN)
        assert kinds(plan) == [CreateContainer, CleanUp]
        assert plan_wormhole(wanted, simulate_wormhole(VIRGIN, plan)).is_empty
    assert not spec(detach=False, cleanup=True).remove_failed


# -- the law ---------------------------------------------------------------------------------------

BESIDE = st.fixed_dictionaries(
    {},
    optional={
        "networks": st.sampled_from(
            [[], [{"name": "ci"}], [{"name": "ci", "aliases": ["x"]}, {"name": "bridge"}]]
        ),
        "transport": st.sampled_from(["tls", "unix"]),
        "identity": st.sampled_from(["agent", "other"]),
        "image": st.sampled_from(["busybox:1", "busybox:2"]),
        "pull": st.sampled_from(["missing", "always", "never"]),
        "recreate": st.booleans(),
        "adopt": st.just(True),
        "platform": st.sampled_from(["linux/amd64", "linux/arm64"]),
        "comparisons": st.sampled_from(
            [
                {"*": "strict"},
                {"*": "ignore"},
                {"networks": "strict", "image": "ignore"},
                {"env": "strict", "labels": "strict", "stop_timeout": "strict"},
            ]
        ),
        "keep_volumes": st.booleans(),
        "default_host_ip": st.sampled_from(["", "127.0.0.1"]),
        "restart": st.booleans(),
        "image_name_mismatch": st.sampled_from(["recreate", "ignore"]),
        "unsupported_limits": st.just("warn"),
    },
)
# A container that is to be healthy cannot be paused.
PAUSES = st.sampled_from([None, True, False])
# On no network at all there is no way but the socket.
OPTION_SETS = st.tuples(some_options(), BESIDE).map(
    lambda both: {**both[0], **both[1], **({"transport": "unix"} if both[1].get("networks") == [] else {})}
)
STATES = st.sampled_from(["started", "healthy", "stopped", "present", "absent"])


@given(
    first=st.one_of(st.none(), OPTION_SETS),
    second=OPTION_SETS,
    states=st.tuples(STATES, STATES),
    image=st.sampled_from([None, IMAGE, OTHER_IMAGE, BAKED]),
    outdated=st.booleans(),
    previous=st.sampled_from([None, RUNNING.container, STOPPED.container]),
    served=st.sampled_from([(), (("172.17.0.1", 2376),), (("172.18.0.1", 2376),)]),
    pauses=st.tuples(PAUSES, PAUSES),
    info=st.sampled_from([{}, {"MemoryLimit": False, "CPUShares": False, "CpuCfsQuota": False}]),
)
def test_a_plan_that_is_carried_out_leaves_nothing_to_do(
    first, second, states, image, outdated, previous, served, pauses, info
):
    # A container that is to be healthy needs a healthcheck.
    checked = {"healthcheck": {"test": "true"}}
    pauses = [None if state == "healthy" else paused for state, paused in zip(states, pauses)]
    first = first and {**checked, **first, "state": states[0], "paused": pauses[0]}
    state = VIRGIN if first is None else after(VIRGIN, **first)
    state = replace(
        state,
        image=image,
        image_outdated=outdated and image is not None,
        previous=previous and put_aside(previous),
        wiring=replace(state.wiring, served=served),
    )
    second = {**checked, **second, "state": states[1], "paused": pauses[1]}
    if second.get("unsupported_limits"):
        state = replace(state, info=info)
    wanted = spec(**second)
    plan = plan_wormhole(wanted, state)
    left = plan_wormhole(wanted, simulate_wormhole(state, plan))
    assert left.is_empty, left.texts()


def test_what_containers_options_say_of_the_way_to_the_engine_is_heeded():
    networks = [{"name": "ci"}, {"name": "zone", "gw_priority": 2}]
    wiring = spec(networks=networks, userns_mode="host", security_opts=["label=disable"]).wiring
    assert wiring.gateway_priorities == {"zone": 2}
    assert wiring.host_users
    assert wiring.unlabelled


@pytest.mark.parametrize("api_version, is_networks", [((1, 43), False), ((1, 44), True), ((1, 52), True)])
@pytest.mark.parametrize("params, network", [({}, "bridge"), ({"networks": [{"name": "ci"}]}, "ci")])
def test_a_mac_address_is_the_first_networks_where_the_engine_knows_that(
    api_version, is_networks, params, network
):
    engine = replace(VIRGIN, api_version=api_version)
    wanted = {"mac_address": "02-42-AC-11-00-09", **params}
    body = plan_wormhole(spec(**wanted), engine).actions[-1].body
    assert ("MacAddress" in body) != is_networks
    if is_networks:
        endpoints = body["NetworkingConfig"]["EndpointsConfig"]
        assert endpoints == {network: {"MacAddress": "02:42:ac:11:00:09"}}
        assert body["HostConfig"]["NetworkMode"] == network
    assert plan_wormhole(spec(**wanted), after(engine, **wanted)).is_empty
