# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Diagnose an observed endpoint layer by layer; each failure has its likely cause and a remedy."""

from __future__ import annotations

from datetime import datetime
from typing import Optional

from .._certificates.facts import (
    CLOCK_TOLERANCE,
    CertificateFacts,
    default_renewal_time,
    is_default_renewal_due,
    timestamp,
)
from .layers import Layer, LayerName, Verdict, fails, holds, unknown
from .model import TCP, TLS, EndpointSpec, EndpointState, as_san
from .observation import Api, Reached

# X509_V_ERR_… (openssl/x509_vfy.h)
_CERT_SIGNATURE_FAILURE = 7
_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED = 9, 10
_SELF_SIGNED_LEAF, _SELF_SIGNED_IN_CHAIN = 18, 19
_NO_ISSUER = (2, 20, 21)
_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH = 62, 64
_INVALID_PURPOSE = 26
_TLS_LAYERS: tuple[LayerName, ...] = ("chain", "name", "validity", "client_auth")
_PROTOCOLS = {TLS: "tls", TCP: "plaintext"}
_DATES = (_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED)
_NAMES = (_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH)

_SEE_DOCKERD = "See what dockerd does: systemctl status docker, journalctl -u docker"
_REISSUE = "Let wormhole.docker.tls_certificates issue the server's certificate, and restart dockerd"
_RENEW_SERVER = (
    "Run the playbook wormhole.docker.provision, or the role wormhole.docker.listener, for this host: it renews the "
    "server's certificate and lets the engine load it"
)
_RENEW_CLIENT = (
    "Run the playbook wormhole.docker.launch, or the task that created the container, for this host: it renews the "
    "client's certificate"
)
_SET_CLOCK = "Set the clock that is wrong (timedatectl set-ntp true)"


def diagnose(spec: EndpointSpec, state: EndpointState, now: datetime) -> tuple[Layer, ...]:
    """The layers ``route`` to ``api``, in the order in which a client passes them.

    Args:
        spec, state: the endpoint, and the observation of it.
        now: the time by the clock of the host that observed it; aware.
    """
    verdicts: dict[LayerName, Verdict] = {
        "route": _route(spec, state.reached),
        "port": _port(spec, state),
        "tls": _tls(spec, state),
    }
    if state.reached.outcome != "open" or state.anonymous.protocol != _PROTOCOLS[spec.transport]:
        verdicts.update(dict.fromkeys((*_TLS_LAYERS, "api"), unknown("not reached")))
    elif spec.transport == TCP:
        verdicts.update(dict.fromkeys(_TLS_LAYERS, unknown("does not apply to plaintext")))
        verdicts["api"] = _api(state.api)
    else:
        verdicts["chain"] = _chain(spec, state, now)
        verdicts["name"] = _name(spec, state)
        verdicts["validity"] = diagnose_validity(state, now)
        verdicts["client_auth"] = _client_auth(spec, state, now)
        verdicts["api"] = _api(state.api)
    return tuple(Layer(name, *verdict) for name, verdict in verdicts.items())


def _route(spec: EndpointSpec, reached: Reached) -> Verdict:
    if spec.obstacle is not None:
        return fails(
            f"containers of network {spec.obstacle.network} have no path to the host: {spec.obstacle.reason}",
            f"Use {spec.obstacle.instead}, or another network: a bridge that is not internal",
        )
    if reached.outcome == "not_tried":
        return unknown("not observed")
    if reached.outcome == "unresolvable":
        return fails(
            f"{spec.address} has no address: {reached.detail}",
            "Use the gateway's IP address; for host.docker.internal, start the container with that name as an extra "
            "host (host.docker.internal:host-gateway)",
        )
    peer, route, gateways = reached.peer, reached.route, reached.gateways
    if reached.outcome == "unreachable" and route is None:
        if not gateways:
            return fails(
                f"no route to {spec.address} and no default gateway: {reached.detail}",
                "A container on an internal network, or on none, cannot reach the host by TCP: attach it to a bridge "
                "network that is not internal, or use transport unix",
            )
        return fails(
            f"no route to {spec.address}: {reached.detail}; the default gateway is {', '.join(gateways)}",
            f"Use the default gateway, {gateways[0]}, as the address",
        )
    if reached.source == peer:
        return holds(f"{peer} is an address of the client's own network namespace")
    if route is None:
        return holds(f"{peer} is reached from {reached.source}")
    if peer in gateways:
        return holds(f"{peer} is the default gateway, reached by {route.interface}")
    if route.gateway:
        return holds(f"{peer} is reached through {route.gateway} by {route.interface}")
    return holds(f"{peer} is on the network of {route.interface}")


