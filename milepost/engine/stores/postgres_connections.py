"""Connections to the database of a PostgresStore: made, lent out, used again, and what goes wrong with them."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import Timer
from time import monotonic
from typing import Final, TypeVar

import anyio
import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import DeadlockDetected, SerializationFailure
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from milepost.engine.errors import InputError, StoreError
from milepost.engine.stores import postgres_text
from milepost.engine.stores.postgres_presence import ENTER
from milepost.engine.stores.store import Durability

T = TypeVar("T")
Link = AsyncConnection[TupleRow]

# psycopg warns of a query that is cancelled twice, as anyio cancels until all is left. The connection is closed then,
# which is right, and no news for whoever has set up no logging: without a handler it would be on their stderr.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

LEAST_SERVER: Final = 140_000
"""The oldest version of the server that is used, as it counts them."""

_DEFAULTS: Final = {  # of libpq; what the address says comes first
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "application_name": "milepost",
}
_SETTINGS: Final = (
    f"SELECT current_setting('server_encoding'), {ENTER}, "
    "set_config('search_path', %s, false), "
    "set_config('default_transaction_isolation', 'read committed', false), "
    "set_config('synchronous_commit', CASE WHEN %s THEN 'off' WHEN current_setting('synchronous_commit') = 'off' "
    "THEN 'on' ELSE current_setting('synchronous_commit') END, false)"
)
_REASONS: Final = {
    "25006": "it can only be read; connect to the primary server",
    "42501": "access is not allowed; check what the database grants to this user",
    "53100": "the disk of the server is full; free some space and resume",
    "53300": "the server has no connection left; raise its max_connections, or let this store use fewer",
}
_GOING_DOWN: Final = ("57P01", "57P02", "57P03")
_FIRST_PATIENCE: Final = 10.0
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_MOST_CHARACTERS: Final = 400


def is_lost(error: BaseException) -> bool:
    """Whether the server or the way to it went away, so that nobody knows what became of what was asked of it."""
    if isinstance(error, TimeoutError):
        return True
    code = getattr(error, "sqlstate", None)
    return isinstance(error, psycopg.OperationalError) and (
        code is None or code.startswith("08") or code in _GOING_DOWN
    )


def is_passing(error: BaseException) -> bool:
    """Whether the same may go well in a moment: the server was away, or it has undone what was in another's way."""
    return is_lost(error) or isinstance(error, SerializationFailure | DeadlockDetected)


def longer(pause: float) -> float:
    """Return the seconds to wait before a next try, after one that came after a pause of so many."""
    return min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE)


