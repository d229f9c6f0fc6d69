# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import accepted
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io.daemon_config import DaemonConfig
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.io.test_store import (
    CA_PEM,
)

SOCKET = "/run/docker.sock"


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Set the keys of the engine's configuration."""
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(CA_PEM)

    def configure(**keys):
        config = DaemonConfig(
            "/etc/docker/daemon.json", {"tlscacert": str(bundle), "tlsverify": True, **keys}
        )
        monkeypatch.setattr(accepted, "read_config", lambda: config)
        return bundle

    return configure


def test_the_authorities_are_those_of_the_configured_bundle(configured):
    bundle = configured()
    found = accepted.read_accepted(SOCKET)
    assert (found.path, len(found.anchors)) == (str(bundle), 1)


def test_another_engine_and_one_without_client_certificates_are_unknown(configured):
    configured()
    assert accepted.read_accepted("/run/user/1000/docker.sock") is None
    configured(tlsverify=False)
    assert accepted.read_accepted(SOCKET) is None


def test_a_bundle_that_is_missing_or_broken_is_unknown(configured):
    bundle = configured()
    bundle.write_bytes(b"")
    assert accepted.read_accepted(SOCKET) is None
    bundle.unlink()
    assert accepted.read_accepted(SOCKET) is None


def test_a_configuration_that_cannot_be_read_is_unknown(monkeypatch):
    """As for a user in the group docker, if only root can read daemon.json."""

    def fail():
        raise Refused("/etc/docker/daemon.json", problem="Cannot read it")

    monkeypatch.setattr(accepted, "read_config", fail)
    assert accepted.read_accepted(SOCKET) is None