def _port(spec: EndpointSpec, state: EndpointState) -> Verdict:
    reached, listened = state.reached, state.listened
    if reached.outcome == "open":
        return holds(f"{spec.text} accepts connections")
    if reached.outcome == "refused" and state.closed and spec.transport == TLS:
        return fails(
            f"nothing listens on {spec.text}: docker.service was started without the listener, because {state.closed}",
            "Run the playbook wormhole.docker.provision: it restores the configuration and restarts the engine once",
        )
    if reached.outcome == "refused" and not listened:
        return fails(
            f"nothing listens on {spec.text}: {reached.detail}",
            "Let wormhole.docker.dockerd_listener set up the listener on this address; list the host's listeners with: "
            f"ss -ltn 'sport = :{spec.port}'",
        )
    unanswered = reached.outcome == "unreachable" and reached.route is not None
    if unanswered or reached.outcome in ("refused", "timeout"):
        return _filtered(spec, reached, listened)
    return unknown("not reached")


def _filtered(spec: EndpointSpec, reached: Reached, listened: Optional[bool]) -> Verdict:
    """A connection that a packet filter has probably prevented."""
    verb = "drops" if reached.outcome == "timeout" else "rejects"
    seen = {
        "timeout": f"no answer from {spec.text} within {spec.timeout:g} s",
        "refused": f"{spec.text} refuses connections ({reached.detail})",
    }.get(reached.outcome, f"{spec.text} cannot be reached: {reached.detail}")
    bridge = f"interface {spec.guest.bridge}" if spec.guest else "the container's bridge"
    accept = (
        f"Let the host's firewall accept TCP port {spec.port} from {bridge}; wormhole.docker.dockerd_listener opens it "
        "for its own listeners (option firewall)"
    )
    if listened is None:
        return fails(
            f"{seen}: a firewall {verb} the packets, or no host has this address",
            f"{accept}. Check the address",
        )
    if listened:
        return fails(
            f"{seen}, though something listens there: the host's firewall {verb} the packets", accept
        )
    return fails(
        f"{seen}: the host's firewall {verb} the packets, and nothing listens there either",
        f"Let wormhole.docker.dockerd_listener set up the listener on this address. {accept}",
    )


def _tls(spec: EndpointSpec, state: EndpointState) -> Verdict:
    if state.reached.outcome != "open":
        return unknown("not reached")
    if state.anonymous.protocol == "silent":
        return fails(
            f"the port is open, but no engine takes the connection within {spec.timeout:g} s: dockerd is stopped or "
            "still starting, and systemd holds its socket meanwhile",
            _SEE_DOCKERD,
        )
    if state.anonymous.protocol == _PROTOCOLS[spec.transport]:
        if spec.transport == TCP:
            return unknown("plaintext HTTP, as requested: whoever reaches this port controls the host")
        return holds(state.tls_version or "TLS")
    if state.anonymous.protocol == "plaintext":
        return fails(
            "the server speaks plaintext HTTP: whoever reaches this port controls the host",
            "Let wormhole.docker.dockerd_listener set up dockerd with transport tls",
        )
    if state.anonymous.protocol == "tls":
        return fails("the server speaks TLS, and the client plaintext", "Use transport tls")
    return fails(
        f"the server speaks neither TLS nor HTTP: {state.anonymous.protocol_detail}",
        f"See what listens there, on the host: ss -ltnp 'sport = :{spec.port}'",
    )


