"""Which run was forked from which, read from the store."""

from __future__ import annotations

import pytest

from milepost.engine.engine import Engine
from milepost.engine.errors import UnknownRun
from milepost.engine.family import Relative, Station
from tests.engine.letters import LETTERS, finished
from tests.engine.nests import OUTER, World
from tests.engine.nests import world as world
from tests.engine.subjects import RUN, Deps

pytestmark = pytest.mark.anyio


def told(family: tuple[Relative, ...]) -> list[tuple[str, int, str | None, int]]:
    return [(one.row.run_id, one.level, one.row.forked_from, one.row.forked_at) for one in family]


async def test_a_family_is_the_same_whichever_of_its_runs_is_asked_for(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        for origin, at, run_id in ((RUN, 3, "b"), (RUN, 1, "a"), ("b", 5, "c")):
            fork = await engine.fork(origin, LETTERS, at=at, deps=Deps(), run_id=run_id)
            await fork.result()
        families = [await engine.family(run_id) for run_id in (RUN, "a", "b", "c")]
    assert told(families[0]) == [(RUN, 0, None, 0), ("a", 1, RUN, 1), ("b", 1, RUN, 3), ("c", 2, "b", 5)]
    assert all(told(one) == told(families[0]) for one in families)


async def test_a_fork_at_a_shared_checkpoint_is_one_of_the_run_that_has_it(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        await (await engine.fork(RUN, LETTERS, at=3, deps=Deps(), run_id="b")).result()
        await (await engine.fork("b", LETTERS, at=2, deps=Deps(), run_id="c")).result()
        family = await engine.family("c")
    assert told(family) == [(RUN, 0, None, 0), ("c", 1, RUN, 2), ("b", 1, RUN, 3)]


async def test_stations_are_the_first_the_forked_and_the_newest_checkpoint(world: World) -> None:
    async with Engine(world()) as engine:
        await finished(engine)
        await (await engine.fork(RUN, LETTERS, at=3, deps=Deps(), run_id="b")).result()
        first, fork = await engine.family("b")
    assert [station.seq for station in first.stations] == [1, 3, first.row.seq]
    assert first.stations[0] == Station(seq=1, did="started")
    assert first.stations[1].node != ""
    assert fork.stations[0] == Station(seq=4, did="forked")
    assert fork.stations[-1].seq == fork.row.seq


async def test_runs_inside_runs_are_not_forks(world: World) -> None:
    async with Engine(world()) as engine:
        run = await engine.start(OUTER, inputs=1, run_id="outer", deps=Deps())
        await run.result()
        assert await engine.children("outer")
        assert [one.row.run_id for one in await engine.family("outer")] == ["outer"]


async def test_a_run_that_is_not_there_has_no_family() -> None:
    async with Engine("memory://") as engine:
        with pytest.raises(UnknownRun):
            await engine.family("nobody")
