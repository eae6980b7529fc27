"""What a test leaves behind is seen, on both event loops."""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio import to_thread

from tests.loops import LOOPS, leaving_nothing

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", LOOPS)]


async def test_a_task_that_is_left_is_seen() -> None:
    async with anyio.create_task_group() as group:
        with pytest.raises(AssertionError, match="Tasks are left behind"):
            async with leaving_nothing():
                group.start_soon(anyio.sleep_forever)
        group.cancel_scope.cancel()


async def test_a_thread_that_is_left_is_seen() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="left over")
    with pytest.raises(AssertionError, match=r"Threads are left behind: \['left over'\]"):
        async with leaving_nothing():
            thread.start()
    done.set()
    thread.join()


async def test_what_has_ended_and_the_threads_of_a_pool_are_not_left() -> None:
    async with leaving_nothing(), anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 0)
        await to_thread.run_sync(threading.get_ident)
