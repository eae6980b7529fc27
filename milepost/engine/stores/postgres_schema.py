"""The tables of a PostgresStore: looking at what is there, making them, bringing them up to date."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from milepost.engine.errors import ForeignStore, StoreError
from milepost.engine.stores.postgres_connections import Link

VERSION: Final = 2
"""The newest version of the tables; postgres_1.sql and those after it are the steps to it, none of which changes."""

_FOUND: Final = (
    "SELECT to_regnamespace(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL, "
    "EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace(%s))"
)
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('milepost ' || %s, 0))"


async def establish(connection: Link, schema: str, name: str, *, create: bool) -> None:
    """Make the tables of a store unless they are there, and bring them up to date, in one transaction.

    name: of the store, for messages. create: make what is missing. Raises ForeignStore, StoreError, psycopg.Error.
    """
    if await _version_of(connection, schema, name) == VERSION:
        return
    async with connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit TO on")  # commits may be lost, but not their tables
        await connection.execute(_LOCK, (schema,))  # of several who open a new store at once, one makes it
        version = await _version_of(connection, schema, name)
        if not version and not create:
            raise StoreError(f"There is no store {name}. Check the address, or start a run there first.")
        if version is None:
            await connection.execute(b'CREATE SCHEMA "' + schema.encode() + b'"')
        for number in range((version or 0) + 1, VERSION + 1):
            await connection.execute(step(number))
        await connection.execute("DELETE FROM milepost")
        await connection.execute("INSERT INTO milepost VALUES (%s)", (VERSION,))


async def _version_of(connection: Link, schema: str, name: str) -> int | None:
    """Return the version of the tables in a schema, 0 for none, None for no such schema.

    Raises ForeignStore: the tables are of another program, or of a newer Milepost.
    """
    quoted = f'"{schema}"'
    cursor = await connection.execute(_FOUND, (quoted, f"{quoted}.milepost", quoted))
    found = await cursor.fetchone()
    assert found is not None
    is_there, is_store, is_filled = found
    if not is_there:
        return None
    if not is_filled:
        return 0
    if not is_store:
        raise ForeignStore(
            f"There can be no store {name}: the schema has tables of another program. Choose another schema, or let "
            "Milepost make one. Nothing was changed."
        )
    cursor = await connection.execute("SELECT version FROM milepost")
    row = await cursor.fetchone()
    version = 0 if row is None else int(row[0])
    if version > VERSION:
        raise ForeignStore(
            f"The store {name} was written by a newer Milepost (its format is {version}, this one knows {VERSION}). "
            "Upgrade Milepost, or choose another schema. Nothing was changed."
        )
    return version


def step(version: int) -> bytes:
    """Return the statements that make the tables of this version from those of the one before."""
    return files("milepost.engine.stores").joinpath(f"postgres_{version}.sql").read_bytes()
