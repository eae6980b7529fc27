"""What is known of a PostgresStore before it is opened: its address, what it needs, and its tables."""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
import threading
import warnings

import anyio
import pytest

from milepost.engine.errors import InputError, StoreError
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.postgres_rows import COLUMNS, NAMES
from milepost.engine.stores.postgres_schema import VERSION, step
from milepost.engine.stores.store import RunRow
from milepost.testing.contract.writing import begin
from tests.postgres import Schema


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://ann:s3/cret@host/runs",
        "postgresql://ann:s3@cret@host/runs",
        "postgresql://ann:12/s3cret@host/runs",
        "postgresql://ann:s3%zzcret@host/runs",
        "postgresql://ann:s3cret@[host/runs",
        "host=a password=s3 cret",
        "password='s3cret",
        "s3cret",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_the_password(dsn: str) -> None:
    with pytest.raises(
        InputError, match=r"The address of the PostgreSQL database cannot be read\. Write e\.g\."
    ) as caught:
        PostgresStore(dsn)
    assert not re.search("s3|cret", str(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("schema", ["", "Runs", "a b", 'a"; DROP TABLE x', "1a", "pg_x", "a" * 64])
def test_a_schema_that_would_need_quotes_is_refused(schema: str) -> None:
    with pytest.raises(InputError, match="cannot name the schema of a store"):
        PostgresStore("postgresql://host/runs", schema=schema)


def test_a_store_says_what_it_needs_where_psycopg_is_missing() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from milepost import PostgresStore, StoreError, open_store\n"
        "for make in (PostgresStore, open_store):\n"
        "    try: make('postgresql://host/runs')\n"
        "    except StoreError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (
        done.stdout.splitlines()
        == ["A store in PostgreSQL needs psycopg. Install it: pip install 'milepost[postgres]'"] * 2
    )


def test_a_store_says_that_it_needs_asyncio() -> None:
    store = PostgresStore("postgresql://host/runs")
    with pytest.raises(StoreError, match=r"The store .* runs on asyncio only, as psycopg does\. Run your program with"):
        anyio.run(store.open, backend="trio")


def test_an_event_loop_that_ends_early_leaves_the_leases_to_run_out(schema: Schema) -> None:
    store = PostgresStore(schema.dsn, schema=schema.name, ttl=0.03)

    async def leave() -> None:
        await store.open()
        await begin(store)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # its connections were never closed
        asyncio.run(leave())
        (thread,) = [each for each in threading.enumerate() if each.name == "milepost-postgres-heartbeat"]
        thread.join(10)
        assert not thread.is_alive()
        vars(store).clear()
        gc.collect()


def test_the_columns_of_a_row_are_those_that_stores_speak_of() -> None:
    assert set(NAMES) == set(RunRow.__dataclass_fields__)
    assert ", ".join(NAMES) == COLUMNS


def test_the_steps_to_the_newest_version_are_shipped() -> None:
    for version in range(1, VERSION + 1):
        assert step(version).startswith(f"-- Version {version} of a Milepost store in PostgreSQL".encode())


def test_what_psycopg_warns_of_is_not_on_stderr_where_nobody_has_set_up_logging() -> None:
    warn = "import logging; logging.getLogger('psycopg').warning('query cancellation interrupted')"
    alone = subprocess.run([sys.executable, "-c", warn], capture_output=True, text=True, check=True)
    program = f"from milepost import PostgresStore; PostgresStore('postgresql://localhost/x'); {warn}"
    beside = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (alone.stderr, beside.stderr) == ("query cancellation interrupted\n", "")
