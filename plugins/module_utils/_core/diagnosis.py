# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an observation of an endpoint means, layer by layer, each failure with its likely cause and a remedy."""

from __future__ import annotations

from datetime import datetime
from typing import Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import (
    TCP,
    TLS,
    EndpointSpec,
    EndpointState,
    as_san,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.layers import Layer
from ansible_collections.wormhole.docker.plugins.module_utils._core.validity import (
    REISSUE,
    client_renewal,
    diagnose_validity,
    unusable_dates,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts

# X509_V_ERR_… (openssl/x509_vfy.h)
_CERT_SIGNATURE_FAILURE = 7
_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED = 9, 10
_SELF_SIGNED_LEAF, _SELF_SIGNED_IN_CHAIN = 18, 19
_NO_ISSUER = (2, 20, 21)
_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH = 62, 64
_INVALID_PURPOSE = 26
_TLS_LAYERS = ("chain", "name", "validity", "client_auth")
_PROTOCOLS = {TLS: "tls", TCP: "plaintext"}
_DATES = (_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED)
_NAMES = (_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH)


def diagnose(spec: EndpointSpec, state: EndpointState, now: datetime) -> tuple[Layer, ...]:
    """All eight layers, in the order in which a client passes them.

    Args:
        spec: what was looked at.
        state: what was seen.
        now: the clock of the host that was looked from; aware.
    """
    lower = (_route(spec, state), _port(spec, state), _tls(spec, state))
    if state.tcp != "open" or state.protocol != _PROTOCOLS[spec.transport]:
        return (*lower, *(Layer(name, None, "not reached") for name in (*_TLS_LAYERS, "api")))
    if spec.transport == TCP:
        return (
            *lower,
            *(Layer(name, None, "does not apply to plaintext") for name in _TLS_LAYERS),
            _api(state),
        )
    return (
        *lower,
        _chain(spec, state, now),
        _name(spec, state),
        diagnose_validity(state, now),
        _client_auth(spec, state, now),
        _api(state),
    )


def _route(spec: EndpointSpec, state: EndpointState) -> Layer:
    if spec.obstacle is not None:
        return Layer(
            "route",
            False,
            f"containers of network {spec.obstacle.network} have no path to the host: {spec.obstacle.reason}",
            f"Use {spec.obstacle.instead}, or another network: a bridge that is not internal",
        )
    if state.tcp == "not_tried":
        return Layer("route", None, "not looked at")
    if state.tcp == "unresolvable":
        return Layer(
            "route",
            False,
            f"{spec.address} has no address: {state.tcp_detail}",
            "Use the gateway's IP address; for host.docker.internal, start the container with that name as an extra "
            "host (host.docker.internal:host-gateway)",
        )
    if state.tcp == "unreachable" and state.route is None:
        if not state.gateways:
            return Layer(
                "route",
                False,
                f"no route to {spec.address} and no default gateway: {state.tcp_detail}",
                "A container on an internal network, or on none, cannot reach the host by TCP: attach it to a bridge "
                "network that is not internal, or use transport unix",
            )
        return Layer(
            "route",
            False,
            f"no route to {spec.address}: {state.tcp_detail}; the default gateway is {', '.join(state.gateways)}",
            f"Use the default gateway, {state.gateways[0]}, as the address",
        )
    return Layer("route", True, _route_text(state))


def _route_text(state: EndpointState) -> str:
    if state.source == state.peer:
        return f"{state.peer} is an address of the place that was looked from"
    if state.route is None:
        return f"{state.peer} is reached from {state.source}"
    if state.peer in state.gateways:
        return f"{state.peer} is the default gateway, reached by {state.route.interface}"
    if state.route.gateway:
        return f"{state.peer} is reached through {state.route.gateway} by {state.route.interface}"
    return f"{state.peer} is on the network of {state.route.interface}"


def _port(spec: EndpointSpec, state: EndpointState) -> Layer:
    if state.tcp == "open":
        return Layer("port", True, f"{spec.text} accepts connections")
    if state.tcp == "refused" and not state.listened:
        return Layer(
            "port",
            False,
            f"nothing listens on {spec.text}: {state.tcp_detail}",
            "Let wormhole.docker.dockerd_listener set up the listener on this address; what listens on the host is "
            f"shown by: ss -ltn 'sport = :{spec.port}'",
        )
    if state.tcp in ("refused", "timeout") or (state.tcp == "unreachable" and state.route is not None):
        return Layer("port", False, *_filtered(spec, state))
    return Layer("port", None, "not reached")


def _filtered(spec: EndpointSpec, state: EndpointState) -> tuple[str, str]:
    """A connection that a packet filter is the likely end of: text and remedy."""
    verb = "drops" if state.tcp == "timeout" else "rejects"
    seen = {
        "timeout": f"no answer from {spec.text} within {spec.timeout:g} s",
        "refused": f"{spec.text} refuses connections ({state.tcp_detail})",
    }.get(state.tcp, f"{spec.text} cannot be reached: {state.tcp_detail}")
    bridge = f"interface {spec.guest.bridge}" if spec.guest else "the container's bridge"
    accept = (
        f"Let the host's firewall accept TCP port {spec.port} from {bridge}; wormhole.docker.dockerd_listener opens it "
        "for its own listeners (option firewall)"
    )
    if state.listened is None:
        return (
            f"{seen}: a firewall {verb} the packets, or no host has this address",
            f"{accept}. Check the address",
        )
    if state.listened:
        return f"{seen}, though something listens there: the host's firewall {verb} the packets", accept
    return (
        f"{seen}: the host's firewall {verb} the packets, and nothing listens there either",
        f"Let wormhole.docker.dockerd_listener set up the listener on this address. {accept}",
    )


def _tls(spec: EndpointSpec, state: EndpointState) -> Layer:
    if state.tcp != "open":
        return Layer("tls", None, "not reached")
    if state.protocol == "silent":
        return Layer(
            "tls",
            False,
            f"the port is open, but no engine takes the connection within {spec.timeout:g} s: dockerd is stopped or "
            "still starting, and systemd holds its socket meanwhile",
            "See what dockerd does: systemctl status docker, journalctl -u docker",
        )
    if state.protocol == _PROTOCOLS[spec.transport]:
        if spec.transport == TCP:
            return Layer("tls", None, "plaintext HTTP, as asked for: who reaches this port controls the host")
        return Layer("tls", True, state.tls_version or "TLS")
    if state.protocol == "plaintext":
        return Layer(
            "tls",
            False,
            "the server speaks plaintext HTTP: who reaches this port controls the host",
            "Let wormhole.docker.dockerd_listener set up dockerd with transport tls",
        )
    if state.protocol == "tls":
        return Layer("tls", False, "the server speaks TLS, and the client plaintext", "Use transport tls")
    return Layer(
        "tls",
        False,
        f"what answers speaks neither TLS nor HTTP: {state.protocol_detail}",
        f"See what listens there, on the host: ss -ltnp 'sport = :{spec.port}'",
    )


def _chain(spec: EndpointSpec, state: EndpointState, now: datetime) -> Layer:
    issuer = f", issued by {state.served.issuer}" if state.served else ""
    if state.trusted:
        return Layer("chain", True, f"the server's certificate{issuer}, is trusted by {spec.authority}")
    if state.trusted is None:
        why = (
            "no CA certificate to verify by was given"
            if not spec.authority
            else "the verification was cut short"
        )
        return Layer("chain", None, f"not verified: {why}")
    if state.trust_code in _DATES:
        if _within_dates(state.served, now):
            return Layer(
                "chain",
                False,
                f"a CA certificate of the chain is not valid now: {state.trust_error}",
                f"Check the dates in {spec.authority}: openssl x509 -noout -dates; renew the CA if it has expired",
            )
        return Layer(
            "chain", True, f"the server's certificate{issuer}, is trusted by {spec.authority}, dates aside"
        )
    return Layer("chain", False, *_broken_chain(spec, state, issuer))


def _broken_chain(spec: EndpointSpec, state: EndpointState, issuer: str) -> tuple[str, str]:
    if state.trust_code == -1:
        return (
            f"the client cannot verify anything: {state.trust_error}",
            "Let tls_certificates install the CA bundle",
        )
    same_ca = f"Give the client the CA bundle of this server: {spec.authority} is another one's, or outdated"
    if state.trust_code in _NO_ISSUER:
        return f"the server's certificate{issuer}: no CA in {spec.authority} issued it", same_ca
    if state.trust_code in (_SELF_SIGNED_LEAF, _SELF_SIGNED_IN_CHAIN):
        return (
            f"the server's certificate{issuer}: its root is self-signed and not in {spec.authority}",
            same_ca,
        )
    if state.trust_code == _CERT_SIGNATURE_FAILURE:
        return (
            f"the server's certificate{issuer}: a CA of that name, but with another key, is in {spec.authority}",
            same_ca,
        )
    if state.trust_code == _INVALID_PURPOSE:
        return (
            "the server's certificate may not be used by servers (extendedKeyUsage without serverAuth)",
            REISSUE,
        )
    return f"the server's certificate{issuer}, is not acceptable: {state.trust_error}", REISSUE


def _name(spec: EndpointSpec, state: EndpointState) -> Layer:
    wanted = as_san(spec.verified_name)
    if state.matched_san:
        return Layer("name", True, f"the certificate is valid for {state.matched_san}")
    if state.served is None and state.trust_code not in _NAMES:
        held = state.trust_code == 0
        return Layer(
            "name", True if held else None, f"valid for {wanted}" if held else "no certificate was seen"
        )
    names = ", ".join(map(str, state.served.subject_alternative_names)) if state.served else ""
    return Layer(
        "name",
        False,
        f"the certificate is not valid for {wanted}, only for {names or 'no name at all'}",
        f"Add {wanted} to the server certificate's subject alternative names (wormhole.docker.tls_certificates), or "
        "use an address that it names",
    )


def _client_auth(spec: EndpointSpec, state: EndpointState, now: datetime) -> Layer:
    if state.anonymous == "accepted":
        return Layer(
            "client_auth",
            False,
            "clients without a certificate are let in: who reaches this port controls the host",
            "Set tlsverify to true in daemon.json (wormhole.docker.dockerd_listener does), and restart dockerd",
        )
    if state.client == "unusable":
        return Layer(
            "client_auth",
            False,
            f"the client's certificate cannot be used: {state.client_detail}",
            f"Let wormhole.docker.tls_certificates write the client's identity to {spec.directory}",
        )
    if state.client == "refused":
        return Layer("client_auth", False, *_refused_client(state, now))
    anonymous = {"refused": f"a client without a certificate is refused ({state.anonymous_detail})"}.get(
        state.anonymous, "whether a client without a certificate is refused is not known"
    )
    if state.client == "accepted":
        subject = f" {state.presented.subject}" if state.presented else ""
        renewal, remedy = client_renewal(state.presented, now)
        return Layer(
            "client_auth",
            True,
            f"the client's certificate{subject} is accepted{renewal}; {anonymous}",
            remedy,
        )
    return Layer("client_auth", True if state.anonymous == "refused" else None, anonymous)


def _refused_client(state: EndpointState, now: datetime) -> tuple[str, str]:
    presented = state.presented
    refused = f"the server refuses the client's certificate ({state.client_detail})"
    dates, remedy = unusable_dates(presented, now)
    if dates:
        return f"{refused}: {dates}", remedy
    if (
        presented is not None
        and presented.extended_key_usage
        and "clientAuth" not in presented.extended_key_usage
    ):
        return (
            f"{refused}: it is no client certificate (extendedKeyUsage {', '.join(presented.extended_key_usage)})",
            "Let wormhole.docker.tls_certificates issue a certificate with the profile client",
        )
    issuer = f", issued by {presented.issuer}," if presented is not None else ""
    return (
        f"{refused}: probably no CA that dockerd trusts issued it{issuer}",
        "Compare the client's issuer with the CA bundle that daemon.json names as tlscacert; dockerd reads that "
        "bundle at its start only",
    )


def _api(state: EndpointState) -> Layer:
    if state.api == "answered":
        return Layer("api", True, f"Docker {state.engine_version} answers, API {state.api_version}")
    if state.api == "denied":
        return Layer(
            "api",
            False,
            f"the engine's authorization denies the client: {state.api_detail}",
            "Let the authorization plugin of this engine allow the client's common name",
        )
    if state.api == "failed":
        return Layer(
            "api",
            False,
            f"the engine does not answer as it should: {state.api_detail}",
            "See what dockerd does: systemctl status docker, journalctl -u docker",
        )
    return Layer("api", None, "not asked: that takes a client whose certificate is accepted")


def _within_dates(served: Optional[CertificateFacts], now: datetime) -> bool:
    return served is not None and served.not_before <= now <= served.not_after
