# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard's drop-in: which units it stops, and how systemd reads it."""

from __future__ import annotations

import dataclasses
import fnmatch
import shlex

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._listener import guard
from ansible_collections.wormhole.docker.plugins.module_utils._listener.plan import plan_listener
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import (
    SINGLE_UNIT,
    UNIX_UNIT,
    is_tls_unit,
    tls_unit,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import (
    UNIT,
    carried_out,
    codes,
    names,
    right,
    with_unit,
)

SPEC = ListenerSpec()
PATH = "/etc/systemd/system/docker.service.d/zz-wormhole-docker-guard.conf"


def command(spec):
    line = guard.render_drop_in(spec).splitlines()[-1]
    key, value = line.split("=", 1)
    assert key == "ExecStartPre"
    # systemd's quoting is that of a shell here; it replaces $$ and %%.
    return [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(value)]


@pytest.mark.parametrize(
    "name",
    [
        *(tls_unit(address, 2376) for address in ("172.17.0.1", "::1", "fd00::A:1", "0.0.0.0")),
        *(SINGLE_UNIT, UNIX_UNIT, "docker.socket", "wormhole-docker-firewall.service"),
        "wormhole-docker-insecure-plaintext-172.17.0.1:2375.socket",
        "wormhole-docker-insecure-plaintext-fd00::1:2375.socket",
    ],
)
def test_it_stops_the_tls_sockets_and_no_other(name):
    script = command(SPEC)[2]
    patterns = shlex.split(script.rpartition(" stop ")[2])
    assert any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) == is_tls_unit(name)


def test_paths_with_any_character_reach_the_program():
    directory = "/srv/my \"tls\" \\n 100% $HOME 'x'"
    words = command(ListenerSpec(directory=directory))
    assert words[-3:] == [f"{directory}/{name}.pem" for name in ("ca", "cert", "key")]
    assert '"$@"' in words[2]


def test_it_is_installed_without_a_restart_on_a_host_that_has_a_listener():
    state = right(SPEC)
    assert (state.command.guard_path, state.guard_program) == (PATH, state.guard_shipped)
    bare = dataclasses.replace(state.command, guard_path="", guard_text="")
    older = dataclasses.replace(state, command=bare, guard_program=None)
    plan = plan_listener(SPEC, older)
    assert codes(plan) == ["guard_missing"]
    assert names(plan) == ["WriteUnits"]
    assert carried_out(SPEC, older).command.guard_path == PATH


def test_another_program_is_replaced():
    state = dataclasses.replace(right(SPEC), guard_program="exit 0")
    plan = plan_listener(SPEC, state)
    assert codes(plan) == ["guard_changed"]
    assert plan.before[guard.PROGRAM] == "another program"
    assert carried_out(SPEC, state).guard_program == state.guard_shipped


def test_a_drop_in_that_systemd_has_not_read_after_an_interrupted_run_is_read():
    state = right(SPEC)
    state = dataclasses.replace(
        state, command=dataclasses.replace(state.command, stale=True), interrupted=True
    )
    assert "unit_stale" in codes(plan_listener(SPEC, state))


def test_a_drop_in_that_systemd_does_not_know_is_read():
    state = right(SPEC)
    unread = dataclasses.replace(state.command, guard_loaded=False)
    plan = plan_listener(SPEC, dataclasses.replace(state, command=unread))
    assert (codes(plan), names(plan)) == (["unit_stale"], ["WriteUnits"])
    assert plan_listener(SPEC, state).is_empty


def test_the_reason_for_a_closed_socket_is_reported():
    state = with_unit(right(SPEC), UNIT, active=False)
    state = dataclasses.replace(state, closed="/etc/docker/daemon.json does not exist")
    assert (
        f"{UNIT} is not active: /etc/docker/daemon.json does not exist" in plan_listener(SPEC, state).texts()
    )


def test_a_socket_starts_only_with_a_guard():
    (text,) = [unit.text for unit in right(SPEC).units.values()]
    (pattern,) = [line.partition("=")[2] for line in text.splitlines() if line.startswith("Condition")]
    assert fnmatch.fnmatchcase(PATH, pattern)
