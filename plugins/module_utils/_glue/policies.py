# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Report the policies of a host, and the calls that its gate has recorded."""

from __future__ import annotations

from typing import Any, Mapping

from .._base.errors import InvalidInput, MissingRequirement
from .._gate.io import consulting

MOST_DAYS = 31


def describe_policies(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of wormhole_policy_info.

    Raises:
        InvalidInput: an option is malformed, or the identity to explain has no policy.
        MissingRequirement: a call is to be explained, and the gate is not installed.
        EngineUnavailable: the program of the gate does not answer.
    """
    if not 0 < params["days"] <= MOST_DAYS:
        raise InvalidInput("days", expected=f"1 to {MOST_DAYS}", found=str(params["days"]))
    installed = consulting.is_installed()
    result = {"changed": False, "installed": installed}
    question = {"identity": params["identity"] or "", "days": params["days"]}
    if params["explain"] is not None:
        if not installed:
            raise MissingRequirement(
                "explain", problem="The gate is not installed on this host", remedy="Run the role gate first"
            )
        answer = consulting.ask("report", {**question, "explain": params["explain"]})
        return {**result, "explanation": answer["explanation"]}
    identities = consulting.ask("report", question)["identities"] if installed else []
    return {**result, "identities": identities}
