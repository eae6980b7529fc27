"""What an encrypted store holds can be read with its key, and without it by nobody."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from milepost.engine.engine import Engine
from milepost.engine.errors import DamagedStore, InputError, MilepostError, NodeError, StoreError, WrongKey
from milepost.engine.policy import Cache
from milepost.engine.stores.address import open_store
from milepost.engine.stores.cipher import SEALED, Key, KeyRing, is_sealed, keys_from
from milepost.engine.stores.encrypted import Encrypted
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import CacheEntry, Message, Store
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import append, begin, entry
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
MARKER = "zanzibar"
"""A word that must not be seen."""


class Notes(BaseModel):
    seen: list[str] = []


class Deps:
    fails = False


def secret() -> Workflow[Notes, Deps, str, str]:
    """Build a workflow whose inputs, outputs, state, choices and errors all hold the marker."""
    wf = WorkflowBuilder(name="secret", state_type=Notes, deps_type=Deps, input_type=str, output_type=str)

    @wf.function(cache=Cache())
    async def echo(ctx: StepContext[Notes, Deps, str]) -> str:
        return ctx.inputs * 2

    @wf.function
    async def note(ctx: StepContext[Notes, Deps, str]) -> str:
        ctx.state.seen.append(ctx.inputs)
        if ctx.deps.fails:
            raise ValueError(ctx.inputs)
        return ctx.inputs.upper()

    wf.edge(wf.start_node, echo)
    wf.edge(echo, note)
    wf.edge(note, wf.end_node)
    return wf.build()


SECRET = secret()


def failing() -> Deps:
    deps = Deps()
    deps.fails = True
    return deps


async def ran(store: Store, run_id: str = "run", deps: Deps | None = None) -> None:
    """Run it; leave a message behind."""
    async with Engine(store) as engine:
        run = await engine.start(SECRET, inputs=MARKER, state=Notes(), deps=deps or Deps(), run_id=run_id)
        if deps is None:
            assert await run.result() == MARKER.upper() * 2
        else:
            with pytest.raises(NodeError):
                await run.result()
        await store.post(Message(run_id, "m", "note", f'"{MARKER}"', MARKER, 1.0))


def in_file(path: Path, *keys: bytes) -> Store:
    return Encrypted(SqliteStore(path, durability="process"), keys)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def shows(folder: Path) -> bool:
    """Whether any file of a store shows what was to be hidden."""
    word = MARKER.encode()
    content = b"".join(path.read_bytes() for path in folder.glob("runs.db*"))
    return word in content or word.upper() in content


async def test_the_file_shows_nothing_that_was_given_made_or_said(tmp_path: Path) -> None:
    store = in_file(tmp_path / "runs.db", NEW)
    await ran(store, "done")
    async with opened(store):
        assert not shows(tmp_path)  # with the log beside it
    await ran(store, "failed", failing())
    assert not shows(tmp_path)
    await ran(SqliteStore(tmp_path / "plain" / "runs.db"))
    assert shows(tmp_path / "plain")


async def test_an_encrypted_run_fails_resumes_and_is_read_like_any_other(tmp_path: Path) -> None:
    store = in_file(tmp_path / "runs.db", NEW)
    await ran(store, deps=failing())
    await ran(store)
    async with Engine(store) as engine:
        (summary,) = await engine.runs()
        assert (summary.status, summary.output) == ("completed", f'"{MARKER.upper() * 2}"')
        trace = await engine.trace("run")
        assert [(task.node, task.attempts) for task in trace.tasks] == [("echo", 1), ("note", 2)]
        assert len([event async for event in engine.follow("run")]) > 5
        assert [message.payload for message in await store.inbox("run")] == [f'"{MARKER}"']
        assert await engine.verify() == []


async def test_results_in_the_cache_are_found_again_but_not_seen(tmp_path: Path) -> None:
    store = in_file(tmp_path / "runs.db", NEW)
    await ran(store, "first")
    await ran(store, "second")
    async with Engine(store) as engine:
        assert [task.attempts for task in (await engine.trace("second")).tasks] == [0, 1]
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        ((key, value),) = connection.execute("SELECT key, value FROM cache").fetchall()
    assert len(key) == 64
    assert is_sealed(value)


@pytest.mark.parametrize("keys", [(OTHER,), (OTHER, b"y" * 32)])
async def test_a_wrong_key_is_told_in_one_sentence_and_changes_nothing(tmp_path: Path, keys: tuple[bytes, ...]) -> None:
    path = tmp_path / "runs.db"
    await ran(in_file(path, NEW))
    before = path.read_bytes()
    with pytest.raises(WrongKey, match=r"^The store is encrypted with another key than what was given \([0-9a-f, ]+\)"):
        await in_file(path, *keys).open()
    with pytest.raises(WrongKey, match=r"Nothing was changed\.$"):
        await ran(in_file(path, *keys))
    assert path.read_bytes() == before
    assert names(tmp_path) == ["runs.db"]


async def test_a_store_without_its_key_is_told_in_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await ran(in_file(path, NEW))
    before = path.read_bytes()
    with pytest.raises(WrongKey, match=r"^The store is encrypted\. Give its key: set MILEPOST_KEY"):
        await ran(SqliteStore(path))
    assert path.read_bytes() == before
    assert names(tmp_path) == ["runs.db"]


async def test_a_store_that_cannot_be_looked_into_is_closed_again() -> None:
    class Failing(MemoryStore):
        async def definition(self, fingerprint: str) -> str | None:
            raise StoreError("The disk is gone.")

    for store in (Failing(), Encrypted(Failing(), [NEW])):
        with pytest.raises(StoreError, match="The disk is gone"):
            await ran(store)
        inner = store.store if isinstance(store, Encrypted) else store
        assert isinstance(inner, MemoryStore)
        assert inner.journals.alive == set()


async def test_what_is_encrypted_is_told_though_the_store_does_not_say_so() -> None:
    journals = Journals()
    await ran(Encrypted(MemoryStore(journals), [NEW]))
    for name in [name for name in journals.definitions if name.startswith("encrypted")]:
        del journals.definitions[name]
    with pytest.raises(WrongKey, match=r"^Checkpoint 1 of run 'run' is encrypted\. Give the key"):
        await ran(MemoryStore(journals))


async def test_a_store_half_of_which_is_plain_works(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await ran(SqliteStore(path), "plain")
    await ran(SqliteStore(path), "going on", failing())
    await ran(in_file(path, NEW), "sealed")
    await ran(in_file(path, NEW), "going on")
    async with Engine(in_file(path, NEW)) as engine:
        assert {run.run_id: run.status for run in await engine.runs()} == dict.fromkeys(
            ("plain", "going on", "sealed"), "completed"
        )
        assert await engine.verify() == []
        for run_id in ("plain", "going on", "sealed"):
            assert len((await engine.trace(run_id)).tasks) == 2


async def test_the_newest_key_encrypts_and_the_older_ones_still_decrypt(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await ran(in_file(path, OLD), "old", failing())
    await ran(in_file(path, NEW, OLD), "old")
    await ran(in_file(path, NEW, OLD), "new")
    async with Engine(in_file(path, NEW)) as engine:
        assert await (await engine.resume("new", SECRET, deps=Deps())).result() == MARKER.upper() * 2
        with pytest.raises(WrongKey, match=r"^Run 'old' is encrypted with the key [0-9a-f]{8}, which was not given"):
            await engine.trace("old")


async def test_rotating_leaves_nothing_that_needs_an_older_key(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await ran(SqliteStore(path), "plain")
    await ran(in_file(path, OLD), "old", failing())
    await ran(in_file(path, NEW, OLD), "new")
    async with Engine(in_file(path, NEW, OLD)) as engine:
        before = [await engine.trace(run_id) for run_id in ("plain", "old", "new")]
        done = await engine.rotate()
        assert (done.runs, done.kept) == (2, ())
        assert (await engine.rotate()).runs == 0
    assert not shows(tmp_path)
    assert Key(OLD).name.encode() + b":" not in path.read_bytes()
    store = in_file(path, NEW)
    async with Engine(store) as engine:
        assert [await engine.trace(run_id) for run_id in ("plain", "old", "new")] == before
        assert await engine.verify() == []
        assert [message.by for message in await store.inbox("old")] == [MARKER]
    await ran(store, "old")


async def test_a_run_that_is_being_driven_is_rotated_later() -> None:
    journals = Journals()
    async with opened(Encrypted(MemoryStore(journals), [OLD])) as driver:
        await begin(driver, length=2)
        store = Encrypted(MemoryStore(journals), [NEW, OLD])
        async with opened(store):
            assert (await store.rotate()).kept == ("run",)
            await append(driver, entry("run", 3))
            assert [record.hash for record in await store.records("run")] == ["hash 1", "hash 2", "hash 3"]
            await driver.release("run", 1)
            done = await store.rotate()
            assert (done.runs, done.kept) == (1, ())


async def test_an_owner_who_slept_while_its_run_was_rotated_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with (
        opened(Encrypted(SqliteStore(path), [OLD])) as owner,
        opened(Encrypted(SqliteStore(path), [NEW, OLD])) as store,
    ):
        await begin(owner, length=3)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("UPDATE runs SET lease_until=0")
        assert isinstance(store, Encrypted)
        assert (await store.rotate()).runs == 1
        await append(owner, entry("run", 4))
        row = await store.row("run")
        assert row is not None
        assert (row.seq, row.hash) == (4, "hash 4")


async def test_a_store_without_a_key_is_not_rotated() -> None:
    async with Engine(MemoryStore()) as engine:
        with pytest.raises(InputError, match=r"This store was given without a key\. Set MILEPOST_KEY"):
            await engine.rotate()


async def test_a_run_moves_between_stores_with_other_keys(tmp_path: Path) -> None:
    await ran(in_file(tmp_path / "runs.db", OLD), deps=failing())
    async with Engine(in_file(tmp_path / "runs.db", OLD)) as engine:
        lines = [line async for line in engine.export("run")]
    other = in_file(tmp_path / "other" / "runs.db", NEW)
    async with Engine(other) as engine:
        await engine.import_run(lines)
        assert await engine.verify() == []
    assert not shows(tmp_path / "other")
    await ran(other)


def changed(text: str) -> str:
    return text[:-8] + "AAAAAAAA"


def cut_off(text: str) -> str:
    return text[: len(text) // 2]


def replaced(_: str) -> str:
    return f"{SEALED}nonsense"


def not_base64(text: str) -> str:
    return f"{text[: len(SEALED) + 9]}???"


@pytest.mark.parametrize("change", [changed, cut_off, replaced, not_base64])
async def test_what_was_tampered_with_is_told(change: Callable[[str], str]) -> None:
    journals = Journals()
    store = Encrypted(MemoryStore(journals), [NEW])
    await ran(store)
    whole = journals.records["run"][1]
    journals.records["run"][1] = whole._replace(content=change(whole.content))
    async with Engine(store) as engine:
        with pytest.raises(DamagedStore, match=r"What the store holds of run 'run' is damaged: its content 2 "):
            await engine.trace("run")
        (finding, *_) = await engine.verify()
        assert finding.seq == 2
        journals.records["run"][1] = whole
        journals.rows["run"] = replace(journals.rows["run"], output=change(journals.rows["run"].output or ""))
        with pytest.raises(DamagedStore, match=r"run 'run' is damaged: its output 3 "):
            await engine.find("run")


async def test_a_text_is_only_read_where_it_was_written() -> None:
    journals = Journals()
    async with opened(Encrypted(MemoryStore(journals), [NEW])) as store:
        for run_id in ("a", "b"):
            await begin(store, run_id, length=2)
        first, second = journals.records["a"]
        journals.records["a"][1] = second._replace(body=first.body)
        with pytest.raises(DamagedStore, match="its body 2 was changed"):
            await store.record("a", 2)
        journals.records["a"][1] = journals.records["b"][1]
        with pytest.raises(DamagedStore):
            await store.record("a", 2)


async def test_an_older_result_in_the_cache_is_read_with_its_key() -> None:
    journals = Journals()
    async with opened(Encrypted(MemoryStore(journals), [OLD])) as store:
        await begin(store)
        await append(store, entry("run", 2, cache=CacheEntry("k", "[1]")))
    async with opened(Encrypted(MemoryStore(journals), [NEW, OLD])) as store:
        assert await store.cached("k", 0.0) == "[1]"
        assert await store.cached("l", 0.0) is None


# --- keys ------------------------------------------------------------------------------------------------------------


def test_keys_are_read_from_base64_of_either_kind() -> None:
    keys = [bytes([255 - number] * 32) for number in range(3)]
    text = ",".join([base64.b64encode(keys[0]).decode(), base64.urlsafe_b64encode(keys[1]).decode()])
    assert keys_from(f"{text} , {base64.b64encode(keys[2]).decode()}") == keys


@pytest.mark.parametrize("text", ["", "abc", "secret!", base64.b64encode(b"k" * 31).decode(), "ü" * 44])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match=r"Key number 2 is not one: it must be 32 random bytes in base64") as caught:
        keys_from(f"{base64.b64encode(NEW).decode()},{text}")
    assert not text or text not in str(caught.value)


def test_a_store_needs_a_key_to_be_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILEPOST_KEY", raising=False)
    with pytest.raises(InputError, match="Key number 1 is not one"):
        Encrypted(MemoryStore())
    with pytest.raises(InputError, match="To encrypt, a store needs a key"):
        Encrypted(MemoryStore(), [])
    with pytest.raises(InputError, match="Key number 1 has 3 bytes; a key has 32"):
        Encrypted(MemoryStore(), [b"abc"])
    with pytest.raises(InputError, match="This store is encrypted already"):
        Encrypted(Encrypted(MemoryStore(), [NEW]), [NEW])


async def test_the_environment_names_the_keys_of_a_store_that_is_named_by_its_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    monkeypatch.setenv("MILEPOST_KEY", base64.b64encode(NEW).decode())
    store = open_store(url)
    assert isinstance(store, Encrypted)
    await ran(store)
    assert not shows(tmp_path)
    assert isinstance(open_store("memory://"), MemoryStore)
    monkeypatch.setenv("MILEPOST_KEY", "")
    assert isinstance(open_store(url), SqliteStore)
    monkeypatch.setenv("MILEPOST_KEY", "abc")
    with pytest.raises(InputError, match="Key number 1 is not one"):
        open_store(url)


def test_a_text_with_any_characters_comes_back() -> None:
    ring = KeyRing([NEW])
    for text in ("", "é 漢字 🎈 \x00 \ud800", "x" * 100_000, SEALED):
        sealed = ring.seal("run \ud800", "place", text)
        assert sealed.isascii()
        assert ring.open("run \ud800", "place", sealed) == text
        assert ring.seal("run \ud800", "place", text) != sealed
        with pytest.raises(DamagedStore):
            ring.open("run", "place", sealed)


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(StoreError, match=r"pip install 'milepost\[encryption\]'"):
        KeyRing([NEW])


def test_every_error_of_a_key_is_of_the_family() -> None:
    assert issubclass(WrongKey, StoreError)
    assert issubclass(DamagedStore, StoreError)
    assert issubclass(StoreError, MilepostError)
