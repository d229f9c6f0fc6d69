# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The notes in a journal; how a rollback uses them is tested with the change that it undoes."""

from __future__ import annotations

import json

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import Opening, Restriction
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io.rollback import (
    Notes,
    PreviousUnit,
    parse_notes,
)


def test_notes_of_the_previous_version_are_read():
    """As the version before the dataclass wrote them: a flag is there only once it is set."""
    written = """{
      "units": {"wormhole-docker-172.17.0.1:2376.socket": {"enabled": true, "active": false}},
      "containers": ["db"], "live_restore": true, "manager": "ufw",
      "openings": [["docker0", "172.17.0.1", 2376]],
      "closed": true, "restarted": true, "spares": false, "going_back": true
    }"""
    assert parse_notes(json.loads(written)) == Notes(
        units={"wormhole-docker-172.17.0.1:2376.socket": PreviousUnit(enabled=True, active=False)},
        containers=("db",),
        live_restore=True,
        manager="ufw",
        openings=(Opening("docker0", "172.17.0.1", 2376),),
        closed=True,
        restarted=True,
        going_back=True,
    )


def test_notes_are_read_as_they_were_written():
    notes = Notes(
        units={"a": PreviousUnit(enabled=True, active=True)},
        containers=("db", "web"),
        live_restore=True,
        manager="nftables",
        openings=(Opening("docker0", "fd00::1", 2376),),
        restriction=Restriction((SocketAddress("fd00::1", 2376),), ("br0",)),
        closed=True,
        reloaded=True,
        restarted=True,
        spares=True,
        firewall_changed=True,
        going_back=True,
    )
    written = json.loads(json.dumps(notes.as_json()))
    assert parse_notes(written) == notes
    assert written["units"] == {"a": {"enabled": True, "active": True}}
    assert written["openings"] == [["docker0", "fd00::1", 2376]]
    assert written["restriction"] == {"ports": [["fd00::1", 2376]], "bridges": ["br0"]}
    assert parse_notes({}) == Notes()
