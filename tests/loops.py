"""The event loops that a test runs on, and what must not be left of it there."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

LOOPS = ["asyncio", "trio"]

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""Marks a test of something that needs asyncio, e.g. an agent."""

POOLS = ("AnyIO worker thread", "Trio thread", "asyncio_")
"""How the names of threads begin that wait for the next synchronous function of anybody."""


@pytest.fixture(params=LOOPS)
def both_loops(request: pytest.FixtureRequest) -> str:
    """Run a test marked `anyio` on either event loop."""
    name: str = request.param
    return name


def threads() -> set[threading.Thread]:
    """The threads that run now, but for those of pools."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith(POOLS)}


def tasks() -> dict[int, str]:
    """The tasks of this event loop by their ids, but for those that carry out tests and fixtures."""
    found = {task.id: str(getattr(task.coro, "__qualname__", task)) for task in anyio.get_running_tasks()}
    return {key: name for key, name in found.items() if not name.startswith("TestRunner.")}


@asynccontextmanager
async def leaving_nothing() -> AsyncGenerator[None]:
    """Raise AssertionError when what is done meanwhile leaves a task or a thread behind."""
    before, others = tasks(), threads()
    yield
    left = [name for key, name in tasks().items() if key not in before]
    assert not left, f"Tasks are left behind: {left}"
    running = [thread.name for thread in threads() - others]
    assert not running, f"Threads are left behind: {running}"


@pytest.fixture
async def nothing_left(anyio_backend: str) -> AsyncIterator[None]:
    """Fail a test that leaves a task or a thread behind."""
    async with leaving_nothing():
        yield


@pytest.fixture(autouse=True)
def leaves_nothing(request: pytest.FixtureRequest) -> None:
    """Look after every test that has an event loop."""
    if "anyio_backend" in request.fixturenames:
        request.getfixturevalue("nothing_left")
