# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of labels.

What a rule is: :mod:`_policy.rules`.
"""

from __future__ import annotations

from typing import Dict, Mapping

from .call import Json
from .decision import LABEL_OWNER, Refusal
from .names import GRANTING_LABELS
from .scope import DROP, RuleResult, Scope

COLLECTION = "wormhole."
"""Labels of this collection. No client sets them, whatever the policy says."""


def labels(scope: Scope, value: Json, where: str) -> RuleResult:
    """Check labels, and add the owner's.

    The label of a new image is empty: a container that others create from the image inherits it, and would
    belong to this identity otherwise.
    """
    if not scope.filling:
        return DROP if value is None else value
    found: Dict[str, str] = dict(value or {})
    check_labels(scope, found, where)
    is_image = scope.route.name in ("commit", "build")
    return {**found, LABEL_OWNER: "" if is_image else scope.policy.identity}


def check_labels(scope: Scope, found: Mapping[str, str], where: str) -> None:
    """Check labels of a client.

    Raises:
        Refusal: a tool of the host acts on one of them, or one that is required is missing.
    """
    policy = scope.policy
    for name in found:
        lower = name.lower()
        allowed = any(lower.startswith(prefix.lower()) for prefix in policy.labels.allow)
        granting = any(lower.startswith(prefix) for prefix in GRANTING_LABELS)
        if lower.startswith(COLLECTION) or not (allowed or not (granting or policy.restricted)):
            raise Refusal(
                "label", f"{where} has a label that is not allowed, {_shown(name)}",
                allowed=f"Labels that begin with {', '.join(policy.labels.allow)}" if policy.labels.allow
                else "Labels on which no tool of the host acts",
                setting="labels",
            )  # fmt: skip
    if scope.route.name == "container.create" and where == "Labels":
        for name, text in policy.labels.required.items():
            if found.get(name) != text:
                raise Refusal(
                    "label",
                    f"{where} lacks the label {name}={text}",
                    allowed=f"{name}={text}",
                    setting="labels",
                )


def _shown(name: str) -> str:
    return name if name.isascii() and name.isprintable() and len(name) <= 80 else "with an unusual name"
