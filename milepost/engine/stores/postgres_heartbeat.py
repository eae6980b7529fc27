"""The heartbeat of a PostgresStore: renews its lease while the event loop is busy."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from threading import Thread
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

from milepost.engine.stores.postgres_connections import in_time

_TRY_AGAIN_AFTER: Final = 0.5
_SHORTEST_PATIENCE: Final = 5.0
"""Seconds that the server has for an answer at least, however short the pauses are."""


class Heartbeat:
    """A thread that does one thing every now and then, on a connection of its own, which it has all the time.

    connect: makes the connection. beat: what is done. pause: seconds between two beats. A connection that is cut
    meanwhile is made again at once: by it others see that this process lives.
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
        self._end, self._ended = socket.socketpair()
        self._thread = Thread(target=self._serve, name="milepost-postgres-heartbeat", daemon=True)
        self._thread.start()

    async def stop(self, patience: float) -> None:
        """End the thread. patience: seconds to wait for it; it may be waiting for the server."""
        self._end.close()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, patience)

    def _serve(self) -> None:
        with suppress(Exception):  # the first beat tries again
            self._connection = self._connect()
        pause = self._pause
        with self._ended, self._end:
            while not self._rest(pause) and not self._loop.is_closed():
                pause = self._pause if self._beats() else min(self._pause, _TRY_AGAIN_AFTER)
        self._disconnect()

    def _rest(self, seconds: float) -> bool:
        """Wait for so long, or until the connection is cut. Returns whether the thread is to end."""
        with DefaultSelector() as selector:
            selector.register(self._ended, EVENT_READ, True)
            if self._connection is not None:
                selector.register(self._connection, EVENT_READ, False)
            return any(key.data for key, _ in selector.select(seconds))

    def _beats(self) -> bool:
        """Beat, on a new connection if the one that there was is not good any more. Returns whether it did."""
        for is_old in (True, False) if self._connection is not None else (False,):
            try:
                if self._connection is None:
                    self._connection = self._connect()
                with in_time(self._connection, max(self._pause, _SHORTEST_PATIENCE)):
                    self._beat(self._connection)
            except Exception:  # it is not told: if it lasts, the next commit meets it
                self._disconnect()
                if not is_old:
                    return False
            else:
                return True
        return False

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None
