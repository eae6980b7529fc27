"""Runs are verified, removed when nobody needs them, and moved from one store to another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from milepost.engine.collecting import KeptRun
from milepost.engine.engine import Engine
from milepost.engine.errors import BrokenJournal, DamagedStore, InputError, NodeError, UnknownRun
from milepost.engine.exporting import check_of
from milepost.engine.journal_text import chained
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Message, RunRow, Store
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.engine.verifying import Finding, verify_run
from milepost.engine.workflow import Workflow
from milepost.testing.clock import FakeClock
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio

DAY = 86_400.0


class Deps:
    """fails: whether the last node does."""

    fails = False


def inner() -> Workflow[None, None, int, int]:
    wf = WorkflowBuilder(name="inner", input_type=int, output_type=int)

    @wf.function
    async def square(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs**2

    wf.edge(wf.start_node, square)
    wf.edge(square, wf.end_node)
    return wf.build()


def tally(name: str = "tally") -> Workflow[None, Deps, list[int], int]:
    """Build a map, a join and a node that fails while it is told to."""
    wf = WorkflowBuilder(name=name, deps_type=Deps, input_type=list[int], output_type=int)
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")

    @wf.function
    async def double(ctx: StepContext[None, Deps, int]) -> int:
        return 2 * ctx.inputs

    @wf.function
    async def total(ctx: StepContext[None, Deps, list[int]]) -> int:
        if ctx.deps.fails:
            raise ValueError("not yet")
        return sum(ctx.inputs)

    wf.edge(wf.start_node, wf.each(double, join=collect))
    wf.edge(collect, total)
    wf.edge(total, wf.end_node)
    return wf.build()


def nested() -> Workflow[None, None, int, int]:
    wf = WorkflowBuilder(name="nested", input_type=int, output_type=int)
    first = wf.subworkflow(inner(), node_id="first")
    wf.edge(wf.start_node, first)
    wf.edge(first, wf.end_node)
    return wf.build()


def long() -> Workflow[int, None, int, int]:
    """Build a loop that is long enough for a snapshot."""
    wf = WorkflowBuilder(name="long", state_type=int, input_type=int, output_type=int)

    @wf.function
    async def step(ctx: StepContext[int, None, int]) -> int:
        return ctx.inputs + 1

    def goes_on(number: int) -> bool:
        return number < 700

    wf.edge(wf.start_node, step)
    wf.edge(step, step, when=goes_on)
    wf.edge(step, wf.end_node, otherwise=True)
    return wf.build()


TALLY, NESTED, LONG = tally(), nested(), long()


async def ran(store: Store, run_id: str = "run", *, fails: bool = False) -> None:
    deps = Deps()
    deps.fails = fails
    async with Engine(store) as engine:
        run = await engine.start(TALLY, inputs=[1, 2, 3], deps=deps, run_id=run_id)
        if fails:
            with pytest.raises(NodeError):
                await run.result()
        else:
            assert await run.result() == 12


async def found(journals: Journals, run_id: str | None = None) -> list[str]:
    """What verifying finds."""
    async with Engine(MemoryStore(journals)) as engine:
        return [finding.text for finding in await engine.verify(run_id)]


def forge(journals: Journals, seq: int, change: Callable[[str], str], *, content: bool = False) -> None:
    """Change a record of the run so that all hashes fit again, those of the records after it too."""
    records = journals.records["run"]
    before = records[seq - 2].hash if seq > 1 else ""
    for number in range(seq - 1, len(records)):
        one = records[number]
        if number == seq - 1:
            one = one._replace(content=change(one.content)) if content else one._replace(body=change(one.body))
        one = one._replace(hash=chained(before, one.seq, one.body, one.content, one.snapshot))
        records[number], before = one, one.hash
    journals.rows["run"] = replace(journals.rows["run"], hash=before)


# --- verifying -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_is_found_in_a_sound_run(fails: bool) -> None:
    journals = Journals()
    await ran(MemoryStore(journals), fails=fails)
    assert await found(journals) == await found(journals, "run") == []


async def test_nothing_is_found_in_a_long_run_with_snapshots() -> None:
    journals = Journals()
    assert await LONG.run(inputs=0, state=0, store=MemoryStore(journals), run_id="run") == 700
    assert journals.rows["run"].snapshot_seq > 0
    assert await found(journals) == []


async def test_nothing_is_found_in_a_sound_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    await ran(store)
    async with Engine(store) as engine:
        assert await engine.verify() == []


async def test_an_unknown_run_cannot_be_verified() -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    with pytest.raises(UnknownRun, match=r"There is no run 'rum' in this store\. Did you mean 'run'\?"):
        await found(journals, "rum")


async def test_every_changed_record_is_found_by_its_number() -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    records = journals.records["run"]
    for seq in (2, 4):
        records[seq - 1] = records[seq - 1]._replace(content=records[seq - 1].content.replace("out", "oot"))
    assert await found(journals) == [
        "Checkpoint 2 of run 'run': its contents do not match its hash.",
        "Checkpoint 4 of run 'run': its contents do not match its hash.",
    ]


async def test_a_missing_record_is_found() -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    del journals.records["run"][2]
    assert "Checkpoint 3 of run 'run': it is missing." in await found(journals)


async def test_a_journal_that_was_cut_off_is_found() -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    del journals.records["run"][3:]
    assert await found(journals) == ["Checkpoint 4 of run 'run': it is missing, with all up to 5."]
    del journals.records["run"][:]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "failed"}, "its row has another status than its newest checkpoint"),
        ({"output": "13"}, "its row has another output than its newest checkpoint"),
        ({"error": "no"}, "its row has another error than its newest checkpoint"),
        ({"hash": "0" * 32}, "its row has another hash than its newest checkpoint"),
        ({"updated": 1.0}, "its row has other times than its checkpoints"),
        ({"created": 1.0}, "its row has other times than its checkpoints"),
        ({"snapshot_seq": 2}, "its row names checkpoint 2 as the newest with a snapshot, which is none"),
        ({"epoch": 9}, "of its 9 owners, not all are known"),
    ],
)
async def test_a_row_that_does_not_fit_its_records_is_found(change: dict[str, object], words: str) -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    journals.rows["run"] = replace(journals.rows["run"], **change)  # type: ignore[arg-type]  # of any field
    assert await found(journals) == [f"Run 'run': {words}."]


@pytest.mark.parametrize(
    ("seq", "old", "new", "words"),
    [
        (2, '"task":"', '"task":"x', "it does not fit what came before it"),
        (2, '"collect",[2,0]', '"collect",[2,7]', "it points at value 7 of checkpoint 2, which is not there"),
        (2, '"collect",[2,0]', '"collect",[9,0]', "it points at value 0 of checkpoint 9, which is not there"),
        (2, '"collect",[2,0]', '"collect",[1,0,5]', "it points at item 5 of a list of 3"),
        (1, "[1,0],3]", "[1,0],4]", "it goes over 4 items of a list of 3"),
        (1, '"started"', '"begun"', "Checkpoint 1 of run 'run' was written by a newer Milepost: it says 'begun'"),
    ],
)
async def test_a_record_that_makes_no_sense_is_found_though_its_hash_fits(
    seq: int, old: str, new: str, words: str
) -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    forge(journals, seq, lambda body: body.replace(old, new))
    assert any(words in text for text in await found(journals))


async def test_a_value_that_is_not_json_is_found() -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    forge(journals, 3, lambda content: content.replace("]", ""), content=True)
    (text, *_) = await found(journals)
    assert text.startswith("Checkpoint 3 of run 'run' is damaged: it cannot be read")


async def test_a_snapshot_that_says_something_else_is_found() -> None:
    journals = Journals()
    await LONG.run(inputs=0, state=0, store=MemoryStore(journals), run_id="run")
    seq = journals.rows["run"].snapshot_seq
    records = journals.records["run"]
    snapshot = records[seq - 1].snapshot
    assert snapshot is not None
    for text, words in (
        (snapshot.replace('"tasks":[[', '"tasks":[],"more":[['), "its snapshot says something else"),
        ("{}", "its snapshot cannot be read"),
    ):
        records[seq - 1] = records[seq - 1]._replace(snapshot=text)
        forge(journals, seq, str)
        assert any(f"Checkpoint {seq} of run 'run': {words}" in each for each in await found(journals))


async def test_a_definition_that_is_missing_or_changed_is_found() -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    ((fingerprint, text),) = journals.definitions.items()
    journals.definitions[fingerprint] = text.replace("tally", "tilly")
    assert "the definition of the workflow of run 'run' is damaged: it does not match" in (await found(journals))[0]
    del journals.definitions[fingerprint]
    assert "the definition of the workflow of run 'run' is damaged: it is missing" in (await found(journals))[0]


async def test_a_message_that_is_not_json_is_found() -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    async with Engine(MemoryStore(journals)):
        await MemoryStore(journals).post(Message("run", "m", "note", "{", None, 1.0))
    assert await found(journals) == ["Run 'run': the message 'm' that waits for it is not JSON."]


async def test_a_run_that_goes_on_while_it_is_verified_is_verified_as_far_as_it_was() -> None:
    journals = Journals()
    await ran(MemoryStore(journals), fails=True)
    row = journals.rows["run"]
    await ran(MemoryStore(journals))
    assert await verify_run(MemoryStore(journals), row) == []


async def test_a_state_that_is_not_json_is_found() -> None:
    journals = Journals()
    await LONG.run(inputs=0, state=0, store=MemoryStore(journals), run_id="run")
    forge(journals, 1, lambda body: body.replace(':[0,0,"0"]', ':[0,0,"{"]'))
    texts = await found(journals)
    assert any(" of its state is not JSON." in text for text in texts), texts


@pytest.mark.parametrize(
    ("seq", "old", "new", "words"),
    [
        (1, "[1,2,3]", "7", "Checkpoint 1 of run 'run': the list it points at cannot be read"),
        (1, "[1,2,3]", "[1,2]", "Checkpoint 1 of run 'run': it goes over 3 items of a list of 2."),
    ],
)
async def test_a_list_that_is_none_is_found(seq: int, old: str, new: str, words: str) -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    forge(journals, seq, lambda content: content.replace(old, new), content=True)
    assert any(text.startswith(words) for text in await found(journals))


async def test_an_end_that_cannot_be_read_is_found() -> None:
    journals = Journals()
    await ran(MemoryStore(journals))
    forge(journals, 5, lambda body: body.replace("[5,0]]]", "[5,0,0]]]"))
    texts = await found(journals)
    assert any(text.startswith("Checkpoint 5 of run 'run': what it came to cannot be read") for text in texts), texts


async def test_a_snapshot_that_cannot_be_read_is_told_to_whoever_follows() -> None:
    journals = Journals()
    await LONG.run(inputs=0, state=0, store=MemoryStore(journals), run_id="run")
    seq = journals.rows["run"].snapshot_seq
    journals.records["run"][seq - 1] = journals.records["run"][seq - 1]._replace(snapshot="{}")
    forge(journals, seq, str)
    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(BrokenJournal, match=f"Checkpoint {seq} of run 'run' is damaged: its snapshot cannot be"):
            _ = [event async for event in engine.follow("run", after=seq)]


def test_a_finding_is_a_sentence() -> None:
    assert str(Finding(text="Run 'a': it is gone.", run_id="a")) == "Run 'a': it is gone."


# --- removing --------------------------------------------------------------------------------------------------------


async def filled(journals: Journals, clock: FakeClock, *run_ids: str, fails: bool = False) -> None:
    """Run once a day."""
    deps = Deps()
    deps.fails = fails
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        for run_id in run_ids:
            clock.advance(DAY)
            await (await engine.start(TALLY, inputs=[1], deps=deps, run_id=run_id)).wait()


async def test_old_runs_are_removed_and_reported() -> None:
    journals, clock = Journals(), FakeClock()
    await filled(journals, clock, "a", "b", "c", "d")
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        would = await engine.gc(older_than=timedelta(days=1.5), dry_run=True)
        assert sorted(row.run_id for row in await engine.runs()) == ["a", "b", "c", "d"]
        done = await engine.gc(older_than=1.5 * DAY)
        assert sorted(done.runs) == sorted(would.runs) == ["a", "b"]
        assert (done.records, done.bytes) == (would.records, would.bytes)
        assert done.records == 6
        assert done.bytes > 300
        assert (would.dry_run, done.dry_run) == (True, False)
        assert sorted(row.run_id for row in await engine.runs()) == ["c", "d"]
        assert await engine.verify() == []


async def test_the_newest_runs_of_each_workflow_are_kept() -> None:
    journals, clock = Journals(), FakeClock()
    await filled(journals, clock, "a", "b", "c")
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        await (await engine.start(NESTED, inputs=1, run_id="n")).wait()
        done = await engine.gc(keep_last=1)
        assert sorted(done.runs) == ["a", "b"]
        assert sorted(row.run_id for row in await engine.runs()) == ["c", "n"]
        assert (await engine.gc(keep_last=0, workflow="tally")).runs == ("c",)


async def test_only_runs_that_are_over_go_unless_others_are_named() -> None:
    journals, clock = Journals(), FakeClock()
    await filled(journals, clock, "done")
    await filled(journals, clock, "failed", fails=True)
    journals.rows["killed"] = replace(journals.rows["done"], run_id="killed", status="running", owner="a dead process")
    journals.records["killed"], journals.openings["killed"] = list(journals.records["done"]), []
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        assert (await engine.gc(keep_last=0, status=["failed"])).runs == ("failed",)
        assert (await engine.gc(keep_last=0)).runs == ("done",)
        assert (await engine.gc(keep_last=0, status=["running"])).runs == ("killed",)


async def test_runs_go_with_the_runs_inside_them() -> None:
    journals, clock = Journals(), FakeClock()
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        await (await engine.start(NESTED, inputs=3, run_id="n")).wait()
        assert len(journals.rows) == 2
        done = await engine.gc(keep_last=0)
        assert len(done.runs) == 2
        assert done.runs[0] == "n"
    assert (journals.rows, journals.records, journals.openings) == ({}, {}, {})


async def test_a_run_that_somebody_drives_is_kept_and_named() -> None:
    journals, clock = Journals(), FakeClock()
    await filled(journals, clock, "a", "b")
    journals.alive.add("process 4711")
    journals.rows["a"] = replace(journals.rows["a"], owner="process 4711")
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        done = await engine.gc(keep_last=0)
    assert done.runs == ("b",)
    assert done.kept == (KeptRun(run_id="a", reason="it is being driven by process 4711"),)


async def test_a_run_goes_only_when_no_fork_of_it_is_left() -> None:
    journals, clock = Journals(), FakeClock()
    await filled(journals, clock, "parent")
    async with Engine(MemoryStore(journals), clock=clock) as engine:
        clock.advance(DAY)
        await (await engine.fork("parent", TALLY, at=2, run_id="fork", deps=Deps())).wait()
        for dry_run in (True, False):
            done = await engine.gc(older_than=DAY / 2, dry_run=dry_run)
            assert done.runs == ()
            assert done.kept == (
                KeptRun(run_id="parent", reason="run 'fork' was forked from it and needs its checkpoints"),
            )
        done = await engine.gc(keep_last=0)
        assert done.runs == ("fork", "parent")


class Refusing(MemoryStore):
    """A store that removes nothing. went_on: because the run has gone on at that very moment."""

    went_on = False

    async def delete(self, rows: Sequence[RunRow]) -> bool:
        if self.went_on:
            for row in rows:
                self.journals.rows[row.run_id] = replace(row, epoch=row.epoch + 1)
        return False


@pytest.mark.parametrize(
    ("went_on", "reason"), [(False, "another run needs its checkpoints"), (True, "it has changed meanwhile")]
)
async def test_why_a_run_is_kept_is_told(went_on: bool, reason: str) -> None:
    store = Refusing()
    store.went_on = went_on
    await ran(store)
    async with Engine(store) as engine:
        done = await engine.gc(keep_last=0)
    assert (done.runs, done.kept) == ((), (KeptRun(run_id="run", reason=reason),))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, r"This would remove every run that is over\. Say which may go"),
        ({"older_than": -1.0}, r"older_than=-1.0 is no age\. Give seconds, 0 or more\."),
        ({"older_than": float("nan")}, r"older_than=nan is no age"),
        ({"keep_last": -1}, r"keep_last=-1 is no number of runs\."),
    ],
)
async def test_what_may_go_has_to_be_said(options: dict[str, float], words: str) -> None:
    async with Engine(MemoryStore()) as engine:
        with pytest.raises(InputError, match=words):
            await engine.gc(**options)  # type: ignore[arg-type]  # wrong on purpose


async def test_what_has_gone_makes_the_file_smaller(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with Engine(SqliteStore(path, durability="none")) as engine:
        for run_id in ("a", "b"):
            run = await engine.start(TALLY, inputs=list(range(2_000)), deps=Deps(), run_id=run_id)
            await run.result()
        done = await engine.gc(keep_last=1)
        assert done.freed > 500_000
        assert path.stat().st_size < 1_200_000
        assert await engine.verify() == []
        done = await engine.gc(keep_last=0)  # now the file keeps account of its free pages
        assert done.freed > 500_000
        assert path.stat().st_size < 300_000
        assert await engine.runs() == []


# --- moving ----------------------------------------------------------------------------------------------------------


async def exported(store: Store, run_id: str = "run") -> list[str]:
    async with Engine(store) as engine:
        return [line async for line in engine.export(run_id)]


async def test_a_run_moves_to_another_store_and_goes_on_there(tmp_path: Path) -> None:
    first, second = SqliteStore(tmp_path / "first.db"), MemoryStore()
    await ran(first, fails=True)
    lines = await exported(first)
    assert [next(key for key in json.loads(line) if key != "check") for line in lines] == [
        "milepost export",
        "definition",
        "run",
        "opening",
        *["record"] * 5,
        "end",
    ]
    async with Engine(second) as engine:
        summary = await engine.import_run(lines)
        assert (summary.run_id, summary.status, summary.seq) == ("run", "failed", 5)
        assert await engine.verify() == []
        assert await (await engine.resume("run", TALLY, deps=Deps())).result() == 12
        trace = await engine.trace("run")
        assert [task.node for task in trace.tasks] == ["double"] * 3 + ["total"]
        assert trace.tasks[3].attempts == 2


async def test_a_run_moves_with_the_runs_inside_it_and_its_messages(tmp_path: Path) -> None:
    first, second = MemoryStore(), SqliteStore(tmp_path / "second.db")
    async with Engine(first) as engine:
        await (await engine.start(NESTED, inputs=3, run_id="run")).wait()
        await first.post(Message("run", "m", "note", '"é"', "Ann", 1.5))
        first.journals.inbox.take("run", "m", 2)
        await first.post(Message("run", "n", "note", '"ü"', None, 2.5))
        trace = await engine.trace("run")
    async with Engine(second) as engine:
        await engine.import_run(f"{line}\n" for line in await exported(first))
        assert await engine.trace("run") == trace
        assert len(trace.children) == 1
        assert [(one.message.id, one.message.by, one.taken) for one in await second.posted("run")] == [
            ("m", "Ann", 2),
            ("n", None, None),
        ]
        assert [message.payload for message in await second.inbox("run")] == ['"ü"']
        assert await engine.verify() == []


async def test_a_fork_moves_with_what_it_shares() -> None:
    first, second = MemoryStore(), MemoryStore()
    await ran(first)
    async with Engine(first) as engine:
        await (await engine.fork("run", TALLY, at=3, run_id="fork", deps=Deps())).wait()
    async with Engine(second) as engine:
        assert (await engine.import_run(await exported(first, "fork"))).run_id == "fork"
        assert await engine.verify() == []
        assert await (await engine.resume("fork", TALLY, deps=Deps())).result() == 12


async def test_lines_that_come_over_time_are_imported() -> None:
    first, second = MemoryStore(), MemoryStore()
    await ran(first)
    async with Engine(first) as source, Engine(second) as target:
        await target.import_run(source.export("run"))
        assert await target.trace("run") == await source.trace("run")


async def test_a_run_is_not_imported_over_another() -> None:
    store = MemoryStore()
    await ran(store)
    lines = await exported(store)
    before = list(store.journals.records["run"])
    async with Engine(store) as engine:
        with pytest.raises(InputError, match=r"^Run 'run' is in this store already, so nothing was imported\."):
            await engine.import_run(lines)
    assert store.journals.records["run"] == before


async def refused(lines: list[str]) -> str:
    """Why lines are not imported; nothing of them is."""
    store = MemoryStore()
    async with Engine(store) as engine:
        with pytest.raises(InputError) as caught:
            await engine.import_run(lines)
    assert store.journals.rows == {}
    assert str(caught.value).endswith(("Nothing was imported.", "Copy it again."))
    return str(caught.value)


async def test_a_damaged_line_is_named() -> None:
    store = MemoryStore()
    await ran(store)
    lines = await exported(store)
    for number, line in enumerate(lines, 1):
        for at in (3, 12, len(line) // 2, len(line) - 2):
            changed = line[:at] + chr(ord(line[at]) ^ 1) + line[at + 1 :]
            words = await refused([*lines[: number - 1], changed, *lines[number:]])
            assert words.startswith(f"Line {number} of the file is ")


async def test_a_line_that_is_missing_doubled_or_moved_is_named() -> None:
    store = MemoryStore()
    await ran(store)
    lines = await exported(store)
    assert (await refused([*lines[:4], *lines[5:]])).startswith("Line 5 of the file is damaged, or a line before it")
    assert (await refused([*lines[:5], lines[4], *lines[5:]])).startswith("Line 6 of the file is damaged")
    assert (await refused(lines[:-1])).startswith("The file ends after line 9, and its end is missing.")
    assert (await refused([*lines, "{}"])).startswith("Line 11 of the file is damaged")
    assert (await refused([])).startswith("The file ends after line 0")


@pytest.mark.parametrize("line", ["", "hello", "{}", "[]", '{"a":1}', '{"check":"0123456789abcdef","run":{}}', "\0"])
async def test_a_file_of_another_kind_is_refused(line: str) -> None:
    assert "Line 1 of the file is " in await refused([line])


def again(lines: list[str], number: int, change: Callable[[str], str]) -> list[str]:
    """Change one line so that all checksums fit again."""
    before, found = "", list[str]()
    for place, line in enumerate(lines, 1):
        rest = line.partition('",')[2]
        rest = change(rest) if place == number else rest
        before = check_of(before, rest)
        found.append(f'{{"check":"{before}",{rest}')
    return found


@pytest.mark.parametrize(
    ("number", "old", "new", "words"),
    [
        (1, '"format":1', '"format":2', "says that a newer Milepost has written it; upgrade Milepost"),
        (1, '"format":1', '"format":"x"', "is not one that 'milepost export' has written"),
        (1, '["run"]', '["run","more"]', "ends a file from which something is missing"),
        (2, "fingerprint", "footprint", "is damaged: something is missing in it"),
        (3, '"status":"completed"', '"status":"finished"', "is damaged: it is not what it says that it is"),
        (3, '"status":"completed"', '"status":"failed"', "is damaged. Run 'run': its row has another status"),
        (3, '"fingerprint":"', '"fingerprint":"x', "names a definition that the file does not have"),
        (3, '"run":{', '"ran":{', "comes before any run"),
        (4, '"opening"', '"closing"', "says 'closing', which this Milepost does not know"),
        (
            6,
            '\\"node\\":\\"double\\"',
            '\\"node\\":\\"triple\\"',
            "is damaged. Checkpoint 2 of run 'run': its contents",
        ),
        (10, '"lines":10', '"lines":11', "ends a file from which something is missing"),
    ],
)
async def test_a_file_that_was_tampered_with_is_refused(number: int, old: str, new: str, words: str) -> None:
    store = MemoryStore()
    await ran(store)
    lines = await exported(store)
    changed = again(lines, number, lambda rest: rest.replace(old, new))
    assert changed != lines
    assert words in await refused(changed)


@pytest.mark.parametrize(
    ("seq", "old", "new", "word"),
    [(2, '"kind":"completed"', '"kind":"postponed"', "postponed"), (2, '["item",', '["lay aside",', "lay aside")],
)
async def test_a_journal_of_a_newer_milepost_is_refused_as_such(seq: int, old: str, new: str, word: str) -> None:
    """It is whole, and only this version cannot read it."""
    journals = Journals()
    await ran(MemoryStore(journals))
    forge(journals, seq, lambda body: body.replace(old, new))
    assert await refused(await exported(MemoryStore(journals))) == (
        "Line 6 of the file cannot be read. Checkpoint 2 of run 'run' was written by a newer Milepost: it says "
        f"{word!r}, which this one does not know. Upgrade Milepost. Nothing was imported."
    )


async def test_a_check_judges_all_other_runs_where_a_newer_milepost_has_written_one() -> None:
    journals = Journals()
    for run_id in ("run", "other"):
        await ran(MemoryStore(journals), run_id, fails=True)
    forge(journals, len(journals.records["run"]), lambda body: body.replace('"failed"', '"postponed"'))
    async with Engine(MemoryStore(journals)) as engine:
        found = {one.run_id: one for one in await engine.check(TALLY)}
    assert {run_id: one.verdict for run_id, one in found.items()} == {"run": "refused", "other": "resumes"}
    (reason,) = found["run"].reasons
    assert "was written by a newer Milepost: it says 'postponed', which this one does not know." in reason


async def test_a_line_after_the_end_or_a_run_that_comes_twice_is_refused() -> None:
    store = MemoryStore()
    await ran(store)
    lines = await exported(store)
    assert "Line 11 of the file comes after the end." in await refused(again([*lines, lines[-1]], 0, str))
    doubled = again([*lines[:-1], *lines[2:-1], lines[-1]], 1, lambda rest: rest.replace('["run"]', '["run","run"]'))
    doubled = again(doubled, len(doubled), lambda rest: rest.replace("10", str(len(doubled))))
    assert "Line 10 of the file has a run that the file has before." in await refused(doubled)


async def test_a_definition_that_several_runs_share_is_exported_once() -> None:
    wf = WorkflowBuilder(name="pair", input_type=int, output_type=int)
    child = inner()
    first, second = wf.subworkflow(child, node_id="first"), wf.subworkflow(child, node_id="second")
    wf.edge(wf.start_node, first)
    wf.edge(first, second)
    wf.edge(second, wf.end_node)
    store, other = MemoryStore(), MemoryStore()
    assert await wf.build().run(inputs=3, store=store, run_id="run") == 81
    lines = await exported(store)
    assert sum('"definition":' in line for line in lines) == 2
    async with Engine(other) as engine:
        await engine.import_run(lines)
        assert len((await engine.trace("run")).children) == 2


async def test_a_run_from_which_something_is_missing_is_not_exported() -> None:
    store = MemoryStore()
    await ran(store)
    last = store.journals.records["run"].pop()
    with pytest.raises(BrokenJournal, match=r"Checkpoint 5 of run 'run' is damaged: it is missing"):
        await exported(store)
    store.journals.records["run"].append(last)
    store.journals.definitions.clear()
    with pytest.raises(DamagedStore, match="of the workflow of run 'run' is damaged: it is missing"):
        await exported(store)


async def test_a_damaged_run_is_not_exported() -> None:
    store = MemoryStore()
    await ran(store)
    store.journals.records["run"][2] = store.journals.records["run"][2]._replace(content='["out:double",5]')
    with pytest.raises(BrokenJournal, match=r"Checkpoint 3 of run 'run' is damaged: its contents do not match"):
        await exported(store)


async def test_an_unknown_run_is_not_exported() -> None:
    with pytest.raises(UnknownRun):
        await exported(MemoryStore(), "nobody")
