"""Random workflows that wait, spoken to in any order and crashed anywhere, come to one output and run nothing twice."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from milepost import Engine, StepContext, WorkflowBuilder
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import reduce_list_append
from milepost.testing import crash_everywhere
from milepost.testing.clock import FakeClock
from tests.engine.waiters import RUN, AnyWorkflow

CHAINS = st.lists(st.sampled_from(["ask", "event", "sleep"]), min_size=1, max_size=4)


def said(node: str, item: int) -> int:
    """What is said to a node, by an answer or by an event."""
    return 1000 * (item + 1) + int(node.split("_")[1])


def chained(kinds: list[str], ran: list[str]) -> AnyWorkflow:
    """Build a map over a chain of nodes that wait, each with a node behind it. Input and output are of one item each.

    What flows is the item in the thousands, and the number of the node that was spoken to last.
    """
    wf = WorkflowBuilder(name="chained", input_type=list[int], output_type=list[int])
    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    entry: Any = None
    last: Any = None

    def waiting(kind: str, number: int) -> Any:
        name = f"wait_{number}"

        async def ask(ctx: StepContext[None, None, int]) -> str:
            ran.append(f"{name} {ctx.inputs // 1000}")
            return f"{ctx.inputs // 1000}"

        if kind == "ask":
            return wf.ask(answer=int, node_id=name)(ask)
        if kind == "event":
            return wf.wait_for(name, int, node_id=name, key=lambda ctx: str(ctx.inputs // 1000))
        return wf.sleep(0.001, node_id=name)

    def working(number: int) -> Any:
        async def work(ctx: StepContext[None, None, int]) -> int:
            ran.append(f"work_{number} {ctx.inputs // 1000}")
            return ctx.inputs

        return wf.function(node_id=f"work_{number}")(work)

    for number, kind in enumerate(kinds):
        wait, work = waiting(kind, number), working(number)
        if entry is None:
            entry = wait
        else:
            wf.edge(last, wait)
        wf.edge(wait, work)
        last = work
    wf.edge(wf.start_node, wf.each(entry, fork_id="each"))
    wf.edge(last, collect)
    wf.edge(collect, wf.end_node)
    return wf.build()


async def spoken(kinds: list[str], items: int, seed: int) -> tuple[list[int], list[str], list[str]]:
    """Run it, with everything said in some order and with processes that end now and then.

    Returns the output, the bodies that ran, and what is wrong with the store.
    """
    chance, clock, journals, ran = random.Random(seed), FakeClock(), Journals(), list[str]()
    workflow = chained(kinds, ran)
    events = [(number, item) for number, kind in enumerate(kinds) if kind == "event" for item in range(items)]
    chance.shuffle(events)
    while True:
        async with Engine(MemoryStore(journals, clock=clock), clock=clock) as engine:
            inputs = [1000 * (item + 1) for item in range(items)]
            run = await engine.start(workflow, inputs=inputs, run_id=RUN)
            for _ in range(chance.randrange(1, 6)):
                if await run.settle() != "waiting":
                    return await run.result(), ran, [one.text for one in await engine.verify()]
                questions = await engine.questions(RUN)
                choices = ["time"] + ["ask"] * bool(questions) + ["event"] * bool(events)
                match chance.choice(choices):
                    case "ask":
                        one = chance.choice(questions)
                        await engine.answer(RUN, one.id, said(one.node, int(one.text) - 1))
                    case "event":
                        number, item = events.pop()
                        name = f"wait_{number}"
                        await engine.send(RUN, name, said(name, item), key=str(item + 1))
                    case _:
                        clock.advance(0.001)
                        await engine.resume(RUN, workflow)
                for _ in range(chance.randrange(30)):
                    await anyio.lowlevel.checkpoint()


@settings(max_examples=40)
@given(CHAINS, st.integers(1, 3), st.integers(0, 9999))
def test_whatever_is_said_in_whatever_order_gives_one_output(kinds: list[str], items: int, seed: int) -> None:
    output, ran, faults = anyio.run(spoken, kinds, items, seed)
    numbers = [number for number, kind in enumerate(kinds) if kind != "sleep"]
    last = numbers[-1] if numbers else 0
    assert sorted(output) == [1000 * (item + 1) + last for item in range(items)]
    assert faults == []
    asked = [f"wait_{number} {item + 1}" for number, kind in enumerate(kinds) for item in range(items) if kind == "ask"]
    works = [f"work_{number} {item + 1}" for number in range(len(kinds)) for item in range(items)]
    counts = Counter(ran)
    assert set(counts) == {*asked, *works}
    again = {body: count for body, count in counts.items() if count > 1}
    assert all(body.startswith("work") for body in again), "a question that is committed is not asked again"


@settings(max_examples=6)
@given(CHAINS)
def test_a_crash_after_every_record_changes_nothing(kinds: list[str]) -> None:
    """One item, so that what each node is told is known."""
    waits = {f"wait_{number}": 1000 + number for number in range(len(kinds))}
    answers = {name: value for (name, value), kind in zip(waits.items(), kinds, strict=True) if kind == "ask"}
    events = {name: value for (name, value), kind in zip(waits.items(), kinds, strict=True) if kind == "event"}
    report = crash_everywhere(chained(kinds, []), [1000], answers=answers, events=events)
    numbers = [number for number, kind in enumerate(kinds) if kind != "sleep"]
    assert report.output == [1000 + (numbers[-1] if numbers else 0)]
