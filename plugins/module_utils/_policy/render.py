# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a call to the only spelling of it that reaches the engine."""

from __future__ import annotations

from typing import Optional, Tuple

from .call import Call
from .parameters import write_query
from .routes import ROUTES
from .text import dump_json, join_target


def render(call: Call) -> Tuple[str, str, Optional[bytes]]:
    """Return the method, the request target and the body of a call.

    The body is None if the route takes a stream, or nothing, or if the call has none. A body is JSON in
    ASCII, to be sent with ``Content-Type: application/json`` and its length.
    """
    route = ROUTES[call.route]
    path = route.path
    for kind, reference in call.names.items():
        path = path.replace("{" + kind + "}", reference)
    version = f"/v{call.version}" if call.version else ""
    target = join_target(version + path, write_query(route, call.query))
    body = None if call.body is None else dump_json(call.body).encode("ascii")
    return route.method, target, body
