"""A question of a run is found in that run: neither its other questions nor its messages make answering it dearer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import AlreadyAnswered
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Message, RunRow, StoredRecord
from milepost.engine.trace import RunStatus
from milepost.testing.clock import FakeClock
from tests.engine.waiters import RUN, asking, begun, mapped, nested
from tests.work import counted_calls

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]


class Asked(MemoryStore):
    """A store that counts what it is asked for."""

    def __init__(self, journals: Journals) -> None:
        super().__init__(journals)
        self.asked = Counter[str]()

    async def row(self, run_id: str) -> RunRow | None:
        self.asked["row"] += 1
        return await super().row(run_id)

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        self.asked["records"] += 1
        return await super().records(run_id, after=after, limit=limit)

    async def children(self, run_id: str, *, status: RunStatus | None = None) -> Sequence[RunRow]:
        self.asked["children"] += 1
        return await super().children(run_id, status=status)

    async def inbox(self, run_id: str) -> Sequence[Message]:
        self.asked["inbox"] += 1
        return await super().inbox(run_id)


async def left(count: int) -> Journals:
    """Leave a run that asks so many questions, and that nobody drives."""
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await begun(engine, mapped([]), list(range(count)))
    return journals


async def calls_to_answer(engine: Engine, length: int = 16) -> int:
    """Return how many calls the second answer to a run costs, which has been read for the first.

    length: of what the question is called by, the beginning of its id, which has 16 characters.
    """
    questions = await engine.questions(RUN)
    await engine.answer(RUN, questions[3].id[:length], 1)
    with counted_calls() as count:
        await engine.answer(RUN, questions[-1].id[:length], 1)
    return count()


@pytest.mark.parametrize("length", [16, 15])
async def test_an_answer_costs_the_same_among_few_questions_and_among_many(length: int) -> None:
    counts: list[int] = []
    for size in (10, 500):
        async with Engine(MemoryStore(await left(size))) as engine:
            counts.append(await calls_to_answer(engine, length))
    few, many = counts
    assert many < few + 50


async def test_an_answer_to_a_run_stored_nowhere_costs_the_same_among_few_questions_and_among_many() -> None:
    counts: list[int] = []
    for size in (10, 500):
        async with Engine() as engine:
            run = await begun(engine, mapped([]), list(range(size)))
            counts.append(await calls_to_answer(engine))
            run.stop()
    few, many = counts
    assert many < few + 50


async def test_an_answer_reads_no_message_and_no_run_inside_of_the_one_that_asks() -> None:
    store = Asked(await left(5))
    async with Engine(store) as engine:
        questions = await engine.questions(RUN)
        store.asked.clear()
        for question in questions:
            await engine.answer(RUN, question.id, 1)
        assert store.asked == Counter(row=2 * len(questions))


async def test_a_question_of_a_run_inside_runs_is_looked_for_as_far_as_that_run() -> None:
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await begun(engine, nested(asking([]), 2), 1)
    store = Asked(journals)
    async with Engine(store) as engine:
        (question,) = await engine.questions(RUN)
        store.asked.clear()
        await engine.answer(RUN, question.id, 1)
        assert store.asked == Counter(row=2, children=2)


async def test_that_somebody_was_faster_is_said_before_any_fault_of_a_second_answer() -> None:
    clock, journals = FakeClock(), Journals()
    async with Engine(MemoryStore(journals, clock=clock), clock=clock) as engine:
        await begun(engine, asking([], deadline=timedelta(hours=1)), 1)
    async with Engine(MemoryStore(journals, clock=clock), clock=clock) as engine:
        await engine.answer(RUN, "approve", 5, by="Ann")
        with pytest.raises(AlreadyAnswered, match="Ann"):
            await engine.answer(RUN, "approve", "not a number")
        clock.advance(7200.0)
        with pytest.raises(AlreadyAnswered, match="Ann"):
            await engine.answer(RUN, "approve", 6)
        with pytest.raises(AlreadyAnswered, match="Ann"):
            await engine.question(RUN, "approve")
