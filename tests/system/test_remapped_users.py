# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine with user namespace remapping: an identity belongs to its user's ID on the host."""

from __future__ import annotations

import json

import pytest

from hosts import configure, inside, launch_arguments
from lab.spec import RELEASES
from packages import install

KEY = "/etc/wormhole/identities/{}/key.pem"
OWNERS = {
    "root": "100000",
    "number": "104242",
    "named": "101234",
    "at-start": "104242",
    # With the host's user namespace, IDs are the same in the container.
    "as-host": "4242",
}
"""The first ID of dockremap's range on a lab host."""
LISTENER = ["-e", json.dumps({"listener_insecure_plaintext_port": 2375})]
COMMON = {"image": "wormhole-lab/cli:1", "pull": "never"}
TCP = {**COMMON, "transport": "tcp", "insecure_plaintext_port": 2375}
SOCKET = {**COMMON, "transport": "unix"}
WORMHOLES = [
    {**COMMON, "name": "root"},
    {**COMMON, "name": "number", "user": "4242"},
    {**COMMON, "name": "named", "image": "wormhole-lab/nonroot:1"},
    {**COMMON, "name": "at-start", "user": "4242", "discover": "runtime"},
    {**COMMON, "name": "as-host", "user": "4242", "userns_mode": "host"},
    {**TCP, "name": "plain", "user": "4242"},
    {**TCP, "name": "plain-at-start", "discover": "runtime"},
    # The alternative in the message on the rejected socket works.
    {**SOCKET, "name": "socket", "userns_mode": "host"},
    {**SOCKET, "name": "socket-named", "image": "wormhole-lab/nonroot:1", "userns_mode": "host"},
]


def shown(host, name):
    """Return owner and mode of what an identity has beside its key."""
    paths = f"cd /etc/wormhole/identities/{name} && stat -c '%u %a' . ca.pem cert.pem"
    return host.run(paths).stdout.splitlines()


def denied(host, number, path):
    """Report whether a user of the host cannot read a file."""
    read = f"setpriv --reuid {number} --regid {number} --clear-groups cat {path}"
    return "Permission denied" in host.run(read, check=False).stderr


DISCOVER = 'eval "$(sh /usr/local/lib/wormhole-docker/wormhole-discover --print)"; '


@pytest.mark.parametrize("release", RELEASES)
def test_wormholes_work_and_by_socket_only_in_the_hosts_user_namespace(release, fresh_host, playbook, lab):
    host = fresh_host(release)
    for package in ("libwrap0", "socat"):
        install(lab, host, package)
    configure(host, json.dumps({"userns-remap": "default"}))
    host.run("docker load -q -i /srv/images.tar")
    playbook("provision", host, *LISTENER)
    playbook("launch", host, *launch_arguments(*WORMHOLES))
    for wormhole in WORMHOLES:
        name, found = wormhole["name"], DISCOVER if "discover" in wormhole else ""
        asked = inside(host, f"{found}docker info --format '{{{{.Name}}}}'", container=name)
        assert asked.stdout.strip() == host.name, name
    for name, owner in OWNERS.items():
        assert host.run(f"stat -c '%u %a' {KEY.format(name)}").stdout.split() == [owner, "400"], name
        assert shown(host, name) == ["0 755", "0 444", "0 444"], name
        # Who has the same number on the host does not reach the key.
        assert denied(host, owner, KEY.format(name)), name
    assert host.run("stat -c '%u %a' /etc/wormhole/identities").stdout.split() == ["0", "700"]
    assert playbook("launch", host, *launch_arguments(*WORMHOLES)).changed == 0

    refused = playbook("launch", host, *launch_arguments({**SOCKET, "name": "refused"}), check=False)
    assert refused.failures == 1
    assert "userns-remap: no user in a container is in the group" in refused.message
    assert "set userns_mode: host" in refused.message
