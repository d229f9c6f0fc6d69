# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the dates of certificates mean, by the two clocks that judge them: the client's and the server's.

A certificate that is not valid is either past its time or judged by a wrong clock, and the remedies have nothing in
common; the server's clock, where it told, is the second opinion.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import CLOCK_TOLERANCE
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import EndpointState
from ansible_collections.wormhole.docker.plugins.module_utils._core.layers import Layer
from ansible_collections.wormhole.docker.plugins.module_utils._core.renewal import (
    is_renewal_due,
    renewal_time,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts, timestamp

REISSUE = "Let wormhole.docker.tls_certificates issue the server's certificate, and restart dockerd"

_RENEW_SERVER = (
    "Run the playbook wormhole.docker.provision, or the role wormhole.docker.listener, for this host: it renews the "
    "server's certificate and lets the engine load it"
)
_RENEW_CLIENT = (
    "Run the playbook wormhole.docker.launch, or the task that has made it, for this host: it renews the "
    "client's certificate"
)
_SET_CLOCK = "Set the clock that is wrong (timedatectl set-ntp true)"


def diagnose_validity(state: EndpointState, now: datetime) -> Layer:
    """Layer ``validity``: the dates of the server's certificate, by the clock of the host that was looked from."""
    served = state.served
    if served is None:
        return Layer("validity", None, "no certificate was seen")
    clocks = _tell_clocks(state.server_time, now)
    if now < served.not_before:
        return Layer(
            "validity",
            False,
            f"the certificate is valid from {timestamp(served.not_before)} on, and {clocks}",
            _wrong_clock(served, state.server_time)
            or "Set the clock of this host, or issue the certificate again if the CA's clock was ahead",
        )
    if now > served.not_after:
        return Layer(
            "validity",
            False,
            f"the certificate expired on {timestamp(served.not_after)}, and {clocks}",
            _wrong_clock(served, state.server_time) or REISSUE,
        )
    text = (
        f"until {timestamp(served.not_after)}, {served.days_left(now)} days left; {tell_renewal(served, now)}"
    )
    if are_apart(state.server_time, now):
        return Layer("validity", True, f"{text}; but {clocks}", _SET_CLOCK)
    return Layer("validity", True, text, _RENEW_SERVER if is_renewal_due(served, now) else "")


def tell_renewal(certificate: CertificateFacts, now: datetime) -> str:
    """When a certificate is due, or since when it has been."""
    when = timestamp(renewal_time(certificate))
    return (
        f"due for renewal since {when}" if is_renewal_due(certificate, now) else f"due for renewal on {when}"
    )


def client_renewal(presented: Optional[CertificateFacts], now: datetime) -> tuple[str, str]:
    """What to add to the text about a client whose certificate is accepted, and the remedy; both empty if nothing."""
    if presented is None or not is_renewal_due(presented, now):
        return "", ""
    end = f"it expires on {timestamp(presented.not_after)}"
    return f" ({end}, and is {tell_renewal(presented, now)})", _RENEW_CLIENT


def unusable_dates(presented: Optional[CertificateFacts], now: datetime) -> tuple[str, str]:
    """Why the dates of a client's certificate explain that it is refused, and the remedy; both empty if they do not."""
    if presented is None or presented.not_before <= now <= presented.not_after:
        return "", ""
    if now > presented.not_after:
        return (
            f"it expired on {timestamp(presented.not_after)}",
            "Let wormhole.docker.tls_certificates renew the client's certificate",
        )
    return (
        f"it is valid from {timestamp(presented.not_before)} on, and this host's clock says {timestamp(now)}",
        "Set the clock of the server, which judges the client's certificate, or issue it again if the CA's clock was "
        "ahead",
    )


def are_apart(server_time: Optional[datetime], now: datetime) -> bool:
    """Whether the clocks differ by more than what the dates of certificates allow for."""
    return server_time is not None and abs(server_time - now) > CLOCK_TOLERANCE


def _tell_clocks(server_time: Optional[datetime], now: datetime) -> str:
    ours = f"this host's clock says {timestamp(now)}"
    if server_time is None:
        return ours
    if are_apart(server_time, now):
        return f"{ours}, the server's {timestamp(server_time)}"
    return f"{ours}, as does the server's"


def _wrong_clock(served: CertificateFacts, server_time: Optional[datetime]) -> str:
    """The remedy if it is a matter of clocks: by the server's own the certificate is valid. Else empty."""
    if server_time is None or not served.not_before <= server_time <= served.not_after:
        return ""
    return f"{_SET_CLOCK}: by the server's clock the certificate is valid"
