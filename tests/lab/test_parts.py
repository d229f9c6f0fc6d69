# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests of the lab's pure functions."""

from __future__ import annotations

import fcntl
import json
import tarfile
from pathlib import Path

import pytest

from lab import HostSpec, LabError, apt, cache, cgroups, network
from lab.container_images import ImageParts, write_archive
from lab.paths import LabPaths
from lab.spec import DEBIAN, RELEASES, STABLE, next_name, other_release

ALL_BUT_LAST = ["198.18.0.0/16", "198.19.0.0/17", "198.19.128.0/18", "198.19.192.0/19", "198.19.224.0/20"]
ALL_BUT_LAST += ["198.19.240.0/21", "198.19.248.0/22", "198.19.252.0/23", "198.19.254.0/24"]


@pytest.mark.parametrize(
    ("routes", "key", "chosen"),
    [
        ([], "0", "198.18.0.0/24"),
        ([], "1", "198.18.1.0/24"),
        ([], "200", "198.18.0.0/24"),
        (["default"], "0", "198.18.0.0/24"),
        (["0.0.0.0/0"], "0", "198.18.0.0/24"),
        (["10.0.0.0/8", "fe80::/64"], "0", "198.18.0.0/24"),
        (["198.18.0.0/24"], "0", "198.18.1.0/24"),
        (["198.18.0.254"], "0", "198.18.1.0/24"),
        (["198.18.0.0/16"], "0", "198.19.0.0/24"),
        (["198.19.255.0/24"], "1ff", "198.18.0.0/24"),
        (ALL_BUT_LAST, "0", "198.19.255.0/24"),
    ],
)
def test_choose_subnet(routes: list[str], key: str, chosen: str) -> None:
    assert str(network.choose_subnet(routes, key)) == chosen


def test_no_subnet_is_left() -> None:
    with pytest.raises(LabError, match="no address range is free"):
        network.choose_subnet(["198.18.0.0/15"], "0")


def test_addresses() -> None:
    subnet = network.Subnet.parse("198.19.7.0/24")
    assert (subnet.gateway, subnet.controller, subnet.host(10)) == (
        "198.19.7.1",
        "198.19.7.254",
        "198.19.7.10",
    )
    assert subnet.mac(10) == "02:c6:13:07:00:0a"


def test_free_octet() -> None:
    assert network.free_octet([]) == 10
    assert network.free_octet([10, 11, 13]) == 12
    with pytest.raises(LabError, match="full"):
        network.free_octet(range(256))


def test_next_name() -> None:
    assert next_name(13, set()) == "d13-1"
    assert next_name(13, {"d13-1", "d12-2", "d13-3"}) == "d13-2"


def test_the_other_release_is_a_stable_one() -> None:
    for release in RELEASES:
        assert other_release(release) in STABLE
        assert other_release(release) != release


def test_unknown_kind_of_host() -> None:
    with pytest.raises(LabError, match="Debian 11"):
        HostSpec(11)


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "/sys/fs/cgroup"),
        (
            "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
            "/sys/fs/cgroup/unified",
        ),
        ("cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n", None),
        ("", None),
    ],
)
def test_where_cgroup_v2_is(mounts: str, found: str | None) -> None:
    assert cgroups.v2_mount(mounts) == (Path(found) if found else None)


def test_where_cgroup_v1_is() -> None:
    mounts = """\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""
    found = ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/systemd"]
    assert [str(path) for path in cgroups.v1_mounts(mounts)] == found


def test_sources_of_another_suite() -> None:
    targets = """\
http://mirror.example/debian/ bookworm main
http://mirror.example/debian/ bookworm non-free
http://mirror.example/debian/ bookworm-updates main
http://mirror.example/debian/ bookworm-backports main
http://mirror.example/debian-security/ bookworm-security main
http://mirror.example/debian/ bookworm main
http://other.example/apt other-bookworm main
"""
    assert apt.translate(targets, DEBIAN[12], DEBIAN[13], Path("/keyring")) == [
        "deb [signed-by=/keyring] http://mirror.example/debian/ trixie main",
        "deb [signed-by=/keyring] http://mirror.example/debian/ trixie-updates main",
        "deb [signed-by=/keyring] http://mirror.example/debian-security/ trixie-security main",
    ]
    assert apt.translate(targets, DEBIAN[12], DEBIAN[14], Path("/keyring")) == [
        "deb [signed-by=/keyring] http://mirror.example/debian/ forky main",
    ]


def test_transport_options() -> None:
    dump = """\
Acquire "";
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy.example:3142";
Acquire::http::Pipeline-Depth "";
Acquire::IndexTargets::deb::Packages::MetaKey "main/Packages";
APT::Install-Recommends "1";
"""
    assert apt.transport_options(dump) == [
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://proxy.example:3142";',
    ]


def test_cache_key_depends_on_inputs() -> None:
    keys = [
        cache.key(parts, modules)
        for parts in (["a"], ["b"], ["a", "b"])
        for modules in ([], ["apt"], ["spec"])
    ]
    assert len(set(keys)) == len(keys)
    assert cache.key(["a"], ["apt"]) == keys[1]


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "thing"

    def interrupted(draft: Path) -> None:
        draft.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.build_once(target, interrupted, "a thing", lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]

    (tmp_path / "draft-thing").write_text("left by a build that was killed")
    builds = []

    def build(draft: Path) -> None:
        assert not draft.exists()
        builds.append(draft)
        draft.write_text("whole")

    for _attempt in range(2):
        assert cache.build_once(target, build, "a thing", lambda _: None).read_text() == "whole"
    assert len(builds) == 1


def test_builders_of_the_same_thing_wait_for_each_other(tmp_path: Path) -> None:
    def build(draft: Path) -> None:
        draft.touch()
        with (tmp_path / "thing.lock").open("w") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    cache.build_once(tmp_path / "thing", build, "a thing", lambda _: None)


def test_paths_of_two_clones_differ() -> None:
    one, two = LabPaths(Path("/srv/one")), LabPaths(Path("/srv/two"))
    assert one.run != two.run
    assert one.link != two.link
    deep = LabPaths(Path("/" + "/".join(["long"] * 50)))
    # ssh appends a random suffix of 17 characters while it creates the socket.
    assert len(str(deep.ssh_master("d13-100"))) + 17 < 108
    assert len(deep.link) < 16


def test_image_archive(tmp_path: Path) -> None:
    layers = []
    for name in ("one", "two"):
        with tarfile.open(tmp_path / name, "w") as layer:
            layer.addfile(tarfile.TarInfo(name))
        layers.append(tmp_path / name)
    archive = tmp_path / "images.tar"
    write_archive(archive, [ImageParts("a:1", tuple(layers)), ImageParts("b:1", (layers[0],), user="7:7")])
    with tarfile.open(archive) as images:
        manifest = json.load(images.extractfile("manifest.json"))  # type: ignore[arg-type]
        configs = [json.load(images.extractfile(entry["Config"])) for entry in manifest]  # type: ignore[arg-type]
        assert len(images.getnames()) == 2 + 2 + 1  # each layer once, two configurations, the manifest
    assert [entry["RepoTags"] for entry in manifest] == [["a:1"], ["b:1"]]
    assert [config["config"]["User"] for config in configs] == ["", "7:7"]
    for entry, config in zip(manifest, configs, strict=True):
        assert [f"sha256:{name.removesuffix('.tar')}" for name in entry["Layers"]] == config["rootfs"][
            "diff_ids"
        ]
