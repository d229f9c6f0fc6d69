# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one wormhole to its desired state."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Optional

from .._base.errors import WormholeError
from .._base.plan import Plan
from .._certificates import model, ownership, removal
from .._certificates.io import decoding, store
from .._certificates.plan import describe_certificate
from .._certificates.spec import CertificateSpec
from .._certificates.trust import Authority
from .._client.interference import interference_warnings
from .._container.inspection import variables_of
from .._container.io import host_values
from .._container.options import hide_values
from .._engine.io.sdk import parse_socket_path
from .._engine.io.snapshot import Snapshot
from .._engine.port import EnginePort
from .._gate.ending import describe_endings
from .._wiring.io.state import observe_wiring
from .._wiring.spec import TLS
from .._wiring.warnings import plaintext_warnings, root_warnings
from .._wiring.wire import WiringState
from .._wormhole import rejections, resolve
from .._wormhole.access import bypass_warnings, wanted_access
from .._wormhole.identity import ManagedState
from .._wormhole.io import verification
from .._wormhole.io.container import WormholeHost
from .._wormhole.io.managed import ManagedWormhole
from .._wormhole.shared import Wanted, holdings_of
from .._wormhole.spec import ABSENT, WormholeSpec
from . import issue
from .authority import unpack_authority
from .certificates import REQUESTS
from .connection import open_engine
from .execute import execute
from .wormhole import parse_wormhole

Log = Callable[[str], None]


class Launch:
    """One wormhole of a run.

    Args:
        wanted: the wormhole and its identity.
        engine: a snapshot of the engine that runs it.
        authority: the authority that issues its identity.
        log: called with the output of a container that the task has waited for.
        shows: whether the result has the values that may be secrets.

    Attributes:
        spec, identity: the wormhole and its identity; None if it has no managed one.
    """

    def __init__(
        self, wanted: Wanted, engine: Snapshot, authority: Authority, log: Log, *, shows: bool = False
    ) -> None:
        self.spec, self.identity = wanted
        self.engine = engine
        self._log = log
        self._shows = shows
        self._now = datetime.datetime.now(datetime.timezone.utc)
        verifier = verification.WormholeVerifier(engine, verification.connect_from_inside)
        waiter = verification.WormholeVerifier(engine.live(), verification.connect_from_inside)
        self._wormhole = ManagedWormhole(
            self.spec,
            self.identity,
            engine,
            verifier.verify,
            authority,
            self._now,
            await_health=waiter.await_health,
            look=self._look,
        )
        self._observed: Optional[ManagedState] = None

    def prepare(self) -> Plan[Any]:
        """Observe the wormhole, and return the plan that :meth:`run` carries out.

        Raises:
            WormholeError: something cannot be read, or the change is rejected.
        """
        self._observed = self._wormhole.observe()
        return self._wormhole.plan(self._observed)

    @property
    def holdings(self) -> frozenset[str]:
        """What its container has, and others may have as well; empty before :meth:`prepare`."""
        return frozenset() if self._observed is None else holdings_of(self.spec, self._observed.wormhole)

    def request(self, plan: Plan[Any], *, listener_comes: bool = False) -> str:
        """Return the request for the identity's certificate; "" if the plan issues none.

        Args:
            listener_comes: whether the run creates the listener before it starts the wormhole.

        Raises:
            WormholeError: the change is rejected, or something that it requires is missing.
        """
        requests: dict[str, Any] = {}

        def ask(part: Plan[Any]) -> None:
            try:
                issue.require_signatures(part, _make_request, None)
            except issue.SignaturesNeeded as needed:
                requests.update(needed.requests)

        self._wormhole.require(plan, ask, listener_comes=listener_comes)
        return next(iter(requests.values()), "")

    def run(self, check_mode: bool, certificate: Optional[str]) -> dict[str, Any]:
        """Change and verify the wormhole; return the result of the module wormhole_container.

        Args:
            certificate: the certificate that was signed for :meth:`request`; None if none was.

        Raises:
            WormholeError: see :func:`_glue.execute.execute`.
            SignaturesNeeded: a certificate has to be signed first.
        """
        issued = None if certificate is None or self.identity is None else {self.identity.name: certificate}

        def apply(plan: Plan[Any]) -> None:
            self._wormhole.apply(
                plan, lambda part: issue.require_signatures(part, _make_request, issued), issued or {}
            )

        try:
            return execute(
                check_mode=check_mode,
                subject=f"wormhole {self.spec.name}",
                observe=self._observe,
                plan=self._wormhole.plan,
                apply=apply,
                describe=self._describe,
            )
        finally:
            if self._wormhole.host.ended is not None:
                self._log(self._wormhole.host.ended.output)

    def _look(self, engine: EnginePort, info: Mapping[str, Any], socket_path: str) -> WiringState:
        return self.engine.remember(
            ("wiring", socket_path), lambda: observe_wiring(engine, info, socket_path)
        )

    def _observe(self) -> ManagedState:
        observed, self._observed = self._observed, None
        return observed or self._wormhole.observe()

    def _describe(self, state: ManagedState, plan: Plan[Any]) -> dict[str, Any]:
        spec, host = self.spec, self._wormhole.host
        left, container = self._wormhole.kept(plan), state.wormhole.container
        if spec.state == ABSENT:
            values: dict[str, Any] = {"container": container or {}, "wormhole": {}, "certificate": {}}
        else:
            # Connects from inside the container, if it runs and nothing has to be changed.
            proved = self._wormhole.plan(state).is_empty and host.verify_running(container)
            values = _describe_present(spec, host, state, proved)
            values["certificate"] = _describe_identity(self.identity, state, self._now)
        values["left"] = left
        if spec.state == ABSENT:
            values.update(describe_endings(self._wormhole.endings(plan)))
        shown = values["container"] if self._shows else hide_values(values["container"])
        warnings = [
            *ownership.replacement_warnings(plan.reasons),
            *removal.kept_warnings(left),
            *_wiring_warnings(spec, values),
            *rejections.limit_warnings(spec, state.wormhole),
            *bypass_warnings(spec),
        ]
        return {**values, "container": shown, **({"warnings": warnings} if warnings else {})}