def _chain(spec: EndpointSpec, state: EndpointState, now: datetime) -> Verdict:
    certificate = f"the server's certificate{f', issued by {state.served.issuer},' if state.served else ''}"
    if state.verified.trusted:
        return holds(f"{certificate} is trusted by {spec.authority}")
    if state.verified.trusted is None:
        given = "the verification was cut short" if spec.authority else "no CA certificate was given"
        return unknown(f"not verified: {given}")
    if state.verified.trust_code in _DATES:
        if state.served and state.served.not_before <= now <= state.served.not_after:
            return fails(
                f"a CA certificate of the chain is not valid now: {state.verified.trust_error}",
                f"Check the dates in {spec.authority}: openssl x509 -noout -dates; renew the CA if it has expired",
            )
        return holds(f"{certificate} is trusted by {spec.authority}, apart from its dates")
    if state.verified.trust_code == -1:
        return fails(
            f"the client cannot verify anything: {state.verified.trust_error}",
            "Let tls_certificates install the CA bundle",
        )
    if state.verified.trust_code == _INVALID_PURPOSE:
        return fails(
            "servers may not use the server's certificate (extendedKeyUsage without serverAuth)", _REISSUE
        )
    causes = {
        **dict.fromkeys(_NO_ISSUER, f"no CA in {spec.authority} issued it"),
        _SELF_SIGNED_LEAF: f"its root is self-signed and not in {spec.authority}",
        _SELF_SIGNED_IN_CHAIN: f"its root is self-signed and not in {spec.authority}",
        _CERT_SIGNATURE_FAILURE: f"{spec.authority} has a CA of that name, but with another key",
    }
    if state.verified.trust_code in causes:
        return fails(
            f"{certificate.rstrip(',')}: {causes[state.verified.trust_code]}",
            f"Give the client the CA bundle of this server: {spec.authority} is outdated, or belongs to another one",
        )
    return fails(f"{certificate} is not acceptable: {state.verified.trust_error}", _REISSUE)


def _name(spec: EndpointSpec, state: EndpointState) -> Verdict:
    name = as_san(spec.verified_name)
    if state.matched_san:
        return holds(f"the certificate is valid for {state.matched_san}")
    if state.served is None and state.verified.trust_code not in _NAMES:
        trusted = state.verified.trust_code == 0
        return holds(f"valid for {name}") if trusted else unknown(_unread(state))
    names = ", ".join(map(str, state.served.subject_alternative_names)) if state.served else ""
    return fails(
        f"the certificate is not valid for {name}, only for {names or 'no name at all'}",
        f"Add {name} to the server certificate's subject alternative names (wormhole.docker.tls_certificates), or "
        "use an address that it names",
    )


def _unread(state: EndpointState) -> str:
    """Why the content of the served certificate is unknown."""
    if state.anonymous.certificate or state.verified.certificate:
        return "the server's certificate cannot be decoded; see it with openssl s_client"
    return "no certificate was seen"


def diagnose_validity(state: EndpointState, now: datetime) -> Verdict:
    """Layer ``validity``: the dates of the server's certificate."""
    served = state.served
    if served is None:
        return unknown(_unread(state))
    clocks, apart = f"this host's clock says {timestamp(now)}", False
    if state.server_time:
        # Certificates allow for this difference of clocks.
        apart = abs(state.server_time - now) > CLOCK_TOLERANCE
        clocks += f", the server's {timestamp(state.server_time)}" if apart else ", as does the server's"
    if now < served.not_before:
        return fails(
            f"the certificate is valid from {timestamp(served.not_before)} on, and {clocks}",
            _wrong_clock(served, state.server_time)
            or "Set the clock of this host, or issue the certificate again if the CA's clock was ahead",
        )
    if now > served.not_after:
        return fails(
            f"the certificate expired on {timestamp(served.not_after)}, and {clocks}",
            _wrong_clock(served, state.server_time) or _REISSUE,
        )
    text = f"until {timestamp(served.not_after)}, {served.days_left(now)} days left; {_renewal(served, now)}"
    if apart:
        return holds(f"{text}; but {clocks}", _SET_CLOCK)
    return holds(text, _RENEW_SERVER if is_default_renewal_due(served, now) else "")


