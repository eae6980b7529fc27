"""Which store a URL names."""

from __future__ import annotations

from pathlib import Path

import pytest

from milepost.engine.errors import InputError
from milepost.engine.stores.address import open_store
from milepost.engine.stores.memory import MemoryStore
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
