# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A call of the Engine API, as parsed values.

The program that serves a policy works in this order::

    head = parse.route_of(method, target)             # from the request line alone
    call = parse.parse(head, content_type, body)      # the body as head.body says
    answer = decide.decide(policy, call, facts)       # Ask: query the engine, decide again
    method, target, body = render.render(answer.call) # what the engine gets
    treat.treat(answer.treatment, status, content)    # what the client gets

Each step may return a :class:`_policy.decision.Deny` instead. No byte of the client's request line or
JSON is copied: the request to the engine is rendered from these values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, Mapping, Tuple, Union

Json = Any
"""What :mod:`json` returns, without floats: None, bool, int, str, list, dict."""

BodyKind = Literal["none", "json", "stream"]
"""What a request holds after its head.

- ``none``: nothing. Some clients send ``{}`` or ``null``; pass up to :attr:`Head.body_limit` bytes to
  ``parse``, which rejects everything else.
- ``json``: at most :attr:`Head.body_limit` bytes, read whole and passed to ``parse``. May be empty.
- ``stream``: bytes of any length (a tar archive), passed on without being looked at, with framing of
  the program's own, after the decision. ``parse`` gets None.
"""
NONE: Final = "none"
JSON: Final = "json"
STREAM: Final = "stream"

AnswerKind = Literal["whole", "stream", "hijack"]
"""How the engine answers.

- ``whole``: one document, which the program may read into memory if the treatment says so.
- ``stream``: logs, stats, events, progress or an archive; passed on as it comes (by lines if it is
  treated).
- ``hijack``: after the engine's head (101, or 200 without a length), the connection is a plain copy
  in both directions, each of which may be closed alone.
"""
WHOLE: Final = "whole"
HIJACK: Final = "hijack"

Value = Union[str, int, bool, Tuple[str, ...], Mapping[str, Tuple[str, ...]], Json]
"""A parsed query parameter: text, number, boolean, repeated text, filters (values by name), or JSON."""


@dataclass(frozen=True)
class Head:
    """What the request line says, parsed.

    Attributes:
        route: name of the route, a key of ``routes.ROUTES``, such as ``container.start``.
        version: version of the API without its ``v``, such as ``1.45``; empty if the path has none.
        names: the references in the path by the name of their place: ``{"container": "db"}``.
        query: parameters that the request has, by name.
        body, body_limit: what the request holds after its head, and at most how many bytes of it
            may be read into memory.
        answer: how the engine answers if it accepts the call.
        headers: the only headers of the client to forward, in lower case (such as
            ``x-registry-auth``). Check each with ``parse.parse_header``.
    """

    route: str
    version: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Value] = field(default_factory=dict)
    body: BodyKind = NONE
    body_limit: int = 0
    answer: AnswerKind = WHOLE
    headers: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """One call, complete but for streams.

    Attributes:
        route, version, names, query: as in :class:`Head`.
        body: the JSON document with the engine's own spelling of each key and without nulls; None
            if there is none.
    """

    route: str
    version: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Value] = field(default_factory=dict)
    body: Json = None
