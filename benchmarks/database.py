"""PostgreSQL databases for one measurement each, of a server that keeps what it says it keeps."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType

import psycopg
from psycopg.conninfo import make_conninfo


@dataclass(slots=True)
class Database:
    """A new database, or none. dsn: how to reach it; None when there is none."""

    server: str | None = None
    name: str = ""
    empty: int = 0

    @property
    def dsn(self) -> str | None:
        return None if self.server is None else self.server.replace("/postgres?", f"/{self.name}?")

    def size(self) -> int:
        """Return the bytes of its files."""
        assert self.server is not None
        with psycopg.connect(self.server, autocommit=True) as connection:
            row = connection.execute("SELECT pg_database_size(%s)", (self.name,)).fetchone()
        assert row is not None
        return int(row[0])

    def grown(self) -> int:
        """Return the bytes that were added to it."""
        return 0 if self.server is None else self.size() - self.empty


@dataclass(slots=True)
class Databases:
    """A PostgreSQL server that is started when it is first needed. A context manager: leaving it stops the server."""

    _stack: ExitStack = field(default_factory=ExitStack)
    _server: str | None = None
    _numbers: count[int] = field(default_factory=count)
    version: str | None = None

    def __enter__(self) -> Databases:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> str:
        if self._server is None:
            from tests.postgres import running

            self._server = self._stack.enter_context(running(fsync="on")).dsn
            with psycopg.connect(self._server) as connection:
                self.version = str(connection.info.server_version // 10_000)
        return self._server

    @contextmanager
    def database(self, is_needed: bool) -> Generator[Database]:
        """Make a database, if one is needed, and drop it in the end."""
        if not is_needed:
            yield Database()
            return
        made = Database(self._start(), f"bench_{next(self._numbers)}")
        assert made.server is not None
        with psycopg.connect(make_conninfo(made.server), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{made.name}"'.encode())
            made.empty = made.size()
            try:
                yield made
            finally:
                with suppress(psycopg.OperationalError):  # Ctrl-C stops the server too
                    connection.execute(f'DROP DATABASE "{made.name}" WITH (FORCE)'.encode())
