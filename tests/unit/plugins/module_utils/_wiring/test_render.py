# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.render import (
    render_compose,
    render_connect,
    render_container_options,
    render_run,
    render_yaml,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.spec import WiringSpec
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.wire import Wiring

WIRING = Wiring(
    "tcp://172.18.0.1:2376",
    env={"DOCKER_HOST": "tcp://172.18.0.1:2376", "DOCKER_CERT_PATH": "/$certs"},
    etc_hosts={"host.docker.internal": "host-gateway"},
    labels={"wormhole.docker.managed": "true", "wormhole.docker.transport": "tls"},
    volumes=("/identity:/$certs:ro",),
    groups=("998",),
    working_dir="/src",
)
CI = WiringSpec(networks=("ci", "db"))


def test_docker_container_gets_its_options():
    assert render_container_options(CI, WIRING) == {
        "env": {"DOCKER_HOST": "tcp://172.18.0.1:2376", "DOCKER_CERT_PATH": "/$certs"},
        "etc_hosts": {"host.docker.internal": "host-gateway"},
        "labels": {"wormhole.docker.transport": "tls"},
        "volumes": ["/identity:/$certs:ro"],
        "groups": ["998"],
        "working_dir": "/src",
        "networks": [{"name": "ci"}, {"name": "db"}],
    }


def test_what_has_nothing_to_say_is_left_out():
    assert render_container_options(WiringSpec(), Wiring("unix:///x")) == {}
    assert render_run(WiringSpec(), Wiring("unix:///x")) == []


def test_compose_gets_a_service_and_networks_that_are_there():
    assert render_compose("agent", CI, WIRING) == {
        "services": {
            "agent": {
                "environment": {"DOCKER_HOST": "tcp://172.18.0.1:2376", "DOCKER_CERT_PATH": "/$$certs"},
                "extra_hosts": ["host.docker.internal:host-gateway"],
                "labels": {"wormhole.docker.transport": "tls"},
                "volumes": ["/identity:/$$certs:ro"],
                "group_add": ["998"],
                "working_dir": "/src",
                "networks": ["ci", "db"],
            }
        },
        "networks": {"ci": {"name": "ci", "external": True}, "db": {"name": "db", "external": True}},
    }


@pytest.mark.parametrize(
    "spec, mode",
    [
        (WiringSpec(), "bridge"),
        (WiringSpec(networks=("bridge",)), "bridge"),
        (WiringSpec(network_mode="host"), "host"),
        (WiringSpec(network_mode="default"), "bridge"),
        (WiringSpec(network_mode="container:db"), "container:db"),
    ],
)
def test_compose_makes_no_network_of_its_own(spec, mode):
    fragment = render_compose("agent", spec, WIRING)
    assert fragment["services"]["agent"]["network_mode"] == mode
    assert "networks" not in fragment["services"]["agent"]
    assert "networks" not in fragment


@pytest.mark.parametrize("others", [(), ("db",), ("ci", "db")])
def test_a_network_as_mode_is_one_of_the_networks_for_compose(others):
    fragment = render_compose("agent", WiringSpec(network_mode="ci", networks=others), WIRING)
    names = list(dict.fromkeys(["ci", *others]))
    assert fragment["services"]["agent"]["networks"] == names
    assert "network_mode" not in fragment["services"]["agent"]
    assert list(fragment["networks"]) == names


def test_the_default_bridge_beside_others_is_not_for_compose():
    with pytest.raises(InvalidInput, match="networks bridge: .*Compose"):
        render_compose("agent", WiringSpec(networks=("ci", "bridge")), WIRING)
    with pytest.raises(InvalidInput, match="networks bridge: .*Compose"):
        render_compose("agent", WiringSpec(networks=("ci",), network_mode="bridge"), WIRING)


def test_docker_run_gets_arguments_and_the_rest_is_connected():
    assert render_run(CI, WIRING) == [
        *("--env", "DOCKER_HOST=tcp://172.18.0.1:2376", "--env", "DOCKER_CERT_PATH=/$certs"),
        *("--add-host", "host.docker.internal:host-gateway"),
        *("--label", "wormhole.docker.transport=tls"),
        *("--volume", "/identity:/$certs:ro", "--group-add", "998", "--workdir", "/src", "--network", "ci"),
    ]
    assert render_connect("agent", CI) == [["db", "agent"]]
    assert render_connect("agent", WiringSpec(networks=("ci", "db"), network_mode="ci")) == [["db", "agent"]]


def test_users_of_the_host_are_asked_for_everywhere():
    spec = WiringSpec(host_users=True)
    assert render_run(spec, Wiring("x")) == ["--userns", "host"]
    assert render_container_options(spec, Wiring("x")) == {"userns_mode": "host"}
    assert render_compose("a", spec, Wiring("x"))["services"]["a"]["userns_mode"] == "host"


# A key may have 1024 characters in YAML, and an escape has six.
TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=100)


@given(st.dictionaries(TEXTS, st.one_of(TEXTS, st.booleans(), st.lists(TEXTS, min_size=1)), min_size=1))
def test_the_text_is_yaml_for_the_same(value):
    document = {"services": value}
    assert yaml.safe_load(render_yaml(document)) == document
