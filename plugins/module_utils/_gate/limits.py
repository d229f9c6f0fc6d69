# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bounds of the gate.

Every wait, buffer and count of the gate has a bound here. The configuration can change those that
depend on the host (see config.py).
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES = 16384
"""Bytes of a request's head. The largest known one has an X-Registry-Config of some kilobytes."""
HEADER_COUNT = 64
ENGINE_HEAD_BYTES = 65536
"""Bytes of the head of an answer. That of HEAD /containers/ID/archive holds a JSON text."""
SIZE_LINE_BYTES = 10
"""Bytes of a line with the size of a chunk: eight digits and the end of the line."""
READ_BYTES = 262144
"""Bytes of one read from a socket: the most that a stream keeps in memory in each direction."""


@dataclass(frozen=True)
class Limits:
    """Bounds that the configuration can change.

    Attributes:
        body_bytes: bytes of a JSON body, from a client.
        answer_bytes: bytes of an answer of the engine that the gate reads as a whole.
        event_bytes: bytes of one line of a filtered stream.
        connections: open connections of one identity.
        handshakes: TLS handshakes of one address at the same time.
        head_seconds: from the first byte of a head to its last, and for a TLS handshake.
        idle_seconds: a kept connection without a call.
        body_seconds: between two reads of a body, and for a client that does not read.
        lookup_seconds: each wait for the engine while the gate decides.
        answer_seconds: from a call to the head of its answer, unless the call waits by design; and an
            upload in which nothing moves.
        lookups: questions to the engine for one call.
        stream_seconds: a stream in which nothing moves.
        drain_seconds: running calls get this long to end when the gate stops.
        kept_engine: idle connections to the engine.
    """

    body_bytes: int = 1 << 20
    answer_bytes: int = 64 << 20
    event_bytes: int = 1 << 20
    connections: int = 64
    handshakes: int = 16
    head_seconds: int = 10
    idle_seconds: int = 300
    body_seconds: int = 120
    lookup_seconds: int = 10
    answer_seconds: int = 3600
    lookups: int = 64
    stream_seconds: int = 86400
    drain_seconds: int = 20
    kept_engine: int = 32
