# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import (
    SINGLE_UNIT,
    UNIX_UNIT,
    SocketAccess,
    is_insecure,
    is_listener_unit,
    parse_socket_unit,
    render_units,
    tls_unit,
    unit_path,
    wants_links,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import TOPOLOGY, UNIT

addresses = st.ip_addresses().map(str).filter(lambda text: "%" not in text)
endpoints = st.lists(st.tuples(addresses, st.integers(1, 65535)), unique=True, max_size=4).map(tuple)


@given(endpoints, endpoints)
def test_every_address_has_a_unit_that_is_recognized_and_parsed_back(tls, insecure):
    units = render_units(ListenerSpec(transports=("tls", "unix")), tls, insecure, TOPOLOGY, SocketAccess())
    assert len(units) == len(tls) + 1 + 2 * len(insecure)
    assert all(map(is_listener_unit, units))
    assert [parse_socket_unit(units[tls_unit(*endpoint)]) for endpoint in tls] == [(e,) for e in tls]
    plaintext = [text for name, text in units.items() if is_insecure(name) and name.endswith(".socket")]
    assert [parse_socket_unit(text) for text in plaintext] == [(endpoint,) for endpoint in insecure]
    assert parse_socket_unit(units[UNIX_UNIT]) == ()


def rendered(tls=(), insecure=(), spec=None, stock=None):
    return render_units(spec or ListenerSpec(), tls, insecure, TOPOLOGY, stock or SocketAccess())


def test_a_socket_of_dockerds_binds_before_the_bridge_exists_and_starts_with_the_engine():
    units = rendered((("172.17.0.1", 2376), ("fd00::1", 2376)))
    assert list(units) == [UNIT, "wormhole-docker-fd00::1:2376.socket"]
    lines = units[UNIT].splitlines()
    for line in (
        "ListenStream=172.17.0.1:2376",
        "FreeBind=true",
        "Service=docker.service",
        "WantedBy=sockets.target docker.service",
    ):
        assert line in lines
    assert "ListenStream=[fd00::1]:2376" in units["wormhole-docker-fd00::1:2376.socket"].splitlines()


def test_the_documented_unit_is_the_rendered_one():
    page = Path(__file__).resolve().parents[5] / "docs/how-it-works.md"
    shown = re.findall(r"```ini\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert shown == [f"# {unit_path(UNIT)}\n{rendered((('172.17.0.1', 2376),))[UNIT]}"]


def test_the_additional_unix_socket_has_the_access_of_the_stock_one():
    units = rendered(
        spec=ListenerSpec(transports=("unix",), unix_directory="/srv/run"),
        stock=SocketAccess("0600", "adm", "wheel"),
    )
    assert list(units) == [UNIX_UNIT]
    lines = units[UNIX_UNIT].splitlines()
    for line in (
        "ListenStream=/srv/run/docker.sock",
        "SocketMode=0600",
        "SocketUser=adm",
        "SocketGroup=wheel",
        "RemoveOnStop=true",
        "Service=docker.service",
        "WantedBy=sockets.target docker.service",
    ):
        assert line in lines


@pytest.mark.parametrize(
    "address, interface", [("172.17.0.1", "docker0"), ("172.18.0.1", "br-1"), ("127.0.0.1", "lo")]
)
def test_plaintext_is_bound_to_its_own_bridge_and_starts_after_the_engine(address, interface):
    name = f"wormhole-docker-insecure-plaintext-{address}:2375"
    units = rendered(insecure=((address, 2375),))
    assert list(units) == [f"{name}.socket", f"{name}@.service"]
    lines = units[f"{name}.socket"].splitlines()
    for line in (
        f"ListenStream={address}:2375",
        f"BindToDevice={interface}",
        "DefaultDependencies=no",
        "After=docker.service",
        "WantedBy=docker.service",
    ):
        assert line in lines
    assert not any(line.startswith("Service=") for line in lines)
    assert (
        "ExecStart=/usr/bin/socat -t 86400 STDIO UNIX-CONNECT:/run/docker.sock"
        in units[f"{name}@.service"].splitlines()
    )


@pytest.mark.parametrize(
    "name, ours",
    [
        (UNIT, True),
        ("wormhole-docker-fd00::1:2376.socket", True),
        (UNIX_UNIT, True),
        (SINGLE_UNIT, True),
        ("wormhole-docker-insecure-plaintext-172.17.0.1:2375.socket", True),
        ("wormhole-docker-insecure-plaintext-172.17.0.1:2375@.service", True),
        ("wormhole-docker-backup.socket", False),
        ("wormhole-docker.service", False),
        ("wormhole-docker-172.17.0.1:2376.timer", False),
        ("my-wormhole-docker-172.17.0.1:2376.socket", False),
        ("wormhole-docker-172.17.0.1:2376.socket.d", False),
        ("docker.socket", False),
    ],
)
def test_only_names_of_this_or_an_earlier_version_are_ours(name, ours):
    assert is_listener_unit(name) is ours


@pytest.mark.parametrize(
    "name, wanted_by",
    [
        (UNIT, ("sockets.target", "docker.service")),
        (UNIX_UNIT, ("sockets.target", "docker.service")),
        (SINGLE_UNIT, ("sockets.target", "docker.service")),
        ("wormhole-docker-insecure-plaintext-172.17.0.1:2375.socket", ("docker.service",)),
        ("wormhole-docker-insecure-plaintext-172.17.0.1:2375@.service", ()),
    ],
)
def test_links_are_those_of_the_install_section(name, wanted_by):
    assert wants_links(name) == tuple(f"/etc/systemd/system/{unit}.wants/{name}" for unit in wanted_by)
    units = rendered(
        (("172.17.0.1", 2376),), (("172.17.0.1", 2375),), ListenerSpec(transports=("tls", "unix"))
    )
    if name in units:
        assert (f"WantedBy={' '.join(wanted_by)}" in units[name].splitlines()) is bool(wanted_by)


def test_a_port_alone_stands_for_all_addresses():
    assert parse_socket_unit("[Socket]\nListenStream=2376\nListenDatagram=1\n") == (("::", 2376),)
    assert unit_path("x.socket") == "/etc/systemd/system/x.socket"
