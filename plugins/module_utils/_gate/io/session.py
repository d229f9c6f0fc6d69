# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client's connection: one call after the other, until one side ends it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Union

from .. import limits as bounds
from ..head import Malformed
from ..identities import Peer
from .engine import EngineDown
from .exchange import Exchange, Parts, Refused
from .forwarding import Forwarding
from .wire import Ended, TooSlow, Wire


class Session:
    """One connection.

    Args:
        parts: the gate.
        wire: the connection.
        peer: who it is.

    Attributes:
        draining: whether the connection ends after one more call.
        used: whether it has ever been permitted a call. Each call is checked, so a connection that has
            not been need not be ended: its client gets to read why it has no access.
        peer: see above.
    """

    def __init__(self, parts: Parts, wire: Wire, peer: Peer) -> None:
        self.draining = self.used = False
        self.peer = peer
        self._parts, self._wire = parts, wire
        self._busy = self._ending = False

    def serve(self) -> None:
        """Serves all calls. Closes the connection."""
        try:
            # Ends only after an answer that says so: another call can be on its way.
            while self._serve_one():
                pass
            # With TLS, only this tells an end from a connection that was cut.
            self._wire.half_close()
        except (Ended, TooSlow):
            pass
        finally:
            self._wire.close()

    def drain(self) -> None:
        """Has the connection end after the present or the next call, whose answer says so."""
        self.draining = True

    def end_if_idle(self) -> None:
        """Ends the connection unless a call is being served. From another thread."""
        self.draining = self._ending = True
        if not self._busy:
            self._wire.shut()

    def cut(self) -> None:
        """Ends the connection at once, streams too. From another thread."""
        self.draining = True
        self._wire.shut()

    def _serve_one(self) -> bool:
        limits = self._parts.limits
        head = self._wire.read_head(bounds.HEAD_BYTES, limits.idle_seconds, limits.head_seconds)
        self._busy = True
        try:
            if self._ending:
                # end_if_idle() may have ended the connection already. The call is not carried out.
                raise Ended
            with ExitStack() as held:
                exchange = Exchange(self._parts, self._wire, self, held)
                return self._carry_out(exchange, head)
        finally:
            self._busy = False

    def _carry_out(self, exchange: Exchange, head: Union[bytes, Malformed]) -> bool:
        try:
            decided = exchange.read(head)
            self.used = True
            return Forwarding(self._parts, self._wire, exchange, decided).run()
        except Refused as refused:
            return exchange.refuse(refused.status, refused.code, refused.sentence)
        except EngineDown as error:
            exchange.refuse(error.status, "engine", error.sentence, decision="error")
        except (Ended, TooSlow) as error:
            if not exchange.logged:
                exchange.record.decision, exchange.record.code = "error", type(error).__name__.lower()
                exchange.log(0)
            raise
        except Exception as error:
            # A defect of the gate. The client's call ends; what it may have seen is not guessed.
            if exchange.logged:
                raise Ended from error
            exchange.refuse(500, "defect", f"The gate has a defect: {type(error).__name__}.", "error")
        return False
