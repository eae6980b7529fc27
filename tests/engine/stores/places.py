"""Places for journals: in memory, in a file, in a database."""

from __future__ import annotations

from pathlib import Path

from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Durability
from milepost.testing.contract.place import Place
from tests.postgres import Schema


def in_memory() -> Place:
    journals = Journals()
    return Place(lambda: MemoryStore(journals), journals.alive.clear)


def in_file(path: Path, durability: Durability) -> Place:
    def kill() -> None:
        for lock in locks(path):
            lock.unlink()

    return Place(lambda: SqliteStore(path, durability=durability), kill)


def in_schema(schema: Schema, durability: Durability) -> Place:
    def kill() -> None:
        schema.execute("DELETE FROM owners")

    return Place(lambda: PostgresStore(schema.dsn, schema=schema.name, durability=durability), kill)


def locks(path: Path) -> list[Path]:
    """The lock files of the owners of a store."""
    return sorted(path.parent.glob("*.lock"))
