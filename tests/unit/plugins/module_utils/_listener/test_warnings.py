# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._listener.warnings import listener_warnings

PLAINTEXT = (
    "insecure_plaintext_port: the engine is served without TLS on 172.17.0.1:2375, [fd00::1]:2375; "
    "whoever reaches it is root on this host"
)
LOST = "live-restore: containers exited with an error during the restart and were started again: a, b"


@pytest.mark.parametrize(
    "insecure, lost, expected",
    [
        ((), (), []),
        ((SocketAddress("172.17.0.1", 2375), SocketAddress("fd00::1", 2375)), (), [PLAINTEXT]),
        ((), ("a", "b"), [LOST]),
    ],
)
def test_plaintext_and_lost_containers_are_warned_of(insecure, lost, expected):
    assert listener_warnings(insecure, lost) == expected
