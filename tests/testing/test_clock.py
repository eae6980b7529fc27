"""The clock that a test moves on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from math import nan

import pytest

from milepost import Engine, InputError, MemoryStore
from milepost.testing import FakeClock
from tests.testing.flows import streaming


def test_it_stands_still_until_it_is_moved_on() -> None:
    clock = FakeClock(datetime(2030, 5, 1, 12, tzinfo=UTC))
    before = clock()

    clock.advance(1.5)

    assert clock() == before + 1.5
    assert clock.now == datetime(2030, 5, 1, 12, 0, 1, 500_000, tzinfo=UTC)
    assert repr(clock) == "<FakeClock at 2030-05-01T12:00:01.500000+00:00>"


def test_it_tells_the_time_in_utc() -> None:
    clock = FakeClock(datetime(2030, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))))

    assert clock.now.isoformat() == "2030-05-01T10:00:00+00:00"


@pytest.mark.parametrize("seconds", [-1, nan])
def test_it_does_not_go_backwards(seconds: float) -> None:
    with pytest.raises(InputError, match="Time cannot advance by"):
        FakeClock().advance(seconds)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InputError, match="has no time zone"):
        FakeClock(datetime(2030, 5, 1))


@pytest.mark.anyio
async def test_engines_and_stores_go_by_it() -> None:
    clock = FakeClock()
    async with Engine(MemoryStore(clock=clock), clock=clock) as engine:
        await (await engine.start(streaming("same"), run_id="r-1")).result()
        clock.advance(60)
        await (await engine.start(streaming("same"), run_id="r-2")).result()
        last, first = await engine.runs()

    assert last.created - first.created == timedelta(seconds=60)
    assert first.created == FakeClock().now
