# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs programs in the lab's network namespace, from where no packet leaves the machine."""

from __future__ import annotations

from lab.client import Lab


def enter_argv(lab: Lab) -> list[str]:
    """Return a command prefix that runs a command in the lab's network.

    Hosts have the same addresses there. If the lab ends meanwhile, the command's packets are
    dropped. In the machine's own namespace, they would follow its default route.
    """
    return ["nsenter", f"--net=/proc/{lab.pid}/ns/net"]
