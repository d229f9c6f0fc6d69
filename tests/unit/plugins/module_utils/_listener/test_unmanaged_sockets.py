# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.wormhole.docker.plugins.module_utils._listener.unmanaged_sockets import (
    UnmanagedSocket,
    parse_files,
    render_override,
    serves,
)

VENDOR = (
    "/usr/lib/systemd/system/docker.socket",
    "[Socket]\n# the path\nListenStream=/run/docker.sock\nSocketMode=0660\n[Install]\nWantedBy=sockets.target\n",
)
TCP = (
    "/etc/systemd/system/docker.socket.d/tcp.conf",
    "[Socket]\nListenStream=2375\nListenStream=10.0.0.1:1\n",
)
ALONE = ("/etc/systemd/system/docker-tcp.socket", "[Socket]\nListenStream=2375\nService=docker.service\n")
OURS = "/etc/systemd/system/docker.socket.d/zz-wormhole-docker.conf"


def test_the_vendors_unit_names_no_tcp():
    assert parse_files([VENDOR], ()) == UnmanagedSocket(others=(("ListenStream", "/run/docker.sock"),))


def test_a_drop_in_adds_to_the_unit():
    socket = parse_files([VENDOR, TCP], (("::", 2375), ("::", 7)))
    assert socket.configured == (("::", 2375), ("10.0.0.1", 1))
    assert socket.endpoints == (("::", 2375), ("10.0.0.1", 1), ("::", 7))
    assert (socket.sources, socket.drop_ins) == ((TCP[0],), (TCP[0],))
    assert socket.others == (("ListenStream", "/run/docker.sock"),)


def test_an_empty_value_removes_the_values_before_it():
    reset = (
        "/etc/systemd/system/docker.socket.d/u.conf",
        "[Socket]\nListenFIFO=\nListenStream=/run/x.sock\n",
    )
    socket = parse_files([VENDOR, TCP, reset], ())
    assert (socket.configured, socket.sources) == ((), ())
    assert socket.others == (("ListenStream", "/run/x.sock"),)
    assert socket.drop_ins == (TCP[0], reset[0])


def test_our_drop_in_is_ignored_and_keeps_everything_but_tcp():
    fifo = ("/etc/systemd/system/docker.socket.d/fifo.conf", "[Socket]\nListenFIFO=/run/fifo\n")
    without = parse_files([VENDOR, TCP, fifo], ())
    text = render_override(without)
    assert TCP[0] in text
    overruled = parse_files([VENDOR, TCP, fifo, (OURS, text)], ())
    assert (overruled.override_path, overruled.override_text) == (OURS, text)
    assert (overruled.configured, overruled.drop_ins) == (without.configured, without.drop_ins)
    assert render_override(overruled) == text
    # As systemd reads them, it is a drop-in like any other.
    effective = parse_files([VENDOR, TCP, fifo, ("/x/z.conf", text)], ())
    assert effective.configured == ()
    assert effective.others == (("ListenStream", "/run/docker.sock"), ("ListenFIFO", "/run/fifo"))


def test_a_unit_with_nothing_but_tcp_is_not_started():
    text = render_override(parse_files([ALONE], ()))
    assert text.endswith("[Unit]\nConditionPathExists=!/\n")
    assert "[Socket]" not in text


TEMPLATE = (
    "/etc/systemd/system/docker-tcp@.socket",
    "[Socket]\nListenStream=0.0.0.0:%i\nService=docker.service\n",
)


def test_endpoints_that_only_systemd_can_expand_are_those_it_holds():
    socket = parse_files([TEMPLATE], (("0.0.0.0", 2375),))
    assert (socket.configured, socket.sources, socket.others) == ((("0.0.0.0", 2375),), (TEMPLATE[0],), ())
    closed = parse_files(
        [TEMPLATE, ("/etc/systemd/system/docker-tcp@2375.socket.d/zz-wormhole-docker.conf", "x")], ()
    )
    assert (closed.configured, closed.is_closed) == ((), True)
    assert not parse_files([TEMPLATE], ()).is_closed
    assert not parse_files([VENDOR, (OURS, "x")], ()).is_closed
    assert parse_files([VENDOR, TCP, (OURS, "x")], ()).is_closed
    assert parse_files([("/x/a.socket", "[Socket]\nListenStream=%t/a.sock\n")], ()).others


def test_a_socket_serves_its_named_service_or_that_of_its_own_name():
    assert serves("docker.socket", [VENDOR], "docker.service")
    assert serves("docker-tcp.socket", [ALONE], "docker.service")
    assert not serves("docker-tcp.socket", [VENDOR], "docker.service")
    other = ("/etc/systemd/system/docker-tcp.socket.d/x.conf", "[Socket]\nService=other.service\n")
    assert not serves("docker-tcp.socket", [ALONE, other], "docker.service")
