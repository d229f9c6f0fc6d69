# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine that remaps users: an identity belongs to the number that its user has on the host."""

from __future__ import annotations

import json

import pytest

from hosts import configure, inside, launch_arguments

KEY = "/etc/wormhole/identities/{}/key.pem"
OWNERS = {"root": "100000", "number": "104242", "named": "101234"}
"""dockremap's range begins at 100000 on a lab host."""


@pytest.mark.parametrize("release", [12, 13])
def test_wormholes_by_tls_work_and_those_by_socket_are_refused(release, fresh_host, playbook):
    host = fresh_host(release)
    configure(host, json.dumps({"userns-remap": "default"}))
    host.run("docker load -q -i /srv/images.tar")
    playbook("provision", host)
    common = {"image": "wormhole-lab/cli:1", "pull": "never"}
    wormholes = [
        {**common, "name": "root"},
        {**common, "name": "number", "user": "4242"},
        {**common, "name": "named", "image": "wormhole-lab/nonroot:1"},
    ]
    playbook("launch", host, *launch_arguments(*wormholes))
    for name, owner in OWNERS.items():
        assert inside(host, "docker info --format '{{.Name}}'", container=name).stdout.strip() == host.name
        assert host.run(f"stat -c '%u %a' {KEY.format(name)}").stdout.split() == [owner, "400"]
    assert playbook("launch", host, *launch_arguments(*wormholes)).changed == 0

    socket = {**common, "name": "socket", "transport": "unix"}
    refused = playbook("launch", host, *launch_arguments(socket), check=False)
    assert refused.failures == 1
    assert "userns-remap: in no container is anybody in the group" in refused.message
