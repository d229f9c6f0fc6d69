# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts whose engine docker.service does not run, and packages that an installation would remove."""

from __future__ import annotations

import contextlib

import pytest

from hosts import GATEWAY, footprint, listening
from lab.spec import RELEASES

SNAP = "/snap/docker/2893"
SNAP_UNIT = "snap.docker.dockerd.service"
UNPACK = f"""
    mkdir -p {SNAP} && for package in /srv/apt/*.deb; do
        case $package in *docker*|*containerd*|*runc*) dpkg-deb -x $package {SNAP};; esac
    done
"""
"""Unpacks Docker's programs like a snap: outside of PATH, and unknown to the package manager."""

SNAP_SERVICE = f"""\
[Unit]
Description=Service for snap application docker.dockerd

[Service]
Environment=PATH={SNAP}/usr/sbin:{SNAP}/usr/bin:/usr/sbin:/usr/bin
ExecStart={SNAP}/usr/sbin/dockerd --exec-root=/run/snap.docker --data-root=/var/snap/docker/common/var-lib-docker \
--pidfile=/run/snap.docker/docker.pid --host=unix:///var/run/docker.sock
"""

OWN_ENGINE = (
    "dockerd --exec-root=/run/second --data-root=/var/lib/second --pidfile=/run/second.pid "
    "--host=unix:///run/second.sock --bridge=none --iptables=false"
)
"""An engine with everything of its own."""

PODMAN_SOCKET = "[Socket]\nListenStream=/run/podman/podman.sock\n"
PODMAN_DOCKER = """\
Package: podman-docker
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Conflicts: docker.io
Description: Stands for the package that provides /usr/bin/docker and /run/docker.sock
"""


@contextlib.contextmanager
def snap_engine(host):
    """Run an engine as its snap does, with a container."""
    host.run(UNPACK)
    host.write(f"/etc/systemd/system/{SNAP_UNIT}", SNAP_SERVICE)
    host.run(f"groupadd -f docker; systemctl daemon-reload; systemctl start {SNAP_UNIT}")
    try:
        host.run(
            "for i in $(seq 100); do curl -sf --unix-socket /run/docker.sock http://d/_ping && exit; sleep 0.1; done; exit 1"
        )
        yield
    finally:
        host.run(f"systemctl stop {SNAP_UNIT}; rm -f /run/docker.sock /etc/systemd/system/{SNAP_UNIT}")
        host.run("systemctl daemon-reload")


@contextlib.contextmanager
def podman_emulation(host):
    """Serve /run/docker.sock as podman-docker does: a link to the socket of podman.socket."""
    host.write("/etc/systemd/system/podman.socket", PODMAN_SOCKET)
    host.write("/etc/systemd/system/podman.service", "[Service]\nExecStart=sleep 600\n")
    host.run("systemctl daemon-reload; systemctl start podman.socket")
    host.run("ln -sfn /run/podman/podman.sock /run/docker.sock")
    try:
        yield
        assert host.run("systemctl is-active podman.service", check=False).stdout.strip() == "inactive"
    finally:
        host.run("systemctl stop podman.socket podman.service; rm -f /run/docker.sock")
        host.run("rm /etc/systemd/system/podman.*; systemctl daemon-reload")


@contextlib.contextmanager
def package(host, control):
    """Install a package that consists of its metadata."""
    name = control.split()[1]
    host.run("install -d -m 755 /tmp/package /tmp/package/DEBIAN")
    host.write("/tmp/package/DEBIAN/control", control)
    host.run("dpkg-deb -b /tmp/package /tmp/package.deb && dpkg -i /tmp/package.deb")
    try:
        yield
    finally:
        host.run(f"dpkg -P {name}; rm -r /tmp/package*")


def state(host):
    return footprint(host), host.run("dpkg -l; ls -li /run/docker.sock", check=False).stdout


def rejected(playbook, host, *arguments):
    """Run provision in check mode and really; return the message, which both give."""
    before = state(host)
    runs = [playbook("provision", host, *arguments, *mode, check=False) for mode in (["--check"], [])]
    assert state(host) == before
    assert [(run.failures, run.changed) for run in runs] == [(1, 0)] * 2
    assert [run.round_trips for run in runs] == [1, 1]
    assert runs[0].message == runs[1].message
    return runs[0].message


def engines_beside(playbook, host):
    """Run provision, which changes nothing; return the other engines that it reports."""
    run = playbook("provision", host)
    assert run.changed == 0
    return next(task.result["other_engines"] for task in run.parts if "other_engines" in task.result)


@pytest.mark.parametrize("release", RELEASES)
def test_an_installation_leaves_other_engines_packages_and_interpreters_alone(release, fresh_host, playbook):
    host = fresh_host(release, variant="bare")

    with snap_engine(host):
        said = rejected(playbook, host)
        assert f"dockerd of {SNAP_UNIT} (pid " in said
        assert "snap stop --disable docker.dockerd" in said
        assert playbook("teardown", host).changed == 0
    # All obstacles at once: podman's socket, its package, and a virtual environment.
    host.run("python3 -m venv --without-pip /opt/agent")
    with podman_emulation(host), package(host, PODMAN_DOCKER):
        said = rejected(playbook, host, "-e", "ansible_python_interpreter=/opt/agent/bin/python")
    assert "podman.socket serves /run/docker.sock (a link to /run/podman/podman.sock)" in said
    assert "systemctl disable --now podman.socket" in said
    assert "would remove podman-docker" in said
    assert "/opt/agent/bin/python, which runs Ansible's modules on this host, lacks" in said
    assert "/opt/agent/bin/python -m pip install cryptography docker" in said

    playbook("provision", host)
    assert f"{GATEWAY}:2376" in listening(host)
    # Engines that leave docker.service's alone: one with its own socket, and one of a user.
    host.run(
        f"systemd-run --unit=second {OWN_ENGINE}; cp /usr/bin/sleep /opt/dockerd; chmod 755 /opt/dockerd"
    )
    host.run("systemd-run --unit=rootless --uid=65534 /opt/dockerd 600")
    beside = engines_beside(playbook, host)
    assert sorted((engine["unit"], engine["uid"]) for engine in beside) == [
        ("rootless.service", 65534),
        ("second.service", 0),
    ]
    # Started by hand, it is the host's engine as soon as docker.service is stopped.
    host.run("systemctl stop rootless second docker.socket docker.service")
    host.run(f"setsid {OWN_ENGINE} >/dev/null 2>&1 & sleep 1")
    failed = playbook("provision", host, "--check", check=False)
    assert "dockerd (pid " in failed.message
    assert "end process" in failed.message
    host.run("kill $(cat /run/second.pid); systemctl start docker.socket docker.service")
    assert engines_beside(playbook, host) == []