def launch_one(
    params: Mapping[str, Any], signing: Signing, *, check_mode: bool, log: Log = lambda text: None
) -> dict[str, Any]:
    """Bring one wormhole to its desired state.

    Args:
        params: the options of wormhole_container, with defaults.
        signing: certificates are issued by the name of the identity.

    Returns:
        The result of the module, or the request for the identity's certificate.

    Raises:
        WormholeError: it failed.
    """
    wanted = parse_wanted(params)
    authority = signing.unpack([wanted])
    launch = Launch(
        wanted, Snapshot(lambda: open_engine(params)), authority, logger(params, log), shows=shows(params)
    )
    name = "" if launch.identity is None else launch.identity.name
    certificate = None if signing.issued is None else signing.issued.get(name)
    result = issue.with_requests(lambda: launch.run(check_mode, certificate))
    warnings = [*result.get("warnings", ()), *root_warnings(unlimited([launch.spec]))]
    asks = REQUESTS in result
    return {**result, **({"warnings": warnings} if warnings and not asks else {})}


def unlimited(specs: Iterable[WormholeSpec]) -> list[str]:
    """Return the names of wormholes about whose access the tasks say nothing."""
    # Without an image, the existing container keeps its access.
    return [spec.name for spec in specs if spec.wiring.policy is None and spec.state != ABSENT and spec.image]


@dataclass(frozen=True)
class Signing:
    """What a task knows of the authority.

    Attributes:
        authority: its public part, as JSON.
        replaces: whether it replaces another authority that still works.
        issued: signed certificates in PEM form, once they were requested.
    """

    authority: Mapping[str, Any]
    replaces: bool = False
    issued: Optional[Mapping[str, str]] = None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Signing:
        """Return that of a module's parameters."""
        return cls(params["authority"] or {}, params["ca_replace"], params["issued"])

    def unpack(self, wanted: Iterable[Wanted]) -> Authority:
        """Return the authority, if one of these wormholes needs it."""
        if all(identity is None for _spec, identity in wanted):
            return Authority()
        decoding.require()
        return unpack_authority(self.authority, replaces=self.replaces)


def parse_wanted(params: Mapping[str, Any], place: str = "") -> Wanted:
    """Parse the options of a wormhole, which this host completes.

    Args:
        place: which one, for messages.

    Raises:
        WormholeError: an option is malformed, or something that it names cannot be read.
    """
    try:
        complete = host_values.with_host_paths(host_values.with_env_file(params))
        return parse_wormhole(complete, parse_socket_path(params["docker_host"]))
    except WormholeError as error:
        if place:
            error.put_in(place)
        raise


def logger(params: Mapping[str, Any], log: Log) -> Log:
    """Return what to call with the output of a container, as its task wants it."""
    return log if params["output_logs"] else lambda text: None


def shows(params: Mapping[str, Any]) -> bool:
    """Return whether a task wants the values that may be secrets in its result."""
    return bool(params["return_environment"])


def _make_request(action: model.IssueCertificate) -> str:
    return store.make_request(action.spec, keep_key=action.keep_key)


def _describe_present(
    spec: WormholeSpec, host: WormholeHost, state: ManagedState, proved: bool
) -> dict[str, Any]:
    """Return the values of every state but absent."""
    container, ended = state.wormhole.container, host.ended
    wiring_spec = resolve.wiring_spec_of(spec, state.wormhole)
    wiring = host.resolved_wiring(container, resolve.wiring_of(spec, state.wormhole))
    has_identity, access = wiring_spec.transport == TLS, wanted_access(spec, state.wormhole)
    return {
        **({} if ended is None else {"status": ended.status}),
        "container": {**(container or {}), **({} if ended is None else {"Output": ended.output})},
        "wormhole": {
            "transport": wiring_spec.transport,
            "docker_host": wiring.docker_host,
            "address": wiring.address,
            "port": wiring.port,
            "identity": wiring_spec.identity if has_identity or wiring_spec.gated else "",
            "identity_directory": wiring_spec.identity_directory if has_identity else "",
            "proved": proved,
            "policy": "" if access is None else access.preset,
            "policy_mode": "" if access is None else access.mode,
        },
    }


def _describe_identity(
    identity: Optional[CertificateSpec], state: ManagedState, now: datetime.datetime
) -> dict[str, Any]:
    """Return the facts of the identity's certificate; empty if this module does not manage one."""
    if identity is None:
        return {}
    described = describe_certificate(identity, state.identity.certificate, (), now)
    return {key: value for key, value in described.items() if key != "reasons"}


def _wiring_warnings(spec: WormholeSpec, values: Mapping[str, Any]) -> list[str]:
    """Warn of variables that interfere with the container's Docker clients, and of plaintext."""
    if spec.state == ABSENT:
        return []
    wormhole, variables = values["wormhole"], variables_of(values["container"])
    tls = wormhole["transport"] == TLS
    found = interference_warnings(spec.name, variables, wormhole["docker_host"], tls=tls)
    return [*found, *(plaintext_warnings(spec.wiring) if spec.image else [])]
