# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring all wormholes of a list to their desired states, in one run.

All are observed and planned before the first one is changed: with one list of containers for each
engine. Then those that go are removed, and the others are changed and verified: side by side, each
change in a process of its own. In both groups, a wormhole that shares something with another one of the
list has its turn afterwards, in the list's order.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence

from .._base.errors import WormholeError
from .._base.io.children import call_side_by_side
from .._base.plan import Plan
from .._certificates.model import IssueCertificate
from .._engine.io.snapshot import Snapshot
from .._wiring.warnings import root_warnings
from .._wormhole.model import PullImage
from .._wormhole.shared import find_companions, find_dependent, reject_contradictions
from .._wormhole.spec import ABSENT
from . import issue
from .certificates import REQUESTS
from .connection import open_engine
from .execute import collect
from .failure import failure_of
from .launch import Launch, Log, Signing, logger, parse_wanted, shows, unlimited

SIDE_BY_SIDE = 8
"""How many wormholes are changed at the same time. Most of the time, they wait for the engine."""


class WormholeList:
    """The wormholes of one task.

    Args:
        wormholes: the options of each, with defaults.
        signing: certificates are issued by the directory of the identity.
        check_mode: whether to change nothing.
        log: called with the output of containers that are waited for.

    Raises:
        WormholeError: an option of a wormhole is malformed, or two contradict each other.
    """

    def __init__(
        self,
        wormholes: Sequence[Mapping[str, Any]],
        signing: Signing,
        *,
        check_mode: bool,
        log: Log = lambda text: None,
    ) -> None:
        self._wormholes = wormholes
        self._check_mode = check_mode
        self._log = log
        self._issued = signing.issued or {}
        self._wanted = [parse_wanted(params, place=str(params["name"])) for params in wormholes]
        reject_contradictions(self._wanted)
        self._authority = signing.unpack(self._wanted)
        engines = _Engines()
        self._launches = [self._launch(number, engines) for number in range(len(wormholes))]
        self._prepared: Optional[list[Any]] = None

    @property
    def is_empty(self) -> bool:
        return not self._wormholes

    @property
    def issues(self) -> bool:
        """Whether the identity of any wormhole has to be issued."""
        planned = (action for plan in self._plans() if plan is not None for action in plan.actions)
        return any(isinstance(action, IssueCertificate) for action in planned)

    def find_needed(self, announced: bool, *, listener_comes: bool = False) -> dict[str, Any]:
        """Return what is needed before the first change; empty if nothing is.

        Args:
            announced: whether the user knows which images will be pulled.
            listener_comes: whether the run creates the listener before it starts the wormholes.

        Returns:
            The requests for certificates by the directory of the identity, and the images to
            announce.
        """
        requests = self._request(listener_comes)
        pulls = [
            action.reference
            for plan in self._plans()
            for action in (() if plan is None else plan.actions)
            if isinstance(action, PullImage)
        ]
        told = {} if announced or not pulls else {"pulls": list(dict.fromkeys(pulls))}
        return {**({REQUESTS: requests} if requests else {}), **told}

    def run(self) -> dict[str, Any]:
        """Bring all wormholes to their desired states; return the result of the module.

        A wormhole that has failed has a result with ``failed``.
        """
        results, plans = list(self._results()), self._plans()
        specs = [launch.spec for launch in self._launches]
        numbers = [number for number, plan in enumerate(plans) if plan is not None]
        leaving = [number for number in numbers if specs[number].state == ABSENT]
        companions = find_companions({number: self._launches[number].holdings for number in leaving})
        dependent = {*find_dependent(specs, plans), *companions}
        # First what goes: it may have a port or an address that another one gets.
        for group in (leaving, [number for number in numbers if number not in leaving]):
            turn = [number for number in group if number not in dependent]
            for number, result in zip(turn, self._run_side_by_side(turn)):
                results[number] = result
            for number in (number for number in group if number in dependent):
                # The previous ones may have changed what it depends on.
                results[number] = self._run(self._launch(number, _Engines()))
        summary = _summarize([launch.spec.name for launch in self._launches], results)
        summary["warnings"] += root_warnings(unlimited(specs))
        return summary

    def _launch(self, number: int, engines: _Engines) -> Launch:
        params = self._wormholes[number]
        wanted, log = self._wanted[number], logger(params, self._log)
        return Launch(wanted, engines.find(params), self._authority, log, shows=shows(params))

    def _results(self) -> list[Any]:
        """Return the plan of each wormhole, or its failure as the result of a module."""
        if self._prepared is None:
            self._prepared = [_attempt(launch.prepare) for launch in self._launches]
        return self._prepared

    def _plans(self) -> list[Optional[Plan[Any]]]:
        return [None if isinstance(result, dict) else result for result in self._results()]

    def _request(self, listener_comes: bool) -> dict[str, str]:
        requests: dict[str, str] = {}
        for launch, plan in zip(self._launches, self._plans()):
            if plan is None or launch.identity is None or launch.identity.directory in requests:
                continue
            # What is missing is reported by the run itself, for this wormhole only.
            with contextlib.suppress(WormholeError):
                request = launch.request(plan, listener_comes=listener_comes)
                if request:
                    requests[launch.identity.directory] = request
        return requests

    def _run_side_by_side(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        if len(numbers) == 1:
            return [self._run(self._launches[numbers[0]])]
        unchanged = {
            number for number, plan in enumerate(self._plans()) if plan is not None and plan.is_empty
        }
        idle = [number for number in numbers if number in unchanged]
        # To start a process takes longer than to verify a wormhole, so those that do not change
        # share one: as many verify at the same time as otherwise.
        shares = [share for first in range(SIDE_BY_SIDE) if (share := idle[first::SIDE_BY_SIDE])]
        groups = [[number] for number in numbers if number not in idle] + shares
        for number in numbers:
            # Here, and not in each child: it closes the previous connections.
            self._launches[number].engine.reconnect()
        functions = [partial(self._run_group, group) for group in groups]
        answers = call_side_by_side(functions, limit=SIDE_BY_SIDE, subject="the process of the wormhole")
        results: dict[int, dict[str, Any]] = {}
        for group, answer in zip(groups, answers):
            failed = isinstance(answer, WormholeError)
            results.update(zip(group, [failure_of(answer)] * len(group) if failed else answer))
        return [results[number] for number in numbers]

    def _run_group(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        return [self._run(self._launches[number]) for number in numbers]

    def _run(self, launch: Launch) -> dict[str, Any]:
        certificate = None if launch.identity is None else self._issued.get(launch.identity.directory)
        launch.engine.reconnect()
        result: dict[str, Any] = _attempt(lambda: launch.run(self._check_mode, certificate))
        return result


def launch_list(
    wormholes: Sequence[Mapping[str, Any]],
    signing: Signing,
    *,
    check_mode: bool,
    announced: bool = False,
    log: Log = lambda text: None,
) -> dict[str, Any]:
    """Bring all wormholes of a list to their desired states.

    Args:
        wormholes, signing, check_mode, log: see :class:`WormholeList`.
        announced: whether the user knows which images will be pulled.

    Returns:
        The result of the module; or, before the first change, what the run needs instead.

    Raises:
        WormholeError: an option of a wormhole is malformed, or two contradict each other. Nothing
            was changed.
    """
    listed = WormholeList(wormholes, signing, check_mode=check_mode, log=log)
    if signing.issued is None:
        needed = collect(check_mode, lambda: listed.find_needed(announced))
        if needed:
            return {"changed": True, **needed}
    return listed.run()


class _Engines:
    """Snapshots of the engines of a list, one for each way to connect."""

    def __init__(self) -> None:
        self._snapshots: dict[tuple[Any, ...], Snapshot] = {}

    def find(self, params: Mapping[str, Any]) -> Snapshot:
        key = tuple(params[name] for name in ("docker_host", "timeout", "removal_wait_timeout"))
        if key not in self._snapshots:
            self._snapshots[key] = Snapshot(lambda: open_engine(params))
        return self._snapshots[key]


def _attempt(function: Callable[[], Any]) -> Any:
    """Call a function; return its result, or the failure as the result of a module."""
    try:
        return function()
    except (WormholeError, OSError) as error:
        return failure_of(error)
    except issue.SignaturesNeeded:
        problem = "its identity has to be issued, but the plan did not include that"
        return failure_of(WormholeError("identity", problem=problem, remedy="Run the task again"))


def _summarize(names: Iterable[str], results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the result of the whole list."""
    found = [
        {"name": name, "failed": False, "changed": False, **result} for name, result in zip(names, results)
    ]
    failed = [item for item in found if item["failed"]]
    summary: dict[str, Any] = {
        "changed": any(item["changed"] for item in found),
        "reasons": [reason for item in found for reason in item.get("reasons", ())],
        "diff": [
            {**item["diff"], "before_header": item["name"], "after_header": item["name"]}
            for item in found
            if item["changed"] and item.get("diff")
        ],
        "warnings": [
            text if item["name"] in text else f"{item['name']}: {text}"
            for item in found
            for text in item.pop("warnings", ())
        ],
        "wormholes": found,
    }
    if failed:
        names_of: dict[str, list[str]] = {}
        for item in failed:
            names_of.setdefault(item["msg"], []).append(item["name"])
        texts = [f"{', '.join(names)}: {text}" for text, names in names_of.items()]
        summary.update(failed=True, msg=f"{len(failed)} of {len(found)} wormholes failed. {' '.join(texts)}")
    return summary
