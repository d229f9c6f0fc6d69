# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the other scenarios count as a round trip is what Ansible itself reports as one."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("release", [12, 13])
def test_round_trips_are_counted_as_ansible_reports_them(release, fresh_host, playbook):
    host = fresh_host(release)
    run = playbook("provision", host, "-vvv")
    # The verbose line names the program: our counting one.
    reported = run.stdout.count("SSH: EXEC ") + run.stdout.count("SFTP: EXEC ")
    there = [task for task in run.tasks if task.status == "ok" and not task.delegated]
    assert run.round_trips == reported
    assert run.round_trips >= 1
    assert len(there) > 0
