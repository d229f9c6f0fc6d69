# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of the fields of a container's isolation as they are recorded.

What a function is: :mod:`_policy.generalised`.
"""

from __future__ import annotations

import re
from typing import Callable, Dict

from .call import Json
from .decision import CONTAINER
from .naming import OTHER, Naming, word
from .rules_limits import OTHER_ULIMITS
from .rules_security import (
    DEFAULT_MASKS,
    LOG_OPTIONS,
    NO_NEW_PRIVILEGES,
    SAFE_PROFILES,
    capability,
    is_other_user,
)

Generalised = Callable[[Naming, Json], Json]

_PROFILES = ("seccomp", "apparmor", "label", "systempaths", "credentialspec", "writable-cgroups")


def user(_naming: Naming, value: Json) -> Json:
    return "1" if is_other_user(value) else "0"


def capabilities(_naming: Naming, value: Json) -> Json:
    return sorted({word(capability(name)) for name in value})


def dropped_capabilities(_naming: Naming, value: Json) -> Json:
    return ["ALL"] if "ALL" in map(capability, value) else None


def security_options(_naming: Naming, value: Json) -> Json:
    """Profiles can be whole documents: only their kind is kept."""
    kept = []
    for text in value:
        option = text.replace(":", "=", 1) if "=" not in text else text
        kind, _mark, setting = option.partition("=")
        if option in (NO_NEW_PRIVILEGES, f"{NO_NEW_PRIVILEGES}=true"):
            continue
        known = option in SAFE_PROFILES or (kind in _PROFILES and setting in ("unconfined", "disable"))
        kept.append(option if known else f"{kind if kind in _PROFILES else OTHER}={OTHER}")
    return sorted(set(kept)) or None


def masks(name: str) -> Generalised:
    def read(_naming: Naming, value: Json) -> Json:
        # An empty list is set, and lacks what engines hide.
        return None if set(DEFAULT_MASKS[name][0]) <= set(value) else []

    return read


def namespace(naming: Naming, value: Json) -> Json:
    kind, mark, reference = value.partition(":")
    if kind == "container" and mark:
        return f"container:{naming.refer(CONTAINER, reference)}"
    return value if value in ("host", "none", "shareable", "private") else OTHER


def groups(_naming: Naming, value: Json) -> Json:
    return ["1" if all(re.match(r"[0-9]{1,10}\Z", text) for text in value) else OTHER]


def sysctls(_naming: Naming, value: Json) -> Json:
    return {word(name): "" for name in sorted(value)}


def log_config(_naming: Naming, value: Json) -> Json:
    options = {name if name in LOG_OPTIONS else OTHER: "" for name in sorted(value.get("Config", {}))}
    return {"Type": word(value.get("Type", "")) if value.get("Type") else "", "Config": options}


def device_requests(_naming: Naming, value: Json) -> Json:
    rows = []
    for row in value:
        driver, gpu = row.get("Driver", ""), any("gpu" in words for words in row.get("Capabilities", []))
        kept: Dict[str, Json] = {"Driver": word(driver) if driver else ""}
        if driver == "cdi":
            kept["DeviceIDs"] = [
                text if re.match(r"[\w./=-]{1,100}\Z", text) else OTHER for text in row.get("DeviceIDs", [])
            ]
        elif gpu and not driver:
            kept["Capabilities"] = [["gpu"]]
        if row.get("Options"):
            kept["Options"] = {OTHER: ""}
        rows.append(kept)
    return rows


def restart_policy(_naming: Naming, value: Json) -> Json:
    name, count = value.get("Name", ""), value.get("MaximumRetryCount", 0)
    return {"Name": word(name) if name else "", "MaximumRetryCount": count} if name or count else None


def ulimits(_naming: Naming, value: Json) -> Json:
    names = sorted({str(row.get("Name", "")).lower() for row in value} & set(OTHER_ULIMITS))
    return [{"Name": name} for name in names] or None
