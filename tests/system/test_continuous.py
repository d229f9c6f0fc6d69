# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the continuous client: it notices failures, which other scenarios rely on."""

from __future__ import annotations

import datetime

import pytest

from certificates import DAY, IDENTITIES, SERVER, reissue
from continuous import CUT, LIVE_RESTORE, OK, OTHER, PROGRAMS, REFUSED, VERIFICATION, ContinuousClient
from hosts import RESTART, configure, launch_arguments
from lab.spec import RELEASES


# Long because it is one table: each kind of failure, and what the client reports.
@pytest.mark.parametrize("release", RELEASES)
def test_the_continuous_client_distinguishes_failures(release, fresh_host, playbook, own_ca):
    host = fresh_host(release)
    configure(host, LIVE_RESTORE)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    host.run("cp -a /etc/wormhole /root/good")
    expired = {"begins": -2 * DAY, "ends": -datetime.timedelta(hours=1)}

    def watch(harm, heal=f"cp -a /root/good/. /etc/wormhole; {RESTART}"):
        client = ContinuousClient(host)
        harm()
        if heal:
            client.wait_for_requests()
            host.run(heal)
        seen = client.stop()
        print(f"{harm.__name__}: {seen}")
        for program in PROGRAMS:
            # A rejected client may only see the end of its connection.
            assert seen.count(CUT, program) <= 1 or seen.rejections
            assert seen.count(OK, program) >= 5
        assert seen.count(OTHER) == 0
        return seen

    def server_expires():
        reissue(host, SERVER, own_ca(host), **expired)
        host.run(RESTART)

    def client_expires():
        reissue(host, f"{IDENTITIES}/agent", own_ca(host), **expired)

    def client_is_of_another_authority():
        host.run(
            f"cd {IDENTITIES}/agent && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
            "-subj /CN=agent -keyout key.pem -out cert.pem"
        )

    def key_is_of_another_certificate():
        host.run(f"cat {SERVER}/key.pem >{IDENTITIES}/agent/key.pem")

    def listener_is_gone():
        # The socket first: while systemd stops both, a request to the socket starts the service again, and cancels the
        # stop of docker.socket (seen with systemd 252 on a busy machine).
        host.run(
            "systemctl stop 'wormhole-docker-*.socket'; systemctl stop docker.service docker.socket; sleep 1"
        )
        # docker.service requires docker.socket. With docker.socket first, a client could start the
        # service before the other socket is bound, and systemd then refuses to bind it.
        host.run("systemctl start wormhole-docker-172.17.0.1:2376.socket docker.service")

    for harm in (server_expires, client_expires, client_is_of_another_authority):
        seen = watch(harm)
        assert [seen.count(VERIFICATION, program) > 0 for program in PROGRAMS] == [True, True]
        assert len(seen.rejections) > 0
        assert seen.count(REFUSED) == 0
        with pytest.raises(AssertionError, match="expired|certificate"):
            seen.check(requests=5)

    # Go sends no certificate if the engine names other authorities than its issuer.
    assert any("provide a certificate" in said for said in seen.rejections)

    seen = watch(key_is_of_another_certificate)
    assert [seen.count(VERIFICATION, program) > 0 for program in PROGRAMS] == [True, True]
    assert seen.rejections == ()
    with pytest.raises(AssertionError, match="private key"):
        seen.check(requests=5)

    seen = watch(listener_is_gone, heal="")
    assert [seen.count(REFUSED, program) > 0 for program in PROGRAMS] == [True, True]
    assert seen.verification_failures == []
    with pytest.raises(AssertionError, match="refused"):
        seen.check(requests=5)
