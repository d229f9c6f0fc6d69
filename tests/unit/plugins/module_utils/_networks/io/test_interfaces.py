# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import socket

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._networks.io.interfaces import (
    can_listen,
    interface_addresses,
    listening_addresses,
    observe_topology,
    port_holder,
    sockets_of,
    tcp_listeners,
    unix_listeners,
)


def test_loopback_has_its_address_and_an_unknown_interface_has_none():
    assert "127.0.0.1" in interface_addresses("lo")
    assert interface_addresses("br-doesnotexist") == ()


def test_a_bridge_whose_gateway_the_engine_does_not_tell_is_asked_itself():
    networks = [
        {
            "Name": "ci",
            "Driver": "bridge",
            "Options": {"com.docker.network.bridge.name": "lo"},
            "IPAM": {"Config": [{"Subnet": "127.0.0.0/8"}]},
        }
    ]
    assert [gateway.address for gateway in observe_topology(networks).gateways] == ["127.0.0.1"]


@pytest.mark.parametrize("bound, expected", [("127.0.0.1", False), ("0.0.0.0", False), ("127.0.0.2", True)])
def test_a_port_is_free_unless_somebody_listens_on_the_address_or_on_all(bound, expected):
    with socket.socket() as listener:
        listener.bind((bound, 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        assert can_listen("127.0.0.1", port) is expected
        assert port_holder(port).endswith(f"(pid {os.getpid()})")
    assert can_listen("127.0.0.1", port)


def test_an_address_that_no_interface_has_yet_can_be_bound():
    assert can_listen("198.51.100.1", 2376)


@pytest.mark.parametrize(
    "family, address", [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
)
def test_who_listens_on_a_port_is_told_by_the_address_that_is_bound(family, address):
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        port = listener.getsockname()[1]
        assert listening_addresses(port) == ()
        listener.listen(1)
        assert listening_addresses(port) == (address,)
    assert listening_addresses(port) == ()


@pytest.mark.parametrize("family, address", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_what_two_processes_listen_on_by_one_socket_is_told_as_it_is_bound(family, address):
    with socket.socket(family) as shared:
        shared.bind((address, 0))
        shared.listen(1)
        child = os.fork()
        if child == 0:
            shared.accept()
            os._exit(0)
        try:
            with socket.socket(family) as own:
                own.bind((address, 0))
                own.listen(1)
                parents, childs = sockets_of(os.getpid()), sockets_of(child)
                of_both, of_parent, of_child = tcp_listeners(
                    parents & childs, parents - childs, childs - parents
                )
                assert of_both == ((address, shared.getsockname()[1]),)
                assert (address, own.getsockname()[1]) in of_parent
                assert (address, shared.getsockname()[1]) not in of_parent
                assert of_child == ()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def a_unix_socket(path, listens=True):
    found = socket.socket(socket.AF_UNIX)
    found.bind(str(path))
    if listens:
        found.listen(1)
    return found


def test_unix_sockets_on_which_two_processes_listen_are_told_by_their_paths(tmp_path):
    # A path may hold blanks. Connections and sockets without a listener share it and do not count.
    path = tmp_path / "a b" / "docker.sock"
    path.parent.mkdir()
    with a_unix_socket(path) as shared, a_unix_socket(tmp_path / "silent", listens=False):
        child = os.fork()
        if child == 0:
            shared.accept()
            signal.pause()
        try:
            with a_unix_socket(tmp_path / "own"), socket.socket(socket.AF_UNIX) as client:
                assert unix_listeners(sockets_of(os.getpid()) & sockets_of(child)) == (str(path),)
                assert unix_listeners(sockets_of(os.getpid()) - sockets_of(child)) == (str(tmp_path / "own"),)
                assert unix_listeners(sockets_of(child) - sockets_of(os.getpid())) == ()
                client.connect(str(path))
                assert unix_listeners(sockets_of(os.getpid()) & sockets_of(child)) == (str(path),)
                assert unix_listeners(sockets_of(child) - sockets_of(os.getpid())) == ()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_a_process_that_is_gone_listens_on_nothing(tmp_path):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    with a_unix_socket(tmp_path / "own"):
        assert unix_listeners(sockets_of(child) - sockets_of(os.getpid())) == ()
        assert unix_listeners(sockets_of(os.getpid()) & sockets_of(child)) == ()
        assert str(tmp_path / "own") in unix_listeners(sockets_of(os.getpid()) - sockets_of(child))


def test_a_port_that_nobody_holds_has_no_holder():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert port_holder(port) is None
