"""The store that a command line names."""

from __future__ import annotations

from pathlib import Path

import pytest

from milepost.cli.stores import DEFAULT_STORE, file_of, is_there, prepare, require, with_durability
from milepost.engine.errors import InputError, StoreError, UnknownRun


def test_durability_becomes_a_part_of_the_address() -> None:
    assert with_durability("sqlite:////tmp/a b.db", "process") == "sqlite:////tmp/a b.db?durability=process"
    assert with_durability("sqlite:///runs.db?durability=power", "power") == "sqlite:///runs.db?durability=power"
    assert with_durability("sqlite:///runs.db", None) == "sqlite:///runs.db"
    server = "postgresql://ann:a%20b@host/runs"
    assert with_durability(server, "process") == f"{server}?durability=process"
    assert with_durability(f"{server}?host=/a%20b", "power") == f"{server}?host=/a%20b&durability=power"


def test_a_durability_that_contradicts_the_address_is_refused() -> None:
    with pytest.raises(InputError, match="contradict each other"):
        with_durability("sqlite:///runs.db?durability=power", "process")
    with pytest.raises(InputError, match="contradict each other") as caught:
        with_durability("postgresql://ann:s3cret@host/runs?durability=power", "process")
    assert "s3cret" not in str(caught.value)


def test_a_store_that_is_not_a_file_is_always_there() -> None:
    assert file_of("memory://") is None
    assert is_there("memory://")
    require("memory://")


def test_looking_for_a_run_where_there_is_no_store_makes_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    with pytest.raises(UnknownRun, match="no store at"):
        require(url, "run-1")
    with pytest.raises(StoreError, match="There is no store at"):
        require(url)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_the_default_store_is_made_and_kept_out_of_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(DEFAULT_STORE)
    prepare(DEFAULT_STORE)
    assert (tmp_path / ".milepost" / ".gitignore").read_text() == "*\n"


def test_the_folder_of_any_other_store_is_not_made(tmp_path: Path) -> None:
    prepare(f"sqlite:///{tmp_path}/far/runs.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_default_folder_should_be_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".milepost").write_text("")
    with pytest.raises(
        StoreError, match=r"The folder '.milepost' cannot be made: .*\. Name another store with --store\."
    ):
        prepare(DEFAULT_STORE)
