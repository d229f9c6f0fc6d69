# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._core.proxies import proxy_warnings

IPV4, IPV6 = "tcp://172.17.0.1:2376", "tcp://[fd00::1]:2376"
PROXY = "HTTPS_PROXY=http://user:s3cret@proxy.example.org:3128"


@pytest.mark.parametrize(
    "variables, docker_host, tls",
    [
        ([PROXY], IPV4, True),
        (["https_proxy=x"], IPV4, True),
        (["HTTP_PROXY=x"], IPV4, False),
        ([PROXY], IPV6, True),
        ([PROXY, "NO_PROXY="], IPV4, True),
        ([PROXY, "NO_PROXY=localhost,127.0.0.1,.example.org"], IPV4, True),
        ([PROXY, "NO_PROXY=172.17.0.2, 172.18.0.0/16"], IPV4, True),
        ([PROXY, "NO_PROXY=172.17.0.10"], IPV4, True),
        ([PROXY, "NO_PROXY=]fd00::2,[,fd00::1:2376"], IPV6, True),
        # The first that is set counts.
        ([PROXY, "NO_PROXY=x", "no_proxy=*"], IPV4, True),
    ],
)
def test_a_proxy_that_clients_would_take_is_told(variables, docker_host, tls):
    (text,) = proxy_warnings("agent", variables, docker_host, tls=tls)
    assert text.startswith(
        f"container agent: {variables[0].partition('=')[0]} sends its Docker clients to a proxy"
    )
    assert "s3cret" not in text


@pytest.mark.parametrize(
    "variables, docker_host, tls",
    [
        ([], IPV4, True),
        (["HTTPS_PROXY="], IPV4, True),
        (["HTTPS_PROXY"], IPV4, True),
        (["HTTP_PROXY=x"], IPV4, True),
        ([PROXY], IPV4, False),
        ([PROXY], "unix:///var/run/docker.sock", False),
        ([PROXY], "", True),
        ([PROXY], "tcp://127.0.0.1:2376", True),
        ([PROXY, "NO_PROXY=a, 172.17.0.1"], IPV4, True),
        ([PROXY, "NO_PROXY=172.17.0.1:2376"], IPV4, True),
        ([PROXY, "no_proxy=172.16.0.0/12"], IPV4, True),
        ([PROXY, "NO_PROXY=*"], IPV4, True),
        ([PROXY, "NO_PROXY=fd00::1"], IPV6, True),
        ([PROXY, "NO_PROXY=[fd00::1]"], IPV6, True),
        ([PROXY, "NO_PROXY=[fd00::1]:2376"], IPV6, True),
        ([PROXY], "tcp://host.docker.internal:2376", True),
        ([PROXY, "NO_PROXY=fd00::/8"], IPV6, True),
    ],
)
def test_nothing_is_told_where_clients_go_straight(variables, docker_host, tls):
    assert proxy_warnings("agent", variables, docker_host, tls=tls) == []
