"""The command line on a terminal of its own: a real one, on which a test reads and writes as a person would."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.conftest import environment

PATIENCE = 30.0
"""Seconds that a test waits for something to be written."""


class TerminalProcess:
    """A process whose stdin, stdout and stderr are one terminal. seen: all that it wrote."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.seen = ""
        self._read_to = 0
        self._own, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "milepost", *words],
            cwd=folder,
            env=environment(folder, TERM="dumb", COLUMNS="120"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def _more(self) -> bool:
        """Read what there is within the patience; False at the end."""
        ready, _, _ = select.select([self._own], [], [], PATIENCE)
        if not ready:
            return False
        try:
            found = os.read(self._own, 65536)
        except OSError:  # the other side is closed
            return False
        self.seen += found.decode().replace("\r\n", "\n")
        return bool(found)

    def expect(self, pattern: str) -> str:
        """Wait until something is written, after all that was waited for before; return what was written up to it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = re.search(pattern, self.seen[self._read_to :])
            if found is not None:
                before = self.seen[self._read_to : self._read_to + found.end()]
                self._read_to += found.end()
                return before
            if not self._more():
                break
        raise AssertionError(f"{pattern!r} was not written. There was: {self.seen}")

    def write(self, line: str) -> None:
        """Write a line."""
        os.write(self._own, f"{line}\n".encode())

    def leave(self) -> None:
        """Press Ctrl-D: nothing more will be written."""
        os.write(self._own, b"\x04")

    def end(self) -> int:
        """Read what is left and return the exit code."""
        while self._more():
            pass
        code = self.process.wait(PATIENCE)
        os.close(self._own)
        return code

    def kill(self) -> None:
        """See that it does not outlive its test."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
