"""The heartbeat of a PostgresStore: renews its lease while the event loop is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

_TRY_AGAIN_AFTER: Final = 0.5


class Heartbeat:
    """A thread that does one thing every now and then, on a connection of its own.

    connect: makes the connection. beat: what is done. pause: seconds between two beats.
    It ends with the event loop that it was made on, whose runs nobody drives then.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], Connection[TupleRow]],
        beat: Callable[[Connection[TupleRow]], None],
        pause: float,
    ) -> None:
        self._connect = connect
        self._beat = beat
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._connection: Connection[TupleRow] | None = None
        self._is_ended = Event()
        self._thread = Thread(target=self._serve, name="milepost-postgres-heartbeat", daemon=True)
        self._thread.start()

    async def stop(self, patience: float) -> None:
        """End the thread. patience: seconds to wait for it; it may be waiting for the server."""
        self._is_ended.set()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, patience)

    def _serve(self) -> None:
        pause = self._pause
        while not self._is_ended.wait(pause) and not self._loop.is_closed():
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self._beat(self._connection)
                pause = self._pause
            except Exception:  # it is not told: if it lasts, the next commit meets it
                self._disconnect()
                pause = min(self._pause, _TRY_AGAIN_AFTER)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None
