# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate import places
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io.admission import (
    find_policed,
    find_unadmitted,
)
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


def test_identities_that_dockerd_would_not_limit_are_found(tmp_path):
    assert find_policed(str(tmp_path / "missing")) == ()
    documents = {
        "agent": {"policy": {"preset": "ci"}, "certificates": ["a" * 64]},
        "learner": {"policy": {"preset": "ci", "mode": "learn"}, "certificates": ["b" * 64]},
        "root": {"policy": {"preset": "unrestricted"}, "certificates": ["c" * 64]},
        "socket": {"policy": {"preset": "ci"}, "certificates": []},
        "odd": {"certificates": ["d" * 64]},
    }
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "..json").mkdir()
    (tmp_path / "notes").touch()
    assert find_policed(str(tmp_path)) == ("agent", "broken", "learner", "odd")
