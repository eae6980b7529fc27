"""The one seam that carries out a task's body: attempts, time limits and what the body can ask about itself."""

from __future__ import annotations

import time
from asyncio import CancelledError, current_task
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import anyio

from milepost.engine.current import Current, set_current, total_usage, unset_current
from milepost.engine.journal import Timing
from milepost.engine.plan import Plan
from milepost.engine.policy import Policy
from milepost.engine.position import Task
from milepost.engine.state import State, StateView
from milepost.engine.trace import Usage
from milepost.engine.values import Values

T = TypeVar("T")


@dataclass(slots=True)
class Outcome:
    """How a task's body ended. view: the state as the last attempt left it. error: why it failed for good."""

    output: Any
    view: StateView
    error: BaseException | None = None
    timing: Timing | None = None
    usage: Usage | None = None


class InOwnContext(Generic[T]):
    """Awaits a coroutine in a copy of the current context, so that the variables it sets stay its own, as in a task."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, T]:
        run = copy_context().run
        send, throw = self._coroutine.send, self._coroutine.throw
        try:
            waited = run(send, None)
            while True:
                try:
                    answer: Any = yield waited
                except GeneratorExit:
                    self._coroutine.close()
                    raise
                except BaseException as error:
                    waited = run(throw, error)
                else:
                    waited = run(send, answer)
        except StopIteration as stop:
            result: T = stop.value
            return result


class Body:
    """Carries out the bodies of a run's tasks, here as coroutines of this process."""

    def __init__(
        self, plan: Plan, values: Values, state: State, deps: Any, run_id: str, alone: Callable[[], bool]
    ) -> None:
        self._plan = plan
        self._values = values
        self._state = state
        self._deps = deps
        self._run_id = run_id
        self._alone = alone

    async def carry_out(self, task: Task) -> Outcome:
        """Try a task until it succeeds or its policy is used up."""
        policy = self._plan.workflow.specs[task.node].policy
        attempt = 0
        usage: Usage | None = None
        while True:
            attempt += 1
            outcome = await self._attempt(task, attempt, policy)
            outcome.usage = usage = total_usage(usage, outcome.usage)
            retry = policy.retry
            if outcome.error is None or retry is None or attempt >= retry.attempts:
                return outcome
            if not isinstance(outcome.error, retry.on):
                return outcome
            self._state.drop(outcome.view)
            await anyio.sleep(retry.pause(attempt))

    async def _attempt(self, task: Task, attempt: int, policy: Policy) -> Outcome:
        """Try once, with inputs and a view of the state of its own."""
        node = self._plan.nodes[task.node]
        view = self._state.view(self._alone)
        outcome = Outcome(None, view)
        current = Current(self._run_id, task.node, task.key, attempt)
        token = set_current(current)
        started = time.time()
        try:
            call = cast("Callable[[Any], Awaitable[Any]]", node.call)
            context = view.context(self._deps, self._values.load(task.ref))
            if policy.timeout is None:
                outcome.output = await call(context)
            else:
                with anyio.move_on_after(policy.timeout) as limit:
                    outcome.output = await call(context)
                if limit.cancelled_caught:
                    raise TimeoutError(f"it took longer than {policy.timeout:g} seconds")
        except Exception as error:
            outcome.error = error
        except CancelledError as error:
            if is_being_cancelled():
                raise
            outcome.error = error  # the body's own doing, e.g. a cancelled future that it waited for
        finally:
            unset_current(token)
        outcome.timing = Timing(started, time.time(), attempt)
        outcome.usage = current.usage
        return outcome


def is_being_cancelled() -> bool:
    """Tell whether somebody cancels the asyncio task that runs this."""
    task = current_task()
    return task is None or task.cancelling() > 0
