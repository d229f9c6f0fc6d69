# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base import systemd_units


def test_drop_ins_count_by_their_names_wherever_they_are():
    unit = "/usr/lib/systemd/system/docker.socket"
    vendor, run, etc = (f"{top}/systemd/system/docker.socket.d" for top in ("/usr/lib", "/run", "/etc"))
    paths = [
        unit,
        f"{vendor}/b.conf",
        f"{run}/b.conf",
        f"{etc}/c.conf",
        f"{run}/a.conf",
        f"{etc}/b.conf",
        unit,
    ]
    assert systemd_units.in_order(paths) == [unit, f"{run}/a.conf", f"{etc}/b.conf", f"{etc}/c.conf"]
    assert systemd_units.in_order([f"{run}/b.conf", f"{vendor}/b.conf"]) == [f"{run}/b.conf"]
    assert systemd_units.in_order([f"{vendor}/b.conf", f"{run}/b.conf"]) == [f"{run}/b.conf"]


def test_assignments_are_those_of_a_section_with_continued_lines_joined():
    text = "a=0\n[Unit]\na=1\n[Socket]\n# a=2\n;a=3\na = 4 \\\n 5\nb=\nc\n[Install]\na=6\n"
    assert [(key, value.split()) for key, value in systemd_units.assignments(text, "Socket")] == [
        ("a", ["4", "5"]),
        ("b", []),
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a=1 \\\n# -H x \\\n ; -H y\n 2\n", ["1   2"]),
        ("a=1 \\\n\n2\n", ["1"]),
        ("a=1 \\\\\nb=2\n", ["1 \\\\"]),
        ("a=1 \\", ["1"]),
        ("a=1\r\n", ["1"]),
        ("#a=0 \\\na=1\n", ["1"]),
        ("[X-Foo]\na=0\n[Socket] \na=1\n", ["1"]),
    ],
)
def test_lines_are_joined_after_comments_have_gone(text, expected):
    found = systemd_units.assignments(f"[Socket]\n{text}", "Socket")
    assert [value for key, value in found if key == "a"] == expected


def test_a_drop_in_of_the_unit_counts_before_that_of_all_services():
    every, own = "/etc/systemd/system/service.d/a.conf", "/usr/lib/systemd/system/docker.service.d/a.conf"
    assert systemd_units.in_order([every, own]) == [own]


@pytest.mark.parametrize(
    "path, unit",
    [
        ("/etc/systemd/system/docker.socket.d/zz-wormhole-docker.conf", "docker.socket"),
        ("/etc/systemd/system/docker.socket.d/zzzz-wormhole-docker.conf", "docker.socket"),
        ("/etc/systemd/system/docker.socket.d/wormhole-docker.conf", ""),
        ("/run/systemd/system/docker.socket.d/zz-wormhole-docker.conf", ""),
        ("/etc/systemd/system/docker.socket/zz-wormhole-docker.conf", ""),
        ("/etc/systemd/system/docker.socket.d/zz-wormhole-docker.conf.orig", ""),
    ],
)
def test_drop_ins_of_ours_are_known_by_their_path(path, unit):
    assert systemd_units.overridden_unit(path) == unit


@pytest.mark.parametrize(
    "others", [(), ("/x/a.conf",), ("/x/zz.conf", "/run/a.conf"), ("/x/zzzz-wormhole-docker.conf",)]
)
def test_a_drop_in_of_ours_is_read_after_every_other(others):
    path = systemd_units.override_path("docker.socket", others)
    assert systemd_units.overridden_unit(path) == "docker.socket"
    names = [other.rpartition("/")[2] for other in (*others, path)]
    assert sorted(names)[-1] == names[-1]
    assert len(set(names)) == len(names)


def test_systemds_own_listing_is_read():
    shown = (
        "172.17.0.1:2376 (Stream)\n[fd00::1]:2376 (Stream)\n/run/docker.sock (Stream)\n10.0.0.1:53 (Datagram)"
    )
    assert systemd_units.parse_listen(shown) == (("172.17.0.1", 2376), ("fd00::1", 2376))


@pytest.mark.parametrize(
    "value, endpoint",
    [
        ("172.17.0.1:2376", ("172.17.0.1", 2376)),
        ("[::]:2375", ("::", 2375)),
        ("2375", ("::", 2375)),
        ("[fe80::1%eth0]:2375", ("fe80::1", 2375)),
        ("0.0.0.0:%i", None),
        ("/run/docker.sock", None),
        ("@docker", None),
        ("vsock::2375", None),
    ],
)
def test_a_stream_is_an_endpoint_or_something_else(value, endpoint):
    assert systemd_units.parse_stream(value) == endpoint
