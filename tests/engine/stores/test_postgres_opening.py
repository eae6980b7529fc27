"""What a PostgresStore opens, what it refuses, and that what it refuses is left as it was."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from milepost.engine.errors import ForeignStore, StoreError
from milepost.engine.stores.address import open_store
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.postgres_schema import VERSION, step
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import append, begin, entry, new_run
from tests.loops import asyncio_only
from tests.postgres import Schema

pytestmark = [pytest.mark.anyio, asyncio_only]


def tables(schema: Schema) -> list[tuple[object, ...]]:
    """Everything that a schema declares."""
    return schema.execute(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema = %s ORDER BY table_name, ordinal_position",
        schema.name,
    )


async def refusal(schema: Schema, *, create: bool = True) -> str:
    """What is said when opening is refused, with nothing changed."""
    before = tables(schema)
    store = PostgresStore(schema.dsn, schema=schema.name, create=create)
    with pytest.raises(StoreError) as caught:
        await store.open()
    await store.close()
    assert tables(schema) == before
    return f"{type(caught.value).__name__}: {caught.value}"


async def test_a_schema_with_tables_of_another_program_is_no_store(schema: Schema) -> None:
    schema.execute(f'CREATE SCHEMA "{schema.name}"')
    schema.execute("CREATE TABLE runs (a integer)")
    said = await refusal(schema)
    assert said.startswith(f"ForeignStore: There can be no store in schema '{schema.name}' of database ")
    assert "the schema has tables of another program. Choose another schema, or let Milepost make one." in said


async def test_a_store_of_a_newer_milepost_is_refused(schema: Schema) -> None:
    async with opened(PostgresStore(schema.dsn, schema=schema.name)) as store:
        await begin(store)
    schema.execute("UPDATE milepost SET version = %s", VERSION + 1)
    said = await refusal(schema)
    assert f"was written by a newer Milepost (its format is {VERSION + 1}, this one knows {VERSION})" in said
    assert said.startswith("ForeignStore: ")


@pytest.mark.parametrize("empty", [False, True])
async def test_a_store_that_is_not_there_is_not_made_unless_it_may_be(schema: Schema, empty: bool) -> None:
    if empty:
        schema.execute(f'CREATE SCHEMA "{schema.name}"')
    said = await refusal(schema, create=False)
    assert said.startswith(f"StoreError: There is no store in schema '{schema.name}' of database ")
    assert said.endswith("Check the address, or start a run there first.")


async def test_an_empty_schema_becomes_a_store(schema: Schema) -> None:
    schema.execute(f'CREATE SCHEMA "{schema.name}"')
    async with opened(PostgresStore(schema.dsn, schema=schema.name)) as store:
        await begin(store)
    async with opened(PostgresStore(schema.dsn, schema=schema.name, create=False)) as store:
        assert len(await store.rows()) == 1


async def test_a_store_of_version_1_is_brought_up_to_date(schema: Schema) -> None:
    schema.execute(f'CREATE SCHEMA "{schema.name}"')
    schema.execute(step(1).decode())
    schema.execute("INSERT INTO milepost VALUES (1)")
    schema.execute("INSERT INTO definitions VALUES ('f1', '{}')")
    schema.execute(
        "INSERT INTO runs (run_id, workflow, version, fingerprint, status, isolation, created, updated, seq, hash, "
        "snapshot_seq, epoch, owned_since, takeovers, creating, inside, forked_at) "
        "VALUES ('old', 'claims', 3, 'f1', 'running', 'task', 1000, 1000, 1, 'h', 0, 1, 0, 0, 'c', 0, 0)"
    )
    schema.execute("INSERT INTO records SELECT number, 1, 1, '{}', '[]', 'h', 1000, NULL FROM runs")
    async with opened(PostgresStore(schema.dsn, schema=schema.name)) as store:
        (row,) = await store.rows()
        assert (row.run_id, row.tags, row.due) == ("old", (), None)
        assert [each.run_id for each in await store.ready(0.0, ["claims"], limit=9)] == ["old"]
        await store.acquire("old")
        await append(store, entry("old", 2, epoch=2, status="waiting", due=7.5))
        assert [each.due for each in await store.rows(status="waiting")] == [7.5]
        await store.create(new_run("new", tags=("a",)), entry("new", 1))
        assert [each.run_id for each in await store.rows(tag="a")] == ["new"]
    assert schema.execute("SELECT version FROM milepost") == [(VERSION,)]
    brought = tables(schema)
    schema.execute(f'DROP SCHEMA "{schema.name}" CASCADE')
    async with opened(PostgresStore(schema.dsn, schema=schema.name)):
        assert tables(schema) == brought


async def test_a_step_that_fails_leaves_nothing_behind(schema: Schema) -> None:
    schema.execute(f'CREATE SCHEMA "{schema.name}"')
    schema.execute("CREATE TYPE owners AS ENUM ('x')")  # no table, but in the way of one
    schema.execute("DELETE FROM pg_class WHERE false")
    with pytest.raises(StoreError, match=r"could not be opened: "):
        await PostgresStore(schema.dsn, schema=schema.name).open()
    assert tables(schema) == []
    schema.execute("DROP TYPE owners")
    async with opened(PostgresStore(schema.dsn, schema=schema.name)) as store:
        await begin(store)


async def test_a_database_that_cannot_hold_every_character_is_refused(schema: Schema) -> None:
    name = f"db_{schema.name}"
    schema.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(StoreError, match=r"the database has another encoding than UTF8\. Make one with CREATE"):
            await PostgresStore(make_conninfo(schema.dsn, dbname=name)).open()
    finally:
        schema.execute(f"DROP DATABASE {name}")


async def test_a_user_who_may_not_make_a_schema_is_told(schema: Schema) -> None:
    user = f"user_{schema.name}"
    schema.execute(f"CREATE USER {user}")
    try:
        with pytest.raises(StoreError, match="could not be opened: access is not allowed; check what the database"):
            await PostgresStore(make_conninfo(schema.dsn, user=user), schema=schema.name).open()
    finally:
        schema.execute(f"DROP USER {user}")


async def test_an_address_names_a_store_with_all_its_options(schema: Schema) -> None:
    given = conninfo_to_dict(schema.dsn)
    address = f"postgresql://{given['user']}@/{given['dbname']}?host={given['host']}&application_name=mine"
    store = open_store(f"{address}&schema={schema.name}&durability=process")
    assert isinstance(store, PostgresStore)
    assert (store.schema, store.durability) == (schema.name, "process")
    async with opened(store):
        await begin(store)
        found = schema.execute("SELECT DISTINCT application_name FROM pg_stat_activity WHERE application_name = 'mine'")
        assert found == [("mine",)]
    schema.execute("ALTER TABLE milepost RENAME TO another")
    with pytest.raises(ForeignStore):
        await open_store(f"{address}&schema={schema.name}", create=False).open()
