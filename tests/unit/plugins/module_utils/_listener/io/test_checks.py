# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host has to let us do before the listener changes: as dockerd and systemd say it."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._engine.command import EngineCommand
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io import checks as listener_checks
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io.units import refuse_masked

OLD = (125, "unknown flag: --validate\nSee 'dockerd --help'.")
NOT_ROOT = (1, "failed to start daemon: dockerd needs to be started with root.")
OLD_REJECTS = (1, "unable to configure the Docker daemon with file {path}: unknown key: x")
NEW_REJECTS = (1, "unable to configure the Docker daemon with file {path}: unknown key: x")


def answering(monkeypatch, *answers):
    """A dockerd that gives these answers, one after the other; returns who asked."""
    users = []
    waiting = list(answers)

    def run(argv, _timeout, *, user=None):
        users.append(user)
        returncode, text = waiting.pop(0)
        return subprocess.CompletedProcess(argv, returncode, "", text.replace("{path}", argv[-1]))

    monkeypatch.setattr(listener_checks, "run", run)
    return users


@pytest.mark.parametrize("answers", [[(0, "configuration OK")], [OLD, NOT_ROOT]])
def test_what_dockerd_accepts_is_accepted_and_only_an_old_one_is_asked_as_nobody(monkeypatch, answers):
    users = answering(monkeypatch, *answers)
    listener_checks.validate_config("{}", EngineCommand())
    assert users == [None, 65534][: len(answers)]


@pytest.mark.parametrize("answers", [[NEW_REJECTS], [OLD, OLD_REJECTS]])
def test_what_dockerd_rejects_is_refused_by_the_name_that_the_user_knows(monkeypatch, answers):
    answering(monkeypatch, *answers)
    with pytest.raises(Refused, match="with file /etc/docker/daemon.json: unknown key: x"):
        listener_checks.validate_config('{"x": 1}', EngineCommand())


def test_a_masked_socket_that_the_engine_does_not_require_is_accepted():
    refuse_masked(
        {"docker.service": {"LoadState": "loaded", "Requires": "x"}, "docker.socket": {"LoadState": "masked"}}
    )


def test_a_masked_unit_is_refused_because_nothing_would_start_the_engine_again():
    loaded, masked = (
        {"LoadState": "loaded", "Requires": "docker.socket sysinit.target"},
        {"LoadState": "masked"},
    )
    refuse_masked({"docker.service": loaded, "docker.socket": loaded, "x.socket": masked})
    refuse_masked({"docker.service": loaded, "docker.socket": {"LoadState": "not-found"}})
    for units in (["docker.service"], ["docker.socket"], ["docker.service", "docker.socket"]):
        shown = {"docker.service": loaded, "docker.socket": loaded, **dict.fromkeys(units, masked)}
        shown["docker.service"] = {**loaded, **shown["docker.service"]}
        with pytest.raises(Refused, match=f"unmask {' '.join(units)}$"):
            refuse_masked(shown)
