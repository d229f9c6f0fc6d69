# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A terminal for a program, as a person uses it: keys, a screen, and a resizable window."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from types import TracebackType

PATIENCE = 30.0
"""Default timeout in seconds."""


class Terminal:
    """Runs a program on a pseudo-terminal. The program is terminated after the ``with`` block.

    Args:
        argv: the program and its arguments.
        rows: lines of the window.
        columns: characters of a line.
    """

    def __init__(self, argv: Sequence[str], rows: int = 24, columns: int = 80) -> None:
        self._keys, far_end = os.openpty()
        self._screen = ""
        self.resize(rows, columns)
        # Make it the controlling terminal of its program, so that keys can interrupt it and it is
        # notified of resizes.
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *argv], stdin=far_end, stdout=far_end, stderr=far_end
        )
        os.close(far_end)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._keys)

    def resize(self, rows: int, columns: int) -> None:
        """Make the window larger or smaller."""
        fcntl.ioctl(self._keys, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Press keys; ``\\r`` is the return key, ``\\x03`` is Ctrl-C."""
        os.write(self._keys, keys.encode())

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until a pattern is on the screen, after the previous match.

        Raises:
            AssertionError: it does not come, or the program ends without it.
        """
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self._screen, re.MULTILINE)):
            assert self._read(deadline), f"{pattern!r} is not on the screen: {self._screen!r}"
        self._screen = self._screen[found.end() :]
        return found

    def wait(self) -> int:
        """Wait for the end of the program and return its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self._process.wait(PATIENCE)

    def _read(self, deadline: float) -> bool:
        """Read output; False if the program has closed the terminal, or after the deadline."""
        ready = select.select([self._keys], [], [], max(0.0, deadline - time.monotonic()))[0]
        text = b""
        with contextlib.suppress(OSError):  # EIO: the program has closed the terminal
            text = os.read(self._keys, 65536) if ready else b""
        self._screen += text.decode(errors="replace")
        return bool(text)
