# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the bytes of a request to a call."""

from __future__ import annotations

import base64
import functools
import re
from typing import Optional, Union

from .call import JSON, STREAM, Call, Head, Json
from .decision import Deny, Refusal
from .matching import match_route, split_version
from .parameters import read_query
from .routes import ROUTES
from .shapes import BODY
from .text import load_json, malformed, split_query, split_target

_JSON_TYPE = re.compile(r'application/json(?:\s*;\s*charset\s*=\s*"?utf-8"?)?\s*\Z', re.IGNORECASE)
_EMPTY_BODIES = (b"", b"{}", b"null")
"""Bodies of clients that have nothing to say."""
HEADER_LIMIT = 64 << 10
_SHORT = 200  # characters of a target whose meaning is remembered


def route_of(method: str, target: str) -> Union[Head, Deny]:
    """Return what a request line says.

    Args:
        method: the method, in upper case as the client sent it.
        target: the request target, in origin form: ``/v1.45/containers/json?all=1``.

    The result is remembered for short targets, which clients repeat. Do not change its mappings.
    """
    return _remembered(method, target) if len(target) <= _SHORT else _route_of(method, target)


def _route_of(method: str, target: str) -> Union[Head, Deny]:
    try:
        path, query = split_target(target)
        version, path = split_version(path)
        route, names = match_route(method, path)
        values = read_query(route, split_query(query))
    except Refusal as refusal:
        return refusal.deny
    return Head(route.name, version, names, values, route.body, route.limit, route.answer, route.headers)


_remembered = functools.lru_cache(maxsize=512)(_route_of)


def parse(head: Head, content_type: str, body: Optional[bytes]) -> Union[Call, Deny]:
    """Return the call of a head and its body.

    Args:
        head: from :func:`route_of`.
        content_type: the header of this name; empty if the client sent none.
        body: the whole body of up to ``head.body_limit`` bytes (more is an error of the caller, who
            refuses with 413 itself); None for a stream.
    """
    try:
        document = _read_body(head, content_type, body)
    except Refusal as refusal:
        return refusal.deny
    return Call(head.route, head.version, head.names, head.query, document)


def _read_body(head: Head, content_type: str, body: Optional[bytes]) -> Json:
    if head.body == STREAM:
        return None
    text = (body or b"").strip()
    if len(text) > head.body_limit:
        raise Refusal("too_large", f"The body exceeds {head.body_limit} bytes", status=413)
    if head.body != JSON:
        if text not in _EMPTY_BODIES and not _repeats_query(head, text):
            raise malformed("This route takes no body")
        return None
    if text in (b"", b"null"):
        return None
    if not _JSON_TYPE.match(content_type.strip()):
        raise Refusal(
            "content_type", "The body is not declared as JSON",
            allowed="Send Content-Type: application/json", status=400,
        )  # fmt: skip
    shape = ROUTES[head.route].document
    return shape.read(load_json(text, BODY), BODY) if shape else None


def _repeats_query(head: Head, text: bytes) -> bool:
    """Whether a body holds the parameters once more, as dockerode sends it. It is not forwarded."""
    names = {row.name for row in ROUTES[head.route].parameters}
    document = load_json(text, BODY)
    return isinstance(document, dict) and set(document) <= names


def parse_header(name: str, value: str) -> Union[str, Deny]:
    """Return the value to forward of one of ``Head.headers``.

    Args:
        name: the header, in lower case.
        value: its value, as sent.
    """
    try:
        return _read_header(name, value)
    except Refusal as refusal:
        return refusal.deny


def _read_header(name: str, value: str) -> str:
    if len(value) > HEADER_LIMIT or not re.match(r"[ -~]*\Z", value):
        raise malformed(f"The header {name} is too long or not ASCII")
    if name.startswith("x-registry-"):
        # Base64 of JSON. Engines take the URL's alphabet with padding; clients differ, so it is written anew.
        text = value.strip().rstrip("=").replace("+", "-").replace("/", "_")
        try:
            decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise malformed(f"The header {name} is not base64") from None
        return base64.urlsafe_b64encode(decoded).decode("ascii")
    return value.strip()
