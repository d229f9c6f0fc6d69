# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate import places
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io.admission import find_unadmitted
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import Admission


class Engine:
    """An engine with containers of these labels."""

    def __init__(self, *labels):
        self.labels = labels

    def containers(self, *, labels, running_only=False):
        return [
            {"Labels": own}
            for own in self.labels
            if all(name in own and value in (None, own[name]) for name, value in labels.items())
        ]


@pytest.fixture
def wormhole(tmp_path):
    """Labels of a wormhole with an identity of its own."""

    def make(identity, directory="", **more):
        place = tmp_path / (directory or identity)
        place.mkdir(exist_ok=True)
        (place / "cert.pem").touch()
        own = {"transport": "tls", "identity": identity, "identity-directory": str(place), **more}
        return {f"wormhole.docker.{name}": value for name, value in own.items()}

    return make


def test_wormholes_of_this_engine_without_a_policy_are_found(wormhole, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "policy_path", lambda identity: f"{tmp_path}/{identity}.json")
    (tmp_path / "known.json").touch()
    lost = wormhole("lost")
    (tmp_path / "lost/cert.pem").unlink()
    engine = Engine(
        wormhole("b"),
        wormhole("b", "second"),
        wormhole("a"),
        wormhole("known"),
        wormhole("far", engine="another host"),
        wormhole("of unix", transport="unix"),
        wormhole("../policy", "odd"),
        lost,
        {"wormhole.docker.transport": "tls"},
    )
    assert find_unadmitted(engine) == (
        Admission("a", (f"{tmp_path}/a/cert.pem",)),
        Admission("b", (f"{tmp_path}/b/cert.pem", f"{tmp_path}/second/cert.pem")),
    )
