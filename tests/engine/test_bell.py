"""A bell wakes whoever waits for it, on both event loops."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from milepost.engine.bell import Bell, find_bell
from tests.loops import LOOPS

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", LOOPS)]


class Sleeper:
    """Waits for a bell again and again. heard: how often it was woken."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.heard = 0

    async def sleep(self, times: int) -> None:
        for _ in range(times):
            await self.bell.wait()
            self.heard += 1


async def begin(group: TaskGroup, sleeper: Sleeper, times: int) -> None:
    group.start_soon(sleeper.sleep, times)
    await anyio.wait_all_tasks_blocked()


async def test_whoever_waits_is_woken_once_for_each_time_that_it_waits() -> None:
    sleeper = Sleeper(find_bell())
    async with anyio.create_task_group() as group:
        await begin(group, sleeper, 3)
        assert sleeper.heard == 0
        for heard in (1, 2, 3):
            sleeper.bell.ring()
            sleeper.bell.ring()
            await anyio.wait_all_tasks_blocked()
            assert sleeper.heard == heard


async def test_nobody_hears_a_bell_that_is_rung_before() -> None:
    sleeper = Sleeper(find_bell())
    sleeper.bell.ring()
    async with anyio.create_task_group() as group:
        await begin(group, sleeper, 1)
        assert sleeper.heard == 0
        sleeper.bell.ring()


async def test_a_bell_is_as_before_when_a_wait_for_it_was_cancelled() -> None:
    sleeper = Sleeper(find_bell())
    async with anyio.create_task_group() as group:
        await begin(group, sleeper, 1)
        group.cancel_scope.cancel()
        sleeper.bell.ring()
    sleeper.bell.ring()
    assert sleeper.heard == 0
    with anyio.move_on_after(0):
        await sleeper.bell.wait()
    sleeper.bell.ring()
    await checkpoint()
    async with anyio.create_task_group() as group:
        await begin(group, sleeper, 1)
        sleeper.bell.ring()
    assert sleeper.heard == 1
