"""Which store a URL names."""

from __future__ import annotations

from pathlib import Path

import pytest

from milepost.engine.errors import InputError
from milepost.engine.stores.address import open_store, without_password
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.sqlite import SqliteStore


@pytest.mark.parametrize("url", ["memory://", "memory:"])
def test_a_store_in_this_process_has_an_address(url: str) -> None:
    assert isinstance(open_store(url), MemoryStore)


def test_the_address_of_a_file_says_where_it_is_and_what_a_commit_survives(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/runs.db?durability=process")
    assert isinstance(store, SqliteStore)
    assert (store.path, store.durability) == (tmp_path / "runs.db", "process")


def test_a_database_that_is_no_file_has_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"':memory:' would be a file of that name\. .* or the URL memory://"):
        open_store("sqlite:///:memory:")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["", "runs.db", "sqlite://", "sqlite:///", "sqlite:///a?durability=much", "sqlite:///a?mode=ro", "redis://a"]
)
def test_anything_else_names_no_store(url: str) -> None:
    with pytest.raises(InputError, match=r"does not name a store\. Write e\.g\. sqlite:///runs\.db, .* or memory://\."):
        open_store(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@host/runs?durability=much",
        "postgres://ann:s3cret@host/runs?durability=much&password=s3cret",
        "mysql://ann:s3cret@host/runs",
        "postgresq://ann:s3cret@host/runs?password=s3cret",
    ],
)
def test_an_address_that_is_refused_is_shown_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="does not name a store") as caught:
        open_store(url)
    assert "s3cret" not in str(caught.value)
    assert "ann:…@host" in without_password(url)


def test_the_address_of_a_server_says_what_a_commit_survives_and_where_the_tables_are() -> None:
    store = open_store("postgresql://ann:a%20b@host/runs?sslmode=require&durability=process&schema=mine")
    assert isinstance(store, PostgresStore)
    assert (store.durability, store.schema) == ("process", "mine")
    assert repr(store) == "<PostgresStore in schema 'mine' of database 'runs' on host>"
    plain = open_store("postgres://host/runs")
    assert isinstance(plain, PostgresStore)
    assert (plain.durability, plain.schema) == ("power", "milepost")
