# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import (
    SERVED_CURRENT,
    SERVED_NOTHING,
    SERVED_OUTDATED,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.outlook import compute_outlook
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import (
    RESTARTED,
    TOPOLOGY,
    VIRGIN,
    right,
)

SPEC = ListenerSpec()
BEFORE, AFTER = ("172.17.0.1", 2376), ("10.1.0.1", 2376)


def moving(state, **fields):
    """A host on which a restart moves docker0, with a running container."""
    return dataclasses.replace(state, after_restart=RESTARTED, containers=("jenkins",), **fields)


def test_without_a_restart_the_networks_stay_as_they_are():
    outlook = compute_outlook(SPEC, moving(right()))
    assert (outlook.restarts, outlook.topology, outlook.endpoints) == (False, TOPOLOGY, (BEFORE,))
    assert (outlook.served, outlook.interrupted) == ({BEFORE: SERVED_CURRENT}, ())


def test_with_a_restart_the_networks_are_those_after_it():
    outlook = compute_outlook(SPEC, moving(VIRGIN))
    assert (outlook.restarts, outlook.topology, outlook.endpoints) == (True, RESTARTED, (AFTER,))
    assert (outlook.served, outlook.interrupted) == ({AFTER: SERVED_NOTHING}, ("jenkins",))
    assert [reason.code for reason in outlook.restart_reasons] == ["served_differs", "gateway_moves"]


def test_live_restore_as_it_is_after_the_run_decides_what_a_restart_interrupts():
    state = moving(VIRGIN, live_restore=True)
    assert compute_outlook(SPEC, state).interrupted == ()
    assert compute_outlook(ListenerSpec(live_restore=False), state).interrupted == ("jenkins",)
    spared = compute_outlook(ListenerSpec(live_restore=True), moving(VIRGIN))
    assert (spared.live_restore, spared.interrupted) == (True, ())


def test_a_certificate_that_this_run_replaces_is_outdated_until_the_restart():
    spec = ListenerSpec(material_changed=True)
    assert compute_outlook(spec, right()).served == {BEFORE: SERVED_OUTDATED}
    restarted = dataclasses.replace(right(), restarted=True)
    assert compute_outlook(spec, restarted).served == {BEFORE: SERVED_CURRENT}


def test_an_address_has_to_be_a_gateway_after_the_run():
    later = compute_outlook(ListenerSpec(addresses=("10.1.0.1",)), moving(VIRGIN))
    assert (later.topology, later.endpoints) == (RESTARTED, (AFTER,))
    with pytest.raises(Refused, match="172.17.0.1, which is neither .* after the required restart"):
        compute_outlook(ListenerSpec(addresses=("172.17.0.1",)), moving(VIRGIN))
    with pytest.raises(Refused, match="192.0.2.1, which is neither"):
        compute_outlook(ListenerSpec(addresses=("192.0.2.1",)), moving(VIRGIN))
