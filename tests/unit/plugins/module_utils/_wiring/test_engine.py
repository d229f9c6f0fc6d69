# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container that uses the engine of another host."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._engine.security import EngineSecurity
from ansible_collections.wormhole.docker.plugins.module_utils._glue.wormhole import (
    parse_wormhole,
    validate_wormhole,
)
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import Topology
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.wire import WiringState, wire
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.found import read_wiring_spec

FAR = {"engine": "CI2", "engine_address": "192.0.2.2"}


def parse(**options):
    params = validate_wormhole({"name": "agent", "image": "cli", **options})
    return parse_wormhole(params, "/var/run/docker.sock")[0].wiring


@pytest.mark.parametrize(
    ("address", "docker_host"),
    [
        ("192.0.2.2", "tcp://192.0.2.2:2376"),
        ("2001:db8::2", "tcp://[2001:db8::2]:2376"),
        ("ci2.example.org", "tcp://ci2.example.org:2376"),
    ],
)
def test_it_connects_to_the_address_of_that_engine(address, docker_host):
    # Nothing of its own host matters: no network, no listener, not even a rootless engine.
    wiring = wire(
        parse(engine="CI2", engine_address=address),
        WiringState(Topology((), ()), security=EngineSecurity(rootless=True)),
    )
    assert (wiring.docker_host, wiring.address, wiring.obstacle) == (docker_host, address, "")
    assert wiring.env["DOCKER_TLS_VERIFY"] == "1"
    assert wiring.volumes == ("/etc/wormhole/identities/agent@%43%492:/certs:ro",)
    assert wiring.labels["wormhole.docker.engine"] == "CI2"


def test_published_ports_of_that_engine_are_at_its_address():
    wiring = wire(
        parse(testcontainers=True, **FAR),
        WiringState(Topology((), (), host_bindings={"bridge": "10.9.9.9"})),
    )
    assert wiring.env["TESTCONTAINERS_HOST_OVERRIDE"] == "192.0.2.2"


def test_a_container_that_keeps_its_wiring_keeps_its_engine():
    spec = parse(**FAR)
    wiring = wire(spec, WiringState(Topology((), ())))
    container = {
        "Id": "4711",
        "Name": "/agent",
        "Config": {
            "Env": [f"{name}={value}" for name, value in wiring.env.items()],
            "Labels": dict(wiring.labels),
        },
        "Mounts": [{"Source": spec.identity_directory, "Destination": "/certs"}],
    }
    found = read_wiring_spec(parse(), container)
    assert (found.engine, found.engine_address) == ("CI2", "192.0.2.2")
    assert wire(found, WiringState(Topology((), ()))).docker_host == wiring.docker_host


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine": "ci2"}, "engine_address is missing"),
        ({"engine_address": "192.0.2.2"}, "engine is missing"),
        ({**FAR, "transport": "unix"}, "requires transport tls"),
        ({**FAR, "discover": "runtime"}, "requires transport tls and discover launch"),
        ({**FAR, "engine_address": "tcp://192.0.2.2"}, "an IP address or a host name"),
        ({**FAR, "engine_address": "192.0.2.2:2376"}, "an IP address or a host name"),
        ({**FAR, "engine_address": "fe80::1%eth0"}, "an IP address or a host name"),
    ],
)
def test_what_is_malformed_is_rejected(options, said):
    with pytest.raises(InvalidInput, match=said):
        parse(**options)
