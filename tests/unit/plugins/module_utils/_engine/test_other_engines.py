# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._engine.other_engines import (
    DefaultSocket,
    Process,
    find_rival,
    is_engine,
    unit_of,
)

OURS = Process("dockerd", 96, 0, "docker.service")
SNAP = Process("dockerd", 812, 0, "snap.docker.dockerd.service")
BY_HAND = Process("dockerd", 812, 0, "session-3.scope", is_main=False)
BY_SSH = Process("dockerd", 812, 0, "ssh.service", is_main=False)
ROOTLESS = Process("dockerd", 812, 1000, "user@1000.service", is_main=False)
DESKTOP = Process("qemu", 900, 1000, "user@1000.service", is_main=False)
PODMAN = Process("podman", 812, 0, "podman.service")

STOCK = DefaultSocket("/run/docker.sock", {"docker.socket": ["docker.service"]})
EMULATED = DefaultSocket("/run/podman/podman.sock", {"podman.socket": ["podman.service"]})


def served_by(process, path="/run/docker.sock"):
    return DefaultSocket(path, {}, process)


@pytest.mark.parametrize(
    "running, processes, socket",
    [
        (False, [], DefaultSocket()),
        (False, [], STOCK),
        (True, [OURS], STOCK),
        (True, [OURS], served_by(OURS)),
        # An administrator's own place for the engine's socket.
        (True, [OURS], DefaultSocket("/srv/docker.sock", {"docker.socket": ["docker.service"]})),
        # Beside that of docker.service: with its own socket, of a user, in an emulation of podman.
        (True, [OURS, BY_HAND, ROOTLESS, PODMAN], STOCK),
        # Nobody listens, or it cannot be found out.
        (True, [OURS], DefaultSocket("/run/docker.sock")),
        (False, [ROOTLESS], DefaultSocket()),
        (False, [PODMAN], DefaultSocket()),
        # While docker.service starts.
        (False, [OURS], served_by(OURS)),
    ],
)
def test_engines_that_may_stay(running, processes, socket):
    assert find_rival(running, processes, socket) is None


@pytest.mark.parametrize(
    "running, processes, socket, named, remedy",
    [
        (False, [SNAP], served_by(SNAP), "snap.docker.dockerd.service", "snap stop --disable docker.dockerd"),
        (False, [SNAP], DefaultSocket(), "snap.docker.dockerd.service", "snap stop --disable docker.dockerd"),
        # Both run, and the snap's engine has the socket.
        (True, [OURS, SNAP], served_by(SNAP), "(pid 812) serves /run/docker.sock", "snap stop"),
        (False, [BY_HAND], DefaultSocket(), "dockerd (pid 812) runs on this host", "end process 812"),
        (False, [BY_SSH], DefaultSocket(), "dockerd (pid 812)", "moved: end process 812"),
        (False, [Process("dockerd", 5, 0, "", is_main=False)], DefaultSocket(), "dockerd (pid 5)", "end process 5"),
        (False, [Process("dockerd", 5, 0, "dockerd.service")], DefaultSocket(), "dockerd of dockerd.service", "now dockerd.service"),
        (False, [], EMULATED, "podman.socket serves /run/docker.sock (a link to", "now podman.socket"),
        (True, [OURS], EMULATED, "podman.socket serves", "systemctl disable --now podman.socket"),
        (True, [OURS], served_by(ROOTLESS, "/run/user/1000/docker.sock"), "of user 1000 (pid 812) serves", "end process 812"),
        (False, [], served_by(DESKTOP, "/home/x/.docker/desktop/docker.sock"), "qemu of user 1000 (pid 900)", "end process 900"),
    ],
)  # fmt: skip
def test_engines_that_another_one_would_push_aside(running, processes, socket, named, remedy):
    said = str(find_rival(running, processes, socket))
    assert named in said
    assert remedy in said


@pytest.mark.parametrize(
    "command, expected",
    [
        ("/usr/sbin/dockerd -H fd://", True),
        ("dockerd", True),
        ("/usr/bin/podman --log-level=info system service --time=0", True),
        ("podman run -it busybox", False),
        ("docker-proxy -proto tcp", False),
        ("vi dockerd", False),
        ("", False),
    ],
)
def test_engines_are_found_by_their_command(command, expected):
    assert is_engine(command.split()) == expected


@pytest.mark.parametrize(
    "cgroup, root, expected",
    [
        ("0::/system.slice/docker.service\n", "0::/init.scope\n", "docker.service"),
        ("0::/system.slice/docker.service/supervised\n", "0::/init.scope\n", "docker.service"),
        # The unit of a user's own manager bears the same name.
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/docker.service\n", "0::/init.scope\n", "user@0.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", "0::/init.scope\n", "session-3.scope"),
        # cgroup v1, and both versions.
        ("4:memory:/x\n1:name=systemd:/system.slice/docker.service\n", "1:name=systemd:/init.scope\n", "docker.service"),
        ("1:name=systemd:/\n0::/a.service/system.slice/docker.service\n", "1:name=systemd:/\n0::/a.service/init.scope\n", "docker.service"),
        ("0::/\n", "0::/\n", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_the_unit_of_a_process(cgroup, root, expected):
    assert unit_of(cgroup, root) == expected
