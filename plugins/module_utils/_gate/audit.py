# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One line of the audit log for each call.

Never in it: bodies, values of environment variables, credentials of registries.
"""

from __future__ import annotations

from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as text


@dataclass
class Record:
    """What is logged about a call. It is filled in while the call is served.

    Attributes:
        identity: whose call it is; empty before that is known.
        serial: serial number of the client certificate; empty with a unix socket.
        method, route: what was called; the route's name, never the path.
        object: full ID of the object; empty if there is none.
        decision: ``allow``, ``deny``, ``would_deny`` (in modes that do not enforce), ``error``.
        code: reason code of a refusal, else the power that allowed the call.
        policy: version of the policy.
        mode: mode of the policy.
        decided: microseconds until the decision.
        taken: microseconds until the head of the answer.
        status: of the answer; 0 if there was none.
        detail: sentence of a refusal or an error. It names the client's own values only.
    """

    identity: str = ""
    serial: str = ""
    method: str = ""
    route: str = ""
    object: str = ""
    decision: str = "deny"
    code: str = ""
    policy: str = ""
    mode: str = ""
    decided: int = 0
    taken: int = 0
    status: int = 0
    detail: str = ""


_LONGEST = 300
_TEXTS = ("identity", "serial", "method", "route", "object", "decision", "code", "policy", "mode")


def render_record(record: Record, time: float, lost: int = 0) -> bytes:
    """Renders the line.

    Args:
        record: what to log.
        time: seconds since the epoch.
        lost: records that could not be written before this one.
    """
    texts = {name: text(getattr(record, name)) for name in _TEXTS}
    more = f',"detail":{text(record.detail[:_LONGEST])}' if record.detail else ""
    more += f',"lost":{lost}' if lost else ""
    # json.dumps() takes five times as long. Its function for strings escapes control characters too.
    return (
        f'{{"time":{time:.6f},"identity":{texts["identity"]},"serial":{texts["serial"]},'
        f'"method":{texts["method"]},"route":{texts["route"]},"object":{texts["object"]},'
        f'"decision":{texts["decision"]},"code":{texts["code"]},"policy":{texts["policy"]},'
        f'"mode":{texts["mode"]},"decided_us":{record.decided},"us":{record.taken},'
        f'"status":{record.status}{more}}}\n'
    ).encode("ascii")
