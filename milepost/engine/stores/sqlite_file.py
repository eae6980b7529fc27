"""The file of a SqliteStore: looking at it without changing it, making it, connecting to it, saying what went wrong."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from milepost.engine.errors import ForeignStore, MilepostError, StoreError
from milepost.engine.stores.store import Durability as Durability

APPLICATION_ID: Final = 0x4D494C45
VERSION: Final = 5
"""The newest version of the schema; sqlite_1.sql and those after it are the steps to it, none of which ever changes."""
PATIENCE: Final = 30.0
"""Seconds to wait for a lock: SQLite hands it out in no order, so that one of several writers may wait for seconds."""

_SMALLEST: Final = 512  # bytes of a database that is not empty; SQLite itself takes a file of one byte for an empty one
LOG_PAGES: Final = 1000
"""Pages of a log, as few as SQLite's own: one that is written over costs a power-safe commit less than one that grows,
and moving it into the database takes a quarter of the time that 4,000 take."""

_SYNCHRONOUS: Final[dict[Durability, str]] = {"power": "FULL", "process": "NORMAL", "none": "OFF"}
_IDENTITY: Final = (  # in one statement, that is at one moment: another process may be making the tables
    "SELECT application_id, user_version, EXISTS (SELECT 1 FROM sqlite_master) "
    "FROM pragma_application_id, pragma_user_version"
)
_REASONS: Final = {
    sqlite3.SQLITE_BUSY: f"another process kept it locked for more than {PATIENCE:.0f} seconds",
    sqlite3.SQLITE_READONLY: "it can only be read; check the permissions of the file and of its folder",
    sqlite3.SQLITE_FULL: "the disk is full; free some space and resume",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the permissions of the file and of its folder",
    sqlite3.SQLITE_PERM: "access is not allowed; check the permissions of the file and of its folder",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup, or save what is left with 'sqlite3 FILE .recover'",
    sqlite3.SQLITE_NOTADB: "the file is damaged: it does not begin like a SQLite database",
}


ERRORS: Final = (sqlite3.Error, UnicodeError)
"""What SQLite raises; the second, where what it complains of is damaged so much that it cannot be said."""
FAILURES: Final = (*ERRORS, OverflowError, MemoryError, OSError)
"""What comes of a statement on a file and on values that nobody has looked at."""


def primary_code(error: BaseException) -> int:
    """Return the SQLite result code of an error without its details, 0 for none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Whether another connection holds the lock that was needed."""
    return primary_code(error) == sqlite3.SQLITE_BUSY


def failure(path: Path, verb: str, error: BaseException) -> StoreError:
    """Return what to raise for an error of the database. verb: what could not be done, e.g. "read"."""
    reason = _REASONS.get(primary_code(error)) or str(error) or type(error).__name__
    found = StoreError(f"The store {path} could not be {verb}: {reason.rstrip('.')}.")
    found.__cause__ = error
    return found


def connect(path: Path, durability: Durability, *, patience: float = PATIENCE) -> sqlite3.Connection:
    """Connect to an existing file; transactions are begun and committed by hand. patience: seconds to wait for a lock.

    Raises sqlite3.Error.
    """
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=patience, isolation_level=None)
    try:
        connection.execute(f"PRAGMA synchronous={_SYNCHRONOUS[durability]}")
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        if durability == "power":
            connection.execute("PRAGMA fullfsync=ON")  # on macOS a plain fsync stops at the drive's cache
    except BaseException:
        connection.close()
        raise
    return connection


def set_patience(connection: sqlite3.Connection, seconds: float) -> None:
    """Change how long a connection waits for a lock."""
    connection.execute(f"PRAGMA busy_timeout={seconds * 1000:.0f}")


def prepare(path: Path, *, create: bool) -> None:
    """Make sure that there is a file that can be, or become, a store. A file that is there already is not changed.

    Raises ForeignStore: it belongs to another program or to a newer version. StoreError: anything else.
    """
    try:
        if path.is_dir():
            raise StoreError(f"{path} is a folder. Name a file in it, e.g. {path / 'runs.db'}.")
        if path.is_file():
            _inspect(path)
        elif path.exists():
            raise ForeignStore(f"{path} is not a regular file, so it is no store.")
        elif not create:
            raise StoreError(f"There is no store at {path}. Check the path, or start a run there first.")
        else:
            _make(path)
    except OSError as error:
        raise StoreError(f"There can be no store at {path}: {error.strerror}. Choose another place.") from error


def _make(path: Path) -> None:
    """Make an empty file that only its owner can read: SQLite gives its other files the permissions of this one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # somebody else makes the same store just now
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.fchmod(made, 0o600)  # whatever the umask has left of it
        finally:
            os.close(made)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # what is committed later must not be lost with the name of its file
        finally:
            os.close(folder)


