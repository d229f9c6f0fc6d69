# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set up a whole host in one run: packages, server certificate, gate, listener, wormholes.

The run is made of the same steps as the modules for each of them. It returns early, before it
changes what depends on it, if something has to come from the controller: signatures, the program of
the gate, or the announcement of what takes long.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Union

from .._base.errors import MissingRequirement, Refused, WormholeError
from .._certificates.io import decoding, issuing
from .._engine.io import packages
from .._listener.spec import State
from .certificates import REQUESTS, with_defaults
from .engine import describe_engine
from .execute import collect
from .failure import failure_of
from .gate import REQUIRED, ensure_gate, plan_ahead
from .gateways import describe_gateways
from .host_options import gate_of, server_certificate
from .launch import Log, Signing
from .launch_list import WormholeList
from .listener import ensure_listener
from .tls_certificates import manage_certificates, request_certificates
from .unlisted import with_unlisted
from .wormhole import connection_of

PACKAGES, IMAGES = "packages", "pulls"
"""What is announced before a run installs or pulls it, by the name in the result."""
LIBRARIES = (decoding, issuing)
"""Files that import what may have to be installed, and go on without it."""


class HostRun:
    """One run on one host.

    Args:
        params: options of wormhole_host, with defaults, those of the listener and of each wormhole
            included.
        check_mode: whether to change nothing.
        log: called with the output of containers that are waited for.
    """

    def __init__(self, params: Mapping[str, Any], *, check_mode: bool, log: Log) -> None:
        self._params = params
        self._check_mode = check_mode
        self._log = log
        self._connection = connection_of(params)
        self._signing = Signing.of(params)
        self._sections: list[dict[str, Any]] = []
        options = gate_of(params)
        self._gate = options and {**self._connection, **options}
        self._gateways: Sequence[Mapping[str, str]] = ()

    def run(self) -> dict[str, Any]:
        """Set up the host; return the result of the module, or what the controller has to provide.

        Raises:
            WormholeError: a part was rejected or failed. The message names it.
        """
        needed = self._prepare_engine()
        if needed is not None:
            return needed
        listener = self._params["listener"]
        server = self._server_certificate(listener)
        planned = self._manage(server, check_mode=True)
        gate, lacks_program = self._plan_gate()
        wormholes = self._wormholes()
        gate_changes = gate is not None and gate["changed"]
        if self._signing.issued is None and (planned["reasons"] or wormholes.issues or gate_changes):
            # Nothing is issued or installed unless all of it can be.
            if planned["reasons"]:
                self._manage([*server, *self._params["identities"]], check_mode=True)
            restarts = bool(planned["restart_required"])
            found = collect(self._check_mode, lambda: self._ensure_listener(listener, "planned", restarts))
            if found.get("changed"):
                # What an interrupted run has left is undone.
                self._report("listener", found)
                wormholes = self._wormholes()
        issuing = server if planned["reasons"] else []
        needed = collect(self._check_mode, lambda: self._find_needed(issuing, wormholes, lacks_program))
        if needed:
            so_far = [section for section in self._sections if section["changed"]]
            return {"changed": True, **needed, "done": so_far}
        if planned["reasons"]:
            planned = self._manage(server, check_mode=self._check_mode)
        self._report("certificates", planned)
        if gate is not None:
            self._report("gate", self._ensure_gate() if gate_changes else gate)
        done = self._ensure_listener(listener, "present", bool(planned["restart_required"]))
        self._report("listener", done)
        if not wormholes.is_empty:
            # What they were planned with may have changed.
            changed = planned["changed"] or done["changed"] or gate_changes
            self._report("wormholes", (self._wormholes() if changed else wormholes).run())
        return self._summarize()

    # -- the engine --

    def _prepare_engine(self) -> Optional[dict[str, Any]]:
        """Install what is missing; return what to do before, or None to go on.

        Raises:
            Refused: something prevents the host from being prepared.
            MissingRequirement: packages are missing, and the task installs none.
        """
        found = describe_engine()
        if found["obstacles"]:
            raise Refused(
                "the host", problem=" ".join(found["obstacles"]).rstrip("."), remedy="Nothing was changed"
            )
        missing = found["missing_packages"]
        if missing and not self._params["engine_install"]:
            lacking = ", ".join(missing)
            problem = f"The host lacks {lacking}, which the collection needs"
            raise MissingRequirement(
                lacking, problem=problem, remedy="Install these packages, or set engine_install to true"
            )
        section: dict[str, Any] = {"changed": False, "reasons": []}
        if missing:
            names = [str(name) for name in missing]
            reasons = [
                {"code": "package_missing", "subject": name, "text": f"the package {name} is not installed"}
                for name in missing
            ]
            section = {
                "changed": True,
                "reasons": reasons,
                "diff": {"before": {"packages": []}, "after": {"packages": names}},
            }
            if PACKAGES not in self._params["announced"]:
                told = collect(self._check_mode, lambda: {PACKAGES: names})
                if told:
                    return {"changed": True, **told}
                # In check mode, all further steps need these packages.
                self._report(
                    "engine",
                    {
                        **found,
                        **section,
                        "warnings": [f"check mode ends here: a run would install {', '.join(names)}"],
                    },
                )
                return self._summarize()
            packages.install(names, LIBRARIES)
            found = describe_engine()
        self._report("engine", {**found, **section})
        return None if found["running"] else {**self._summarize(), "engine_stopped": True}

    # -- certificates and listener --

    def _server_certificate(self, listener: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "tls" not in listener["transports"]:
            return []
        self._gateways = describe_gateways(self._connection)["subject_alternative_names"]
        return [server_certificate(listener, self._gateways)]

    def _manage(self, certificates: Sequence[Mapping[str, Any]], *, check_mode: bool) -> dict[str, Any]:
        if not certificates:
            return {"changed": False, "reasons": [], "restart_required": False}
        return manage_certificates(self._options(certificates), check_mode=check_mode)

    def _options(self, certificates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the options of tls_certificates."""
        return {
            "certificates": with_defaults(certificates),
            "state": "present",
            "directories": [],
            **{name: self._params[name] for name in ("authority", "issued", "ca_replace")},
        }

    def _ensure_listener(
        self, listener: Mapping[str, Any], state: State, material_changed: bool
    ) -> dict[str, Any]:
        params = {**self._connection, **listener, "state": state, "material_changed": material_changed}
        return ensure_listener(params, check_mode=self._check_mode)

    # -- the gate --

    def _plan_gate(self) -> tuple[Optional[dict[str, Any]], bool]:
        """Predict the gate; None if the host needs none. Return also whether it lacks the program."""
        return (None, False) if self._gate is None else plan_ahead(self._gate)

    def _ensure_gate(self) -> dict[str, Any]:
        return ensure_gate(self._gate or {}, check_mode=self._check_mode)

    # -- wormholes --

    def _wormholes(self) -> WormholeList:
        params = self._params
        wanted = with_unlisted(params["wormholes"], params["unlisted"], self._connection)
        return WormholeList(wanted, self._signing, check_mode=self._check_mode, log=self._log)

    def _find_needed(
        self, issuing: Sequence[Mapping[str, Any]], wormholes: WormholeList, lacks_program: bool
    ) -> dict[str, Any]:
        """Return what is needed before the first change: the gate's program, requests, and images to announce."""
        program = {REQUIRED: True} if lacks_program else {}
        if self._signing.issued is not None:
            return program
        requests: dict[str, Any] = request_certificates(self._options(issuing)) if issuing else {}
        names = {"gateways": self._gateways} if requests else {}
        told = IMAGES in self._params["announced"]
        # The run ensures the listener before it starts a wormhole.
        needed = wormholes.find_needed(told, listener_comes=True)
        requests.update(needed.pop(REQUESTS, {}))
        return {**program, **({REQUESTS: requests} if requests else {}), **names, **needed}

    # -- the result --

    def fail(self, error: Union[WormholeError, OSError]) -> dict[str, Any]:
        """Return a failure with the parts that were changed before it, if there are any.

        Raises:
            WormholeError, OSError: nothing was changed, or the changes were only predicted.
        """
        if self._check_mode or not any(section["changed"] for section in self._sections):
            raise error
        return {**self._summarize(), **failure_of(error)}

    def _report(self, name: str, result: Mapping[str, Any]) -> None:
        self._sections.append({"section": name, **result})

    def _summarize(self) -> dict[str, Any]:
        sections = self._sections
        diffs: list[Mapping[str, Any]] = []
        for section in sections:
            found = section.get("diff") or []
            for diff in found if isinstance(found, list) else [found] if section["changed"] else []:
                header = f"{section['section']} {diff.get('before_header', '')}".strip()
                diffs.append({**diff, "before_header": header, "after_header": header})
        failed = [section for section in sections if section.get("failed")]
        return {
            "changed": any(section["changed"] for section in sections),
            "reasons": [reason for section in sections for reason in section.get("reasons", ())],
            "diff": diffs,
            "warnings": [text for section in sections for text in section.pop("warnings", ())],
            "sections": sections,
            **({"failed": True, "msg": " ".join(section["msg"] for section in failed)} if failed else {}),
        }


def set_up_host(params: Mapping[str, Any], *, check_mode: bool, log: Log) -> dict[str, Any]:
    """Set up a host; see :class:`HostRun`."""
    run = HostRun(params, check_mode=check_mode, log=log)
    try:
        return run.run()
    except (WormholeError, OSError) as error:
        return run.fail(error)
