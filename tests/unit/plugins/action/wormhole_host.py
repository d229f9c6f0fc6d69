# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A controller, a host with engine and listener, for wormholes with identities."""

from __future__ import annotations

import functools
import os

from ansible_collections.wormhole.docker.plugins.action import wormhole_container as action
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    record as certificate_record,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue import launch
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.io.state import observe_wiring
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io import identity as identity_host
from ansible_collections.wormhole.docker.plugins.modules import wormhole_container as module
from ansible_collections.wormhole.docker.tests.unit.plugins.action import fleet as fleets
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import (
    IMAGE,
    FakeEngine,
)


class Host(fleets.Fleet):
    """A controller, a host with engine and listener. Owners are only recorded: chown needs root."""

    def __init__(self, home, monkeypatch):
        super().__init__(home)
        self.engine = FakeEngine()
        self.owners = {}
        units = self.units = home / "units"
        units.mkdir()
        (units / "wormhole-docker-172.17.0.1:2376.socket").write_text(
            "[Socket]\nListenStream=172.17.0.1:2376\n"
        )
        monkeypatch.setitem(fleets.MODULES, action.ActionModule.MODULE, module)
        monkeypatch.setattr(launch, "open_engine", lambda params: self.engine)
        monkeypatch.setattr(launch.verification, "connect_from_inside", lambda pid, spec, wiring: None)
        look = functools.partial(observe_wiring, unit_directory=str(units))
        monkeypatch.setattr(launch, "observe_wiring", look)
        monkeypatch.setattr(certificate_record, "directory", lambda: str(self.state))
        monkeypatch.setattr(certificate_record, "is_kept", lambda: True)
        self.accepted = None
        monkeypatch.setattr(identity_host, "read_accepted", lambda socket_path: self.accepted)

    def launch(self, check_mode=False, **options):
        arguments = {
            "name": "agent",
            "image": IMAGE,
            "user": str(os.geteuid()),
            "identity_directory": str(self.etc / "agent"),
            **self.source(options),
            **options,
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        return self.run_task(action, arguments, check_mode)

    def serial(self):
        return decoding.read_certificate((self.etc / "agent" / "cert.pem").read_bytes()).serial


def make_host(tmp_path, monkeypatch):
    """Return a host whose authority exists."""
    # Only root can set the group root.
    monkeypatch.setattr(
        "ansible_collections.wormhole.docker.plugins.module_utils._wormhole.identity.GROUP", os.getegid()
    )
    monkeypatch.setattr(
        "ansible_collections.wormhole.docker.plugins.module_utils._wormhole.identity.owned.__defaults__",
        (os.getegid(),),
    )
    host = Host(tmp_path, monkeypatch)
    host.make_authority()
    return host
