# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the wormholes of one list share."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._base.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import (
    parse_wormhole,
    validate_wormhole,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.program import (
    InstallProgram,
    RemoveProgram,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.model import StartContainer
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.shared import (
    find_companions,
    find_dependent,
    reject_contradictions,
)

SOCKET = "/var/run/docker.sock"
SAME = Plan()


def wanted(name, socket=SOCKET, **options):
    return parse_wormhole(validate_wormhole({"name": name, "image": "busybox", **options}), socket)


def plan(action=None):
    return Plan({}, {}, (Reason("missing", "missing"),), (action or StartContainer("x"),))


@pytest.mark.parametrize(
    ("ports", "others", "rejected"),
    [
        (["80:80"], ["80:90"], True),
        (["80:80"], ["127.0.0.1:80:90"], True),
        (["[::]:80:80"], ["[::1]:80:80"], True),
        (["127.0.0.1:80:80"], ["127.0.0.1:80:90"], True),
        (["80-82:80-82"], ["81:1"], True),
        (["127.0.0.1:80:80"], ["127.0.0.2:80:80"], False),
        (["80:80"], ["80:80/udp"], False),
        (["80:80"], ["81:80"], False),
        # The engine chooses a port of the host.
        (["80"], ["80"], False),
        (["8000-8010:80"], ["8000-8010:80"], False),
        ([], ["80:80"], False),
    ],
)
def test_a_port_of_the_host_is_published_once(ports, others, rejected):
    first, second = wanted("aa", published_ports=ports), wanted("bb", published_ports=others)
    if rejected:
        with pytest.raises(InvalidInput, match="The wormholes aa and bb publish the same port"):
            reject_contradictions([first, second])
        # One that is absent publishes nothing.
        absent = dataclasses.replace(second[0], state="absent")
        reject_contradictions([first, (absent, None)])
    else:
        reject_contradictions([first, second])


def test_one_container_may_publish_a_port_for_several_addresses():
    reject_contradictions([wanted("aa", published_ports=["127.0.0.1:80:80", "127.0.0.2:80:80"])])


def test_a_name_is_listed_once_for_each_engine():
    reject_contradictions([wanted("aa"), wanted("aa", "/run/second.sock", transport="unix")])
    with pytest.raises(InvalidInput, match="The wormhole aa is listed more than once. List it once"):
        reject_contradictions([wanted("aa"), wanted("bb"), wanted("aa")])


def test_a_directory_has_one_identity():
    shared = {"identity": "both", "identity_directory": "/etc/wormhole/identities/both"}
    reject_contradictions([wanted("aa", **shared), wanted("bb", **shared)])
    for other in ({"identity": "other"}, {"identity_key_type": "rsa-3072"}, {"identity_validity_days": 3}):
        with pytest.raises(
            InvalidInput, match="set different options for the identity in /etc/wormhole/identities/both"
        ):
            reject_contradictions([wanted("aa", **shared), wanted("bb", **{**shared, **other})])


@pytest.mark.parametrize(
    "options",
    [
        {"network_mode": "container:bb"},
        {"pid_mode": "container:bb"},
        {"ipc_mode": "container:bb"},
        {"volumes_from": ["bb"]},
        {"volumes_from": ["bb:ro"]},
        {"links": ["bb:alias"]},
        {"networks": [{"name": "ci", "links": ["bb:alias"]}]},
    ],
)
def test_a_wormhole_waits_for_those_that_it_refers_to(options):
    specs = [wanted(name, transport="unix", **given)[0] for name, given in (("aa", options), ("bb", {}))]
    assert find_dependent(specs, [plan(), plan()]) == [0]
    # What is not changed waits for nobody, and neither does what refers to a container elsewhere.
    assert find_dependent(specs, [SAME, plan()]) == []
    assert find_dependent(specs, [None, plan()]) == []
    assert find_dependent(specs[:1], [plan()]) == []


def test_wormholes_with_one_identity_are_changed_one_after_the_other():
    shared = {"identity": "both", "identity_directory": "/etc/wormhole/identities/both"}
    specs = [wanted("aa", **shared)[0], wanted("bb")[0], wanted("cc", **shared)[0]]
    assert find_dependent(specs, [plan(), plan(), plan()]) == [0, 2]
    assert find_dependent(specs, [plan(), plan(), SAME]) == [0]


@pytest.mark.parametrize("action", [InstallProgram("x", ()), RemoveProgram()])
def test_the_program_is_changed_by_one_at_a_time(action):
    specs = [wanted(name)[0] for name in ("aa", "bb", "cc")]
    assert find_dependent(specs, [plan(action), plan(), plan(action)]) == [0, 2]


def test_those_that_go_and_share_something_are_companions():
    directory, program = "/etc/wormhole/identities/both", "/usr/local/lib/program"
    holdings = {
        3: {directory},
        5: {program, "/etc/wormhole/identities/own"},
        7: {directory, program},
        8: set(),
    }
    assert find_companions(holdings) == [3, 5, 7]
    assert find_companions({3: {directory}, 5: {program}}) == []


POLICED = {"transport": "unix", "policy": "ci"}


@pytest.mark.parametrize(
    ("options", "others", "rejected"),
    [
        (POLICED, {**POLICED, "policy": "test"}, True),
        (POLICED, {**POLICED, "policy_mode": "warn"}, True),
        (POLICED, {**POLICED, "policy_overrides": {"images": ["a"]}}, True),
        ({"policy": "ci"}, {}, True),
        (POLICED, POLICED, False),
        ({"policy": "unrestricted"}, {}, False),
        # These do not use the identity.
        (POLICED, {"transport": "unix"}, False),
        (POLICED, {**POLICED, "policy": "test", "state": "absent"}, False),
    ],
)
def test_an_identity_has_one_policy(options, others, rejected):
    listed = [wanted(name, identity="ci", **more) for name, more in (("aa", options), ("bb", others))]
    if rejected:
        with pytest.raises(InvalidInput, match="aa and bb set different policies for the identity ci"):
            reject_contradictions(listed)
    else:
        reject_contradictions(listed)


def test_an_identity_has_one_policy_whatever_engine_its_wormhole_uses():
    # The host has one file for it, and one gate.
    other = {**POLICED, "policy": "test"}
    listed = [wanted("aa", identity="ci", **POLICED), wanted("bb", "/run/other.sock", identity="ci", **other)]
    with pytest.raises(InvalidInput, match="set different policies for the identity ci"):
        reject_contradictions(listed)


@pytest.mark.parametrize(
    ("others", "problem"),
    [
        (POLICED, "one by transport unix and one by tls"),
        (
            {"policy": "ci", "identity_directory": "/srv/ci"},
            "in two directories: /etc/wormhole/identities/ci, /srv/ci",
        ),
        ({"policy": "ci"}, None),
    ],
)
def test_a_policy_has_one_way_in(others, problem):
    listed = [
        wanted(name, identity="ci", **more) for name, more in (("aa", {"policy": "ci"}), ("bb", others))
    ]
    if problem is None:
        reject_contradictions(listed)
        return
    with pytest.raises(InvalidInput) as caught:
        reject_contradictions(listed)
    assert problem in str(caught.value)


def test_wormholes_with_one_socket_of_the_gate_wait_for_each_other():
    specs = [wanted(name, identity="ci", **POLICED)[0] for name in ("aa", "bb")]
    assert find_dependent(specs, [plan(), plan()]) == [0, 1]
    assert find_dependent([specs[0], wanted("cc", **POLICED)[0]], [plan(), plan()]) == []
