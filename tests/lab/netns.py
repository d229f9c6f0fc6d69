# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running programs inside the lab's network namespace, from where no packet leaves the machine."""

from __future__ import annotations

from lab.client import Lab


def enter_argv(lab: Lab) -> list[str]:
    """Return the words to put before a command, so that it runs in the lab's network.

    Hosts are reached from there under the same addresses. Should the lab end meanwhile, the command's packets go
    nowhere, while in the machine's own namespace they would follow its default route.
    """
    return ["nsenter", f"--net=/proc/{lab.pid}/ns/net"]