def hang_up(connection: Link | Connection[TupleRow]) -> None:
    """Cut the line of a connection: whoever waits for an answer on it is told at once, whatever the server does."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


@contextmanager
def in_time(connection: Connection[TupleRow], seconds: float) -> Generator[None]:
    """Hang up on a server that does not answer in time; for a thread, which nobody else can wake."""
    timer = Timer(seconds, hang_up, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _is_mangled(given: Mapping[str, str]) -> bool:
    """Whether a part of what was meant to be the password was taken for something else."""
    hosts, ports = given.get("host", "").split(","), given.get("port", "").split(",")
    return (
        any("@" in host[1:] and not host.startswith("/") for host in hosts)
        or not all(port.isdecimal() for port in ports if port)
        or "@" in given.get("dbname", "")
    )


class Connections:
    """The connections of one open store.

    dsn: the address, a URL or what libpq calls a connection string. schema: where the tables are. owner: the store that
    they belong to. most: connections that are lent out at once. patience: seconds for which the server may be away.
    name: the database as messages call it, without the password.
    Raises InputError: the address cannot be read.
    """

    def __init__(
        self, dsn: str, *, schema: str, owner: str, durability: Durability, most: int, patience: float
    ) -> None:
        try:
            given = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
        except psycopg.Error:
            given = None
        if given is None or _is_mangled(given):  # what libpq says about it may quote a part of the password
            raise InputError(
                "The address of the PostgreSQL database cannot be read. Write e.g. "
                "postgresql://user:password@host:5432/name, with any / @ : ? # or % of the password in percent code, "
                "e.g. %40 for @."
            )
        self.patience = patience
        self._password = given.get("password")
        self._conninfo = make_conninfo(**(_DEFAULTS | given))
        self._settings = (owner, f'"{schema}"', durability != "power")
        self._idle: list[Link] = []
        self._is_ended = False
        self._room = anyio.Semaphore(most)
        where = f" on {given['host']}" if "host" in given else ""
        self.name = f"in schema {schema!r} of database {given.get('dbname', given.get('user', 'default'))!r}{where}"

    async def connect(self) -> Link:
        """Connect; every statement is a transaction of its own, unless one is begun. Raises psycopg.Error."""
        connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        postgres_text.register(connection.adapters)
        try:
            cursor = await connection.execute(_SETTINGS, self._settings)
            self._check(connection, await cursor.fetchone())
        except BaseException:
            await connection.close()
            raise
        return connection

    def connect_blocking(self) -> Connection[TupleRow]:
        """Connect, for a thread. Raises psycopg.Error."""
        connection = Connection.connect(self._conninfo, autocommit=True)
        postgres_text.register(connection.adapters)
        try:
            with in_time(connection, _FIRST_PATIENCE):
                found = connection.execute(_SETTINGS, self._settings).fetchone()
            self._check(connection, found)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: Link | Connection[TupleRow], found: TupleRow | None) -> None:
        """Raise StoreError unless the server can hold a store."""
        version = connection.info.server_version
        if version < LEAST_SERVER:
            raise StoreError(
                f"The server of the store {self.name} is PostgreSQL {version // 10_000}; Milepost needs "
                f"{LEAST_SERVER // 10_000} or newer."
            )
        if found is None or found[0] != "UTF8":
            raise StoreError(
                f"There can be no store {self.name}: the database has another encoding than UTF8. Make one with "
                "CREATE DATABASE milepost ENCODING 'UTF8' TEMPLATE template0."
            )

    async def use(
        self,
        verb: str,
        job: Callable[[Link], Awaitable[T]],
        *,
        shield: bool = False,
        patience: float | None = None,
        once: bool = False,
    ) -> T:
        """Do a job on a connection, and again on another one when the server was away meanwhile.

        verb: what could not be done, when it cannot, e.g. "read". shield: whether a job that was begun is not to be
        cancelled, because its outcome would be unknown. patience: another one than the store's. once: without another
        try, when nobody has met the server yet.
        Raises StoreError.
        """
        patience = self.patience if patience is None else patience
        until, pause = monotonic() + patience, 0.0
        while True:
            try:
                with anyio.fail_after(max(patience, _FIRST_PATIENCE) if once else patience, shield=shield):
                    async with self._lent() as connection:
                        return await job(connection)
            except (psycopg.Error, TimeoutError, UnicodeError) as error:
                if is_lost(error):
                    await self.close()  # the idle ones, which are no better
                pause = longer(pause)
                if once or not is_passing(error) or monotonic() + pause > until:
                    raise self.failure(verb, error) from error
            await anyio.sleep(pause)

    @asynccontextmanager
    async def _lent(self) -> AsyncGenerator[Link]:
        async with self._room:
            connection = self._idle.pop() if self._idle else await self.connect()
            try:
                yield connection
            finally:
                if connection.info.transaction_status == TransactionStatus.IDLE and not self._is_ended:
                    self._idle.append(connection)
                else:
                    await connection.close()

    async def end(self) -> None:
        """Close all of them: those that somebody uses, as soon as they are given back."""
        self._is_ended = True
        await self.close()

    async def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            await self._idle.pop().close()

    def failure(self, verb: str, error: BaseException) -> StoreError:
        """Return what to raise for an error of the database."""
        found = StoreError(f"The store {self.name} could not be {verb}: {self._reason(error)}.")
        found.__cause__ = error
        return found

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError):
            return f"the server did not answer for {self.patience:g} seconds"
        words = _REASONS.get(getattr(error, "sqlstate", None) or "")
        if words is None and isinstance(error, psycopg.Error):
            words = error.diag.message_primary or str(error)
        first, *_ = (words or str(error) or type(error).__name__).splitlines()  # what follows are hints
        words = first.strip(" .")[:_MOST_CHARACTERS]
        return words.replace(self._password, "…") if self._password else words
