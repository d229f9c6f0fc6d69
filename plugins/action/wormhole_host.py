# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of wormhole_host that runs on the controller."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import authority as store
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.signing import (
    Order,
    sign_requests,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import parse_certificates
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import Authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue import certificates, wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._glue import host_options as host
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import pack_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority_options import (
    authority_arguments,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.ensure_authority import (
    CREATION_ARGUMENTS,
    ensure_authority,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.gate import REQUIRED
from ansible_collections.wormhole.docker.plugins.plugin_utils import gate_program
from ansible_collections.wormhole.docker.plugins.plugin_utils.policies import check_policy
from ansible_collections.wormhole.docker.plugins.plugin_utils.reading import naming
from ansible_collections.wormhole.docker.plugins.plugin_utils.signing import host_name, passed_on
from ansible_collections.wormhole.docker.plugins.plugin_utils.wormholes import WormholeAction

LONG = {"packages": ("installing", "package"), "pulls": ("pulling", "image")}
"""What is announced before it begins, by its name in the answer."""


@dataclass
class _Run:
    """What a task has done so far.

    Attributes:
        authority: the result of certificate_authority; empty without one.
        is_ensured: whether the authority was created or checked, and not only planned.
        material: the authority on the controller; None without one.
        done: sections that the host has changed before its last answer.
    """

    authority: dict[str, Any]
    is_ensured: bool = False
    material: Optional[store.Material] = None
    done: list[dict[str, Any]] = field(default_factory=list)


class ActionModule(WormholeAction):
    """Runs the module of the same name on the host, until it needs nothing more."""

    MODULE = "wormhole.docker.wormhole_host"
    ARGUMENTS = host.HOST_ARGUMENTS
    INTERNAL = ("announced", "identities", host.GATE_PROGRAM, host.GATE_CONTENT)

    def host_arguments(self, options: dict[str, Any]) -> dict[str, Any]:
        arguments = super().host_arguments(options)
        arguments.pop("certificate_authority", None)
        return arguments

    def _manage(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        options = self.validate(certificates.SIGNING_CONSTRAINTS)
        listener = host.validate_part("listener", host.LISTENER_ARGUMENTS, options["listener"])
        gate = host.validate_part("gate", host.GATE_ARGUMENTS, options["gate"])
        identities = wormhole.parse_list(
            options["wormholes"],
            wormhole.connection_of(options),
            lambda access: check_policy(access, by_gate=listener["served_by"] == host.GATE),
        )
        arguments = self.host_arguments(options)
        arguments["identities"] = [listed for listed, _spec in identities.values()]
        if host.needs_gate(gate, listener, options["wormholes"]):
            arguments[host.GATE_PROGRAM] = gate_program.hash_of_program()
        elsewhere = options["authority"] is not None
        run = _Run({})
        if elsewhere:
            arguments.update(passed_on(options, task_vars))
        else:
            run.authority = self._ensure_authority(options, check_mode=True)
            offer, run.material = self._offer(options, may_be_missing=bool(run.authority))
            arguments["authority"] = pack_authority(offer, host_name(task_vars))
        try:
            answer = self._exchange(run, options, arguments, listener, identities, task_vars)
        except WormholeError as error:
            # A part of the controller has failed. What was done before is in the result all the same.
            answer = {"failed": True, "msg": str(error), "error": error.as_dict()}
        if run.material is not None:
            self.see(run.material, answer, task_vars)
        if certificates.REQUESTS not in answer:
            self._conclude(run, options, answer)
        for section in answer.get("sections", ()):
            self.show_wormholes(section.get("wormholes", ()), task_vars)
        return answer

    def _exchange(
        self,
        run: _Run,
        options: dict[str, Any],
        arguments: dict[str, Any],
        listener: Mapping[str, Any],
        identities: Mapping[str, Any],
        task_vars: dict[str, Any],
    ) -> dict[str, Any]:
        """Run the module until it needs nothing more; return its last answer."""
        # With signatures, this task goes on with what another one has announced.
        announced = list(LONG) if "issued" in arguments else []
        while True:
            answer = self._run_module({**arguments, "announced": list(announced)}, task_vars)
            run.done += answer.pop("done", ())
            gateways = answer.pop("gateways", ())
            found = {name: answer.pop(name, None) for name in LONG}
            told = {name: names for name, names in found.items() if names and name not in announced}
            for name, names in told.items():
                self.announce(*LONG[name], names, task_vars)
            announced += told
            asked = answer.pop(REQUIRED, False) and host.GATE_PROGRAM in arguments
            # Like for signatures, a host asks once.
            lacking = asked and host.GATE_CONTENT not in arguments
            if lacking:
                arguments[host.GATE_CONTENT] = gate_program.packed_program()
            requests = answer.pop(certificates.REQUESTS, None)
            # A host asks once.
            if requests and "issued" not in arguments:
                with naming(self, task_vars):
                    known = _find_certificates(listener, identities, gateways)
                self.check_requests(requests, known, task_vars)
                wanted = [known[name] for name in requests]
                if options["authority"] is not None:
                    pending = {certificates.REQUESTS: requests, "certificates": wanted}
                    self._add([], run.done, pending)
                    return {**pending, "changed": True}
                run.authority, run.is_ensured = self._ensure_authority(options, check_mode=False), True
                offer, run.material = self._offer(options)
                arguments["authority"] = pack_authority(offer, host_name(task_vars))
                now = datetime.datetime.now(datetime.timezone.utc)
                specs = parse_certificates(certificates.with_defaults(wanted))
                order = Order(run.material, now, host_name(task_vars))
                with naming(self, task_vars):
                    arguments["issued"] = sign_requests(specs, requests, order)
                announced = list(LONG)
            elif not told and not lacking:
                return answer

    def _conclude(self, run: _Run, options: Mapping[str, Any], answer: dict[str, Any]) -> None:
        """Add to the last answer what the controller and earlier answers have changed."""
        if not run.is_ensured:
            # So far, the authority was only planned. It stays so if the rest of the plan does.
            stopped = "error" in answer or "sections" not in answer or answer.get("engine_stopped")
            run.authority = {} if stopped else self._create_authority(run.authority, options, answer)
        parts = [{"section": "authority", **run.authority}] if run.authority else []
        if "sections" in answer or any(part["changed"] for part in (*parts, *run.done)):
            self._add(parts, run.done, answer)
        if "error" in answer:
            _name_changes(answer)

    def _ensure_authority(self, options: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
        """Create or check the authority; return the result of certificate_authority."""
        if options["certificate_authority"] is None:
            return {}
        named = {name: options[f"ca_{name}"] for name in authority_arguments("")}
        created = host.validate_part(
            "certificate_authority", CREATION_ARGUMENTS, options["certificate_authority"]
        )
        return ensure_authority({**named, **created}, check_mode=check_mode or bool(self._task.check_mode))

    def _create_authority(
        self, planned: dict[str, Any], options: Mapping[str, Any], answer: dict[str, Any]
    ) -> dict[str, Any]:
        """Create the authority for a host that needed no signature. A failure is put into its answer."""
        if not planned.get("changed"):
            return planned
        try:
            return self._ensure_authority(options, check_mode=False)
        except WormholeError as error:
            answer.update(failed=True, msg=str(error), error=error.as_dict())
            return {}

    def _offer(
        self, options: dict[str, Any], *, may_be_missing: bool = False
    ) -> tuple[Authority, store.Material]:
        place, material = self.load_authority(options)
        now = datetime.datetime.now(datetime.timezone.utc)
        missing = may_be_missing or bool(self._task.check_mode)
        return store.offer_authority(place, material, now, may_be_missing=missing), material

    def _add(
        self, controller: list[dict[str, Any]], done: list[dict[str, Any]], answer: dict[str, Any]
    ) -> None:
        """Add the sections of the controller, and of the host's earlier answers, to the last one."""
        for name in ("reasons", "diff", "sections"):
            # A host that has failed before its first change has none.
            answer.setdefault(name, [])
        added = [*controller, *done]
        for section in reversed(added):
            answer["warnings"] = [*section.pop("warnings", ()), *answer.get("warnings", ())]
            if section["changed"]:
                answer["changed"] = True
                answer["reasons"] = [*section["reasons"], *answer["reasons"]]
                headers = dict.fromkeys(("before_header", "after_header"), section["section"])
                answer["diff"] = [{**section["diff"], **headers}, *answer["diff"]]
        if not answer.get("warnings"):
            answer.pop("warnings", None)
        # A part that an earlier answer has changed has nothing to do in the last one.
        names = {section["section"] for section in added}
        last = [s for s in answer["sections"] if s["changed"] or s["section"] not in names]
        answer["sections"] = [*added, *last]


def _find_certificates(
    listener: Mapping[str, Any], identities: Mapping[str, Any], gateways: Any
) -> dict[str, dict[str, Any]]:
    """Return the certificates that the task issues, by name.

    Only the gateways are taken from the host's answer.

    Raises:
        Refused: a name of a gateway is neither local nor one of the listener's options.
    """
    found = {name: listed for name, (listed, _spec) in identities.items()}
    if "tls" in listener["transports"]:
        found[host.SERVER] = host.server_certificate(listener, gateways)
    return found


def _name_changes(answer: dict[str, Any]) -> None:
    """Name the changed parts in the message of a failure."""
    changed = [section["section"] for section in answer.get("sections", ()) if section["changed"]]
    if changed:
        said = answer["msg"].replace("Nothing was changed", "Nothing else was changed").rstrip(".")
        answer["msg"] = f"{said}. Before that, the task changed: {', '.join(changed)}"
