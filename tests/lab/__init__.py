# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Throwaway Debian hosts for tests. `Lab.owned()` starts a lab, `Lab.attach()` finds the lab of
`./dev lab up`.

with Lab.owned([HostSpec(release=13), HostSpec(release=12, variant="bare")]) as lab:
    for host in lab.hosts:
        print(host.name, host.address, host.run(["uname", "-r"]).stdout)
"""

from __future__ import annotations

from lab.client import Host, Lab
from lab.errors import LabError
from lab.spec import HostSpec

__all__ = ["Host", "HostSpec", "Lab", "LabError"]
