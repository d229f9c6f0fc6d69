# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._wiring.spec import TCP, TLS, UNIX, WiringSpec
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.warnings import plaintext_warnings


@pytest.mark.parametrize("transport", [TLS, UNIX])
def test_other_transports_are_without_warnings(transport):
    assert plaintext_warnings(WiringSpec(transport)) == []


def test_plaintext_is_warned_of():
    assert plaintext_warnings(WiringSpec(TCP, insecure_plaintext_port=2375)) == [
        "transport tcp: the wormhole reaches its engine without TLS, at port 2375; "
        "everyone who can connect to that port is root on the host"
    ]
