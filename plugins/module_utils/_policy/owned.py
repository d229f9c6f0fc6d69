# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owner of what a call creates that is forwarded although the policy refuses it.

In the modes ``learn`` and ``warn``, the gate forwards such a call. What it creates still gets the label of its
owner. Otherwise each later call to it would be one to an object of others, and be recorded as such.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from .call import Call
from .decision import LABEL_OWNER
from .text import dump_json

CREATING = ("container.create", "network.create", "volume.create")
"""Routes of which new objects have labels. Images have no owner."""


def with_owner(identity: str, call: Call) -> Call:
    """Return a call with the label of the owner, if it creates something."""
    if call.route not in CREATING or not isinstance(call.body, dict):
        return call
    labels = {**(call.body.get("Labels") or {}), LABEL_OWNER: identity}
    return replace(call, body={**call.body, "Labels": labels})


def body_with_owner(identity: str, call: Call) -> Optional[bytes]:
    """Return the body of a call with the label of the owner; None if the call creates nothing."""
    labelled = with_owner(identity, call)
    return None if labelled is call else dump_json(labelled.body).encode("ascii")
