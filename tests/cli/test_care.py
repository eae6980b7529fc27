"""`milepost verify`, `gc`, `export`, `import` and `rotate`."""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from milepost.cli.ages import seconds_of
from milepost.engine.errors import InputError
from milepost.engine.stores.sqlite import SqliteStore
from tests.cli.conftest import ORDER, Call

STORE = "sqlite:///runs.db"
IN_STORE = ("--store", STORE)
KEY, OTHER = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))


@pytest.fixture(autouse=True)
def without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILEPOST_KEY", raising=False)


@pytest.fixture
def filled(call: Call) -> Call:
    """The command line, with two runs in the store."""
    for run_id in ("first", "second"):
        assert call("run", "flows.py:workflow", "--input", ORDER, "--run-id", run_id, *IN_STORE).code == 0
    return call


def damage(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "runs.db", isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount == 1


def test_a_sound_store_is_verified(filled: Call) -> None:
    answer = filled("verify", *IN_STORE)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.startswith("2 runs with ")
    assert answer.err.endswith("checkpoints: nothing is damaged.\n")
    assert filled("verify", "first", *IN_STORE).err.startswith("1 run with ")
    assert filled("verify", "--json", *IN_STORE).document == {"schema_version": 1, "sound": True, "findings": []}


def test_damage_is_named_and_ends_with_7(filled: Call, folder: Path) -> None:
    damage(folder, "UPDATE records SET content=replace(content, 'apples', 'apricots') WHERE place=(1 << 32 | 1)")
    answer = filled("verify", *IN_STORE)
    assert answer.code == 7
    assert answer.out == "Checkpoint 1 of run 'first': its contents do not match its hash.\n"
    assert answer.err == "1 thing is not as written.\n"
    answer = filled("verify", "first", "--json", *IN_STORE)
    assert answer.code == 7
    (finding,) = answer.document["findings"]
    assert (finding["run_id"], finding["checkpoint"]) == ("first", 1)
    assert filled("verify", "second", *IN_STORE).code == 0


def test_a_damaged_row_is_told_by_listing_and_by_verifying(filled: Call, folder: Path) -> None:
    damage(folder, "UPDATE runs SET workflow='odders' WHERE run_id='first'")
    words = "What the store holds of run 'first' is damaged: it does not match its checksum."
    answer = filled("runs", *IN_STORE)
    assert answer.code == 8
    assert words in answer.err
    answer = filled("verify", *IN_STORE)
    assert answer.code == 7
    assert words in answer.out


def test_what_is_not_there_is_not_verified(filled: Call) -> None:
    assert filled("verify", "nobody", *IN_STORE).code == 4
    assert filled("verify", "--store", "sqlite:///nowhere.db").code == 8


def test_runs_are_removed_by_number(filled: Call) -> None:
    answer = filled("gc", "--keep-last", "1", "--dry-run", *IN_STORE)
    assert answer.code == 0
    assert answer.err.startswith("Would remove 1 run with ")
    answer = filled("gc", "--keep-last", "1", "--json", *IN_STORE)
    assert answer.document["runs"] == ["first"]
    assert answer.document["bytes"] > 100
    assert answer.document["kept"] == []
    assert filled("gc", "--keep-last", "0", "--status", "failed", *IN_STORE).err.startswith("Removed 0 runs with 0")
    assert filled("gc", "--older-than", "0s", "--workflow", "orders", *IN_STORE).err.startswith("Removed 1 run with ")
    assert filled("runs", "--json", *IN_STORE).document["runs"] == []


def test_a_run_that_is_being_driven_is_kept_and_named(
    filled: Call, folder: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    async def main() -> str:
        store = SqliteStore(folder / "runs.db")
        await store.open()
        try:
            await store.acquire("first")
            _, told = await to_thread.run_sync(start("gc", "--keep-last", "0", *IN_STORE).communicate)
        finally:
            await store.close()
        return told

    told = anyio.run(main)
    assert told.startswith("Run 'first' is kept: it is being driven by process ")
    assert "Removed 1 run with " in told


def test_what_may_go_has_to_be_said(filled: Call) -> None:
    answer = filled("gc", *IN_STORE)
    assert (answer.code, answer.err) == (
        2,
        "Say which runs may go: --older-than AGE, --keep-last N, or both.\n",
    )
    answer = filled("gc", "--older-than", "soon", *IN_STORE)
    assert answer.code == 2
    assert "'soon' is no age. Write a number with s, m, h, d or w behind it" in answer.err
    assert len(filled("runs", "--json", *IN_STORE).document["runs"]) == 2


@pytest.mark.parametrize("age", ["", "d", "-1d", "1y", "1e9d", "1 2", "nan"])
def test_what_is_no_age_is_refused(age: str) -> None:
    with pytest.raises(InputError, match="is no age"):
        seconds_of(age)


def test_a_run_moves_to_another_store(filled: Call, folder: Path) -> None:
    answer = filled("export", "first", "-o", "first.jsonl", *IN_STORE)
    assert answer.code == 0
    assert answer.err.startswith("Wrote run 'first' to first.jsonl: ")
    assert stat.S_IMODE((folder / "first.jsonl").stat().st_mode) == 0o600
    answer = filled("import", "first.jsonl", "--store", "sqlite:///other.db")
    assert answer.code == 0
    assert answer.err.startswith("Imported run 'first', completed, with ")
    shown = [filled("show", "first", "--json", "--store", store).document for store in (STORE, "sqlite:///other.db")]
    assert shown[0] == shown[1]
    again = filled("import", "first.jsonl", "--json", "--store", "sqlite:///third.db")
    assert again.document["run_id"] == "first"


def test_a_run_is_exported_to_stdout_and_imported_from_stdin(
    filled: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = filled("export", "first", *IN_STORE)
    assert answer.code == 0
    assert answer.err == ""
    (folder / "piped.jsonl").write_text(answer.out)
    with (folder / "piped.jsonl").open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        assert filled("import", "-", "--store", "sqlite:///other.db").code == 0
    exported = filled("export", "first", "--json", "-o", "again.jsonl", *IN_STORE)
    assert exported.document["lines"] == len((folder / "again.jsonl").read_text().splitlines())
    assert (folder / "again.jsonl").read_text() == answer.out


def test_a_run_that_is_there_or_damaged_is_not_imported(filled: Call, folder: Path) -> None:
    filled("export", "first", "-o", "first.jsonl", *IN_STORE)
    answer = filled("import", "first.jsonl", *IN_STORE)
    assert answer.code == 2
    assert answer.err.startswith("Run 'first' is in this store already, so nothing was imported.")
    text = (folder / "first.jsonl").read_text()
    (folder / "damaged.jsonl").write_text(text.replace("apples", "orange", 1))
    answer = filled("import", "damaged.jsonl", "--store", "sqlite:///other.db")
    assert answer.code == 2
    assert answer.err.startswith("Line ")
    assert "is damaged, or a line before it is missing" in answer.err
    assert filled("runs", "--json", "--store", "sqlite:///other.db").document["runs"] == []


@pytest.mark.parametrize(("content", "words"), [(b"\xff\xfe", "it is no text"), (b"hello", "Line 1 of the file")])
def test_another_file_is_not_imported(filled: Call, folder: Path, content: bytes, words: str) -> None:
    (folder / "other.jsonl").write_bytes(content)
    answer = filled("import", "other.jsonl", *IN_STORE)
    assert answer.code == 2
    assert words in answer.err


def test_a_file_that_cannot_be_read_or_written_is_told(filled: Call, folder: Path) -> None:
    answer = filled("import", "nothing.jsonl", *IN_STORE)
    assert (answer.code, answer.err) == (2, "There is no file 'nothing.jsonl'.\n")
    answer = filled("export", "first", "-o", "nowhere/first.jsonl", *IN_STORE)
    assert answer.code == 2
    assert "'nowhere/first.jsonl' cannot be written: No such file or directory." in answer.err
    answer = filled("export", "first", "--json", *IN_STORE)
    assert answer.code == 2
    assert "With --json, name a file for the run: -o FILE." in answer.err


def test_a_damaged_run_leaves_no_half_of_a_file(filled: Call, folder: Path) -> None:
    damage(folder, "UPDATE records SET content='[]' WHERE place=(1 << 32 | 2)")
    assert filled("export", "first", "-o", "first.jsonl", *IN_STORE).code == 8
    assert [path.name for path in folder.glob("*.jsonl*")] == []


def test_a_store_is_encrypted_and_its_key_is_changed(
    filled: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert filled("rotate", *IN_STORE).code == 2
    monkeypatch.setenv("MILEPOST_KEY", KEY)
    assert filled("rotate", *IN_STORE).err == "Encrypted 2 runs with the newest key.\n"
    assert b"apples" not in (folder / "runs.db").read_bytes()
    assert filled("show", "first", *IN_STORE).code == 0
    monkeypatch.setenv("MILEPOST_KEY", f"{OTHER},{KEY}")
    assert filled("rotate", "--json", *IN_STORE).document["runs"] == 2
    monkeypatch.setenv("MILEPOST_KEY", OTHER)
    assert filled("verify", *IN_STORE).code == 0
    for key in (KEY, None):
        monkeypatch.delenv("MILEPOST_KEY")
        if key is not None:
            monkeypatch.setenv("MILEPOST_KEY", key)
        answer = filled("show", "first", "--json", *IN_STORE)
        assert answer.code == 8
        assert json.loads(answer.out)["error"]["type"] == "WrongKey"
        assert answer.err.count("\n") == 1
        monkeypatch.setenv("MILEPOST_KEY", KEY)
