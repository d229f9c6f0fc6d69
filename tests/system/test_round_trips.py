# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenarios' count of round trips matches what Ansible reports."""

from __future__ import annotations

import pytest

from lab.spec import RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_round_trips_are_counted_as_ansible_reports_them(release, fresh_host, playbook):
    host = fresh_host(release)
    run = playbook("provision", host, "-vvv")
    # The verbose line names the program, which counts its starts.
    reported = run.stdout.count("SSH: EXEC ") + run.stdout.count("SFTP: EXEC ")
    there = [task for task in run.tasks if task.status == "ok" and not task.delegated]
    assert run.round_trips == reported
    assert run.round_trips >= 1
    assert len(there) > 0
    # The plan before anything is written costs no round trip of its own: engine, gateways, certificate, listener.
    again = playbook("provision", host)
    assert (again.changed, again.round_trips) == (0, 1)