def client_renewal(presented: Optional[CertificateFacts], now: datetime) -> tuple[str, str]:
    """A note on a client certificate that is due for renewal, and the remedy; otherwise empty."""
    if presented is None or not is_default_renewal_due(presented, now):
        return "", ""
    end = f"it expires on {timestamp(presented.not_after)}"
    return f" ({end}, and is {_renewal(presented, now)})", _RENEW_CLIENT


def unusable_dates(presented: Optional[CertificateFacts], now: datetime) -> tuple[str, str]:
    """Why a client certificate is not valid now, and the remedy; both empty if it is."""
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


def _renewal(certificate: CertificateFacts, now: datetime) -> str:
    preposition = "since" if is_default_renewal_due(certificate, now) else "on"
    return f"due for renewal {preposition} {timestamp(default_renewal_time(certificate))}"


def _wrong_clock(served: CertificateFacts, server_time: Optional[datetime]) -> str:
    """The remedy if the certificate is valid by the server's clock; otherwise empty."""
    if server_time is None or not served.not_before <= server_time <= served.not_after:
        return ""
    return f"{_SET_CLOCK}: by the server's clock the certificate is valid"


def _client_auth(spec: EndpointSpec, state: EndpointState, now: datetime) -> Verdict:
    if state.anonymous.verdict == "accepted":
        return fails(
            "clients without a certificate are accepted: whoever reaches this port controls the host",
            "Set tlsverify to true in daemon.json (wormhole.docker.dockerd_listener does), and restart dockerd",
        )
    if state.verified.client == "unusable":
        return fails(
            f"the client's certificate cannot be used: {state.verified.client_detail}",
            f"Let wormhole.docker.tls_certificates, or for a wormhole its task, write the identity to {spec.directory}",
        )
    if state.verified.client == "refused":
        return _rejected_client(state, now)
    anonymous = "whether a client without a certificate is rejected is not known"
    if state.anonymous.verdict == "refused":
        anonymous = f"a client without a certificate is rejected ({state.anonymous.detail})"
    if state.verified.client == "accepted":
        subject = f" {state.presented.subject}" if state.presented else ""
        renewal, remedy = client_renewal(state.presented, now)
        return holds(f"the client's certificate{subject} is accepted{renewal}; {anonymous}", remedy)
    return holds(anonymous) if state.anonymous.verdict == "refused" else unknown(anonymous)


def _rejected_client(state: EndpointState, now: datetime) -> Verdict:
    presented = state.presented
    rejected = f"the server rejects the client's certificate ({state.verified.client_detail})"
    dates, remedy = unusable_dates(presented, now)
    if dates:
        return fails(f"{rejected}: {dates}", remedy)
    usage = presented.extended_key_usage if presented else ()
    if usage and "clientAuth" not in usage:
        return fails(
            f"{rejected}: it is not a client certificate (extendedKeyUsage {', '.join(usage)})",
            "Let wormhole.docker.tls_certificates issue a certificate with the profile client",
        )
    issuer = f", issued by {presented.issuer}" if presented else ""
    return fails(
        f"{rejected}{issuer}: dockerd probably does not trust its CA",
        "Compare the client's issuer with the CA bundle that daemon.json names as tlscacert; dockerd reads that "
        "bundle only when it starts",
    )


def _api(api: Api) -> Verdict:
    if api.outcome == "answered":
        return holds(f"Docker {api.engine_version} answers, API {api.version}")
    if api.outcome == "denied":
        return fails(
            f"the engine's authorization denies the client: {api.detail}",
            "Let the authorization plugin of this engine allow the client's common name",
        )
    if api.outcome == "failed":
        return fails(f"the engine gives no valid answer: {api.detail}", _SEE_DOCKERD)
    return unknown("not asked: the engine answers only a client whose certificate it accepts")
