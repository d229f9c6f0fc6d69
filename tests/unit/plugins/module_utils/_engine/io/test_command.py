# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._engine.io import command

GUARD = "/etc/systemd/system/docker.service.d/zz-wormhole-docker-guard.conf"
OTHER = "/etc/systemd/system/docker.service.d/proxy.conf"


@pytest.mark.parametrize(
    ("read", "files", "loaded"),
    [
        (f"{OTHER} {GUARD}", [OTHER, GUARD], True),
        (OTHER, [OTHER, GUARD], False),
        ("", [GUARD], False),
        ("", [], True),
    ],
)
def test_a_guard_that_systemd_has_not_read_is_seen(monkeypatch, read, files, loaded):
    monkeypatch.setattr(command, "read_unit_files", lambda name, shown: [(path, "") for path in files])
    assert command.read_command({"DropInPaths": read}).guard_loaded is loaded
