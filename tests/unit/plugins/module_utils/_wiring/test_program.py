# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wormholes that find their engine at run time: their input, and when the program exists."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import Gateway, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.program import (
    DIRECTORY,
    NAMES,
    PROGRAM,
    WRAPPER,
    InstallProgram,
    ProgramState,
    RemoveProgram,
    unwrap,
    wrap,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.wire import WiringState
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.model import (
    CreateContainer,
    PullImage,
    RemoveContainer,
    StopContainer,
    WormholeState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.plan import plan_wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.resolve import wiring_of
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.spec import parse_spec
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import make_image
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.simulation import (
    merge_image_config,
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
    "discover": "runtime",
    "discover_program": "the program",
}
SERVED = ("DNS:localhost", "IP:172.17.0.1")
IMAGE = make_image("one", Entrypoint=["/entry"], Cmd=["serve"], Env=["PATH=/bin"])
TOPOLOGY = Topology(
    (
        Gateway("172.17.0.1", 4, "bridge", "docker0", "172.17.0.0/16"),
        Gateway("172.18.0.1", 4, "ci", "br-1", "172.18.0.0/16"),
        Gateway("172.19.0.1", 4, "other", "br-2", "172.19.0.0/16"),
    ),
    (),
)
VIRGIN = WormholeState(
    WiringState(TOPOLOGY, (("172.17.0.1", 2376),), 998), image=IMAGE, program=ProgramState(served=SERVED)
)


def spec(**params):
    return parse_spec({**DEFAULTS, **params}, "/var/run/docker.sock")


def plan(there, **params):
    found = plan_wormhole(spec(**params), there)
    assert plan_wormhole(spec(**params), simulate_wormhole(there, found)).is_empty
    return found


def after(there, **params):
    left = simulate_wormhole(there, plan(there, **params))
    return replace(left, created_now=False, started_now=False)


def kinds(found):
    return [type(action) for action in found.actions]


def codes(found):
    return [reason.code for reason in found.reasons]


RUNNING = after(VIRGIN)
AT_LAUNCH = after(VIRGIN, discover="launch")


def config(state):
    return state.container["Config"]


def test_the_program_is_there_before_the_container_and_stands_before_what_the_image_says():
    found = plan(VIRGIN)
    assert kinds(found) == [InstallProgram, CreateContainer]
    assert codes(found) == ["missing", "discover_program_differs", "discover_names_differ"]
    assert (found.after["discover_program"], found.after["discover_names"]) == (PROGRAM, list(SERVED))
    assert config(RUNNING)["Entrypoint"] == [*WRAPPER, "/entry"]
    assert config(RUNNING)["Cmd"] == ["serve"]
    assert RUNNING.program == ProgramState("the program", SERVED, SERVED)


def test_it_gets_settings_instead_of_an_address():
    variables = dict(item.split("=", 1) for item in config(RUNNING)["Env"])
    assert "DOCKER_HOST" not in variables
    assert variables == {
        "PATH": "/bin",
        "DOCKER_CERT_PATH": "/certs",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CONTEXT": "default",
        "WORMHOLE_PORT": "2376",
        "WORMHOLE_NAMES_FILE": NAMES,
    }
    assert RUNNING.container["HostConfig"]["Binds"] == [
        "/etc/wormhole/identities/agent:/certs:ro",
        f"{DIRECTORY}:{DIRECTORY}:ro",
    ]
    assert config(RUNNING)["Labels"]["wormhole.docker.discover"] == "runtime"


def test_in_the_hosts_network_its_router_is_not_asked():
    state = after(VIRGIN, network_mode="host")
    assert "WORMHOLE_CANDIDATES=127.0.0.1 ::1 host-gateway networks" in config(state)["Env"]


@pytest.mark.parametrize(
    "own, expected",
    [
        ({}, (["/entry"], ["serve"])),
        ({"Cmd": ["x"]}, (["/entry"], ["x"])),
        # As without the program: whoever names an entrypoint gets no command from the image.
        ({"Entrypoint": ["/mine"]}, (["/mine"], None)),
        ({"Entrypoint": ["/mine"], "Cmd": ["x"]}, (["/mine"], ["x"])),
    ],
)
@pytest.mark.parametrize(
    "image", [IMAGE["Config"], {"Cmd": ["serve"]}, {"Entrypoint": ["/entry"]}, {"Cmd": None}]
)
def test_what_runs_is_what_would_run_without_it(own, expected, image):
    without = merge_image_config(own, image)
    if not (without.get("Entrypoint") or without.get("Cmd")):
        with pytest.raises(InvalidInput, match="an image that has one"):
            wrap(own, image)
        return
    with_it = merge_image_config(wrap(own, image), image)
    assert with_it["Entrypoint"][: len(WRAPPER)] == list(WRAPPER)
    seen = unwrap({"Config": with_it})["Config"]
    assert [*seen["Entrypoint"], *(seen.get("Cmd") or [])] == [
        *(without.get("Entrypoint") or []),
        *(without.get("Cmd") or []),
    ]
    if image is IMAGE["Config"]:
        assert (seen["Entrypoint"], seen.get("Cmd")) == expected


def test_an_image_that_is_not_there_yet_is_pulled_first():
    found = plan(replace(VIRGIN, image=None))
    assert kinds(found) == [InstallProgram, PullImage, CreateContainer]


@pytest.mark.parametrize(
    "params, expected",
    [
        ({}, []),
        ({"command": "other"}, ["command_differs"]),
        ({"command": ["serve"]}, []),
        ({"entrypoint": ["/entry"]}, []),
        ({"entrypoint": ["/other"]}, ["entrypoint_differs"]),
    ],
)
def test_command_and_entrypoint_are_compared_with_what_the_user_said(params, expected):
    assert codes(plan(RUNNING, **params)) == expected


def test_a_reason_shows_the_users_entrypoint_and_not_the_programs():
    (text,) = plan(RUNNING, entrypoint=["/other"]).texts()
    assert text == "entrypoint: expected [/other], found [/entry]; requires a new container"


def test_another_image_is_a_reason_like_without_it():
    other = replace(RUNNING, image=make_image("two", Cmd=["b"]))
    assert codes(plan(other)) == ["image_differs"]


def test_from_launch_to_run_time_and_back():
    there = plan(AT_LAUNCH)
    assert kinds(there) == [InstallProgram, CreateContainer]
    assert (
        "labels wormhole.docker.discover: expected runtime, found nothing; requires a new container"
        in there.texts()
    )
    back = plan(RUNNING, discover="launch")
    assert kinds(back) == [CreateContainer, RemoveProgram]
    difference = "env DOCKER_HOST: expected tcp://172.17.0.1:2376, found nothing"
    assert f"{difference}; requires a new container" in back.texts()


@pytest.mark.parametrize(
    "program, expected",
    [
        (ProgramState("the program", SERVED, SERVED), []),
        (ProgramState("another", SERVED, SERVED), ["discover_program_differs"]),
        (ProgramState(None, SERVED, SERVED), ["discover_program_differs"]),
        (ProgramState("the program", ("IP:10.0.0.1",), SERVED), ["discover_names_differ"]),
        # The engine is just starting: what was known before stays.
        (ProgramState("the program", ("IP:10.0.0.1",), ()), []),
        (ProgramState("the program", None, ()), []),
    ],
)
def test_the_container_is_left_alone_when_only_the_program_or_the_names_change(program, expected):
    found = plan(replace(RUNNING, program=program))
    assert codes(found) == expected
    assert kinds(found) == ([InstallProgram] if expected else [])


@pytest.mark.parametrize(
    "users, expected", [((), [RemoveContainer, RemoveProgram]), (("other",), [RemoveContainer])]
)
def test_it_goes_with_the_last_container_that_needs_it(users, expected):
    state = replace(RUNNING, program=replace(RUNNING.program, users=users))
    assert kinds(plan(state, state="absent")) == expected


def test_what_is_left_over_is_removed_by_whoever_finds_it_unused():
    left = replace(AT_LAUNCH, program=ProgramState("old", None))
    assert codes(plan(left, discover="launch")) == ["discover_program_unused"]
    assert kinds(plan(RUNNING, state="stopped")) == [StopContainer]


@pytest.mark.parametrize(
    "served, network, works",
    [
        ("172.17.0.1", "ci", True),
        ("172.18.0.1", "ci", True),
        ("172.19.0.1", "ci", False),
        ("172.19.0.1", "other", True),
    ],
)
def test_an_engine_that_the_program_would_not_find_is_an_obstacle(served, network, works):
    state = replace(VIRGIN, wiring=WiringState(TOPOLOGY, ((served, 2376),), 998))
    networks = [{"name": network}]
    assert not wiring_of(spec(networks=networks, discover="launch"), state).obstacle
    obstacle = wiring_of(spec(networks=networks), state).obstacle
    assert (not obstacle) == works
    assert works or "that the container cannot find at run time" in obstacle


@pytest.mark.parametrize(
    "params, words",
    [
        ({"transport": "unix"}, "discover runtime requires transport tls or tcp"),
        ({"discover": "sometimes"}, "discover: expected launch or runtime"),
        ({"testcontainers": True}, "testcontainers requires discover launch"),
        ({"env": {"WORMHOLE_PORT": "1"}}, "env WORMHOLE_PORT"),
        ({"env": {"WORMHOLE_INSECURE_UNVERIFIED": "true"}}, "env WORMHOLE_INSECURE_UNVERIFIED"),
        ({"env": {"WORMHOLE_FALLBACK_SOCKET": "/x"}}, "env WORMHOLE_FALLBACK_SOCKET"),
        ({"env": {"my.setting": "1"}}, "a shell starts the container, and passes on only"),
        ({"env": {"DOCKER_HOST": "tcp://x"}}, "env DOCKER_HOST"),
        ({"volumes": [f"/x:{DIRECTORY}"]}, f"volumes {DIRECTORY}"),
    ],
)
def test_contradictions_are_refused(params, words):
    with pytest.raises(InvalidInput) as error:
        plan_wormhole(spec(**params), VIRGIN)
    assert words in str(error.value)


def test_settings_that_are_the_users_are_his():
    state = after(VIRGIN, env={"WORMHOLE_TIMEOUT": "60"})
    assert "WORMHOLE_TIMEOUT=60" in config(state)["Env"]
    spec(discover="launch", env={"my.setting": "1", "WORMHOLE_PORT": "1"})


def test_an_image_whose_variables_a_shell_would_drop_is_refused():
    with pytest.raises(InvalidInput, match="a.b"):
        wrap({}, {"Cmd": ["x"], "Env": ["PATH=/bin", "a.b=1"]})


def test_without_its_text_nothing_is_planned():
    with pytest.raises(InvalidInput, match="action plugin"):
        plan_wormhole(spec(discover_program=None), VIRGIN)


_programs = st.builds(
    ProgramState,
    program=st.sampled_from([None, "the program", "another"]),
    names=st.sampled_from([None, SERVED, ("IP:10.0.0.1",)]),
    served=st.sampled_from([(), SERVED]),
    users=st.sampled_from([(), ("other",)]),
)


@given(
    state=st.sampled_from([VIRGIN, RUNNING, AT_LAUNCH, replace(VIRGIN, image=None)]),
    program=_programs,
    wanted=st.sampled_from(["started", "present", "stopped", "absent"]),
    discover=st.sampled_from(["launch", "runtime"]),
    command=st.sampled_from([None, "x y"]),
    entrypoint=st.sampled_from([None, ["/mine"]]),
)
def test_a_plan_carried_out_leaves_nothing_to_do(state, program, wanted, discover, command, entrypoint):
    plan(
        replace(state, program=program),
        state=wanted,
        discover=discover,
        command=command,
        entrypoint=entrypoint,
    )