def _inspect(path: Path) -> None:
    """Look at a file without writing to it, nor beside it.

    SQLite must do the looking: closing a file of our own would drop the locks of this process's other connections to
    it. "immutable" leaves no files behind but is blind to a log of newer pages, so with a log it is plain "ro".
    """
    if 0 < path.stat().st_size < _SMALLEST:
        raise ForeignStore(f"{path} is not a SQLite database, so it is no store. It was not changed.")
    log = Path(f"{path}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=PATIENCE)) as connection:
            version_of(path, connection)
    except ERRORS as error:
        if primary_code(error) == sqlite3.SQLITE_NOTADB:
            raise ForeignStore(f"{path} is not a SQLite database, so it is no store. It was not changed.") from error
        raise failure(path, "opened", error) from error


def version_of(path: Path, connection: sqlite3.Connection) -> int:
    """Return the version of a store's schema, 0 for an empty database, which can become a store.

    Raises ForeignStore: it is anything else, or newer than this Milepost.
    """
    program, version, is_filled = connection.execute(_IDENTITY).fetchone()
    if program == APPLICATION_ID and version > VERSION:
        raise ForeignStore(
            f"{path} was written by a newer Milepost (its format is {version}, this one knows {VERSION}). "
            "Upgrade Milepost, or choose another file. It was not changed."
        )
    if program not in (0, APPLICATION_ID) or (is_filled and (program != APPLICATION_ID or version < 1)):
        raise ForeignStore(f"{path} is a database of another program. Choose another file. It was not changed.")
    return int(version) if is_filled else 0


def establish(path: Path, durability: Durability) -> sqlite3.Connection | None:
    """Connect, and bring the tables up to date. Returns None when another process is in the way: try again."""
    connection: sqlite3.Connection | None = None
    try:
        connection = connect(path, durability, patience=0.0)
        connection.execute("PRAGMA journal_mode=WAL")
        while _advance(path, connection) < VERSION:
            pass
        set_patience(connection, PATIENCE)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if is_busy(error):
            return None
        if isinstance(error, ERRORS):
            raise failure(path, "opened", error) from error
        raise
    return connection


def _advance(path: Path, connection: sqlite3.Connection) -> int:
    """Bring the schema one version further, in one transaction, unless it is up to date. Returns its version then."""
    connection.execute("BEGIN")  # not IMMEDIATE: the step then counts as busy if anybody has written since the look
    version = version_of(path, connection)
    if version < VERSION:
        version += 1
        for statement in step(version):
            connection.execute(statement)
    connection.execute("COMMIT")
    return version


def step(version: int) -> list[str]:
    """Return the statements that make a schema of this version from the one before, or from an empty database."""
    from importlib.resources import files  # needed once in the life of a file

    text = files("milepost.engine.stores").joinpath(f"sqlite_{version}.sql").read_text("utf-8")
    statements = re.sub(r"--.*", "", text).split(";")
    return [
        *(statement for statement in statements if statement.strip()),
        f"PRAGMA application_id={APPLICATION_ID}",
        f"PRAGMA user_version={version}",
    ]


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo the transaction that is open, if any. A failure to do so is not told: another one led here."""
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Commit what is done inside, or nothing of it; inside another transaction, with that one."""
    if connection.in_transaction:
        with _part(connection):
            yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        roll_back(connection)


@contextmanager
def _part(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("SAVEPOINT part")
    try:
        yield
    except MilepostError:  # after any other the whole transaction is undone
        connection.execute("ROLLBACK TO part")
        raise
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE part")
