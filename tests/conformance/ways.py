"""One graph, built once by pydantic-graph and run in every way that there is: what the twins here stand on."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import pytest
from pydantic_graph import TypeExpression

from milepost.engine.errors import MilepostError
from milepost.engine.install import install
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Store
from milepost.engine.typed import Graph
from milepost.engine.workflow import Workflow

StateT = TypeVar("StateT")
DepsT = TypeVar("DepsT")
InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")

Expression: Any = TypeExpression
"""`pydantic_graph.TypeExpression`, which mypy cannot read."""

SAME: Any = object()
WAYS = ("pydantic-graph", "installed", "in memory", "in SQLite", "isolated")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run came to. state: the caller's own object, as the run left it."""

    output: object
    state: object

    def in_any_order(self) -> Answer:
        """Return the same with sorted lists, as trio on purpose does not start tasks in the order that they come in."""
        return Answer(with_sorted_lists(self.output), with_sorted_lists(self.state))


def with_sorted_lists(value: Any) -> object:
    """Return a value, taken apart as far as it holds lists, with those in an order of their own."""
    if isinstance(value, list):
        return sorted(map(with_sorted_lists, cast("list[object]", value)), key=repr)
    if isinstance(value, dict):
        return {name: with_sorted_lists(item) for name, item in cast("dict[object, object]", value).items()}
    return with_sorted_lists(vars(value)) if is_dataclass(value) else value


def told(error: BaseException) -> tuple[object, ...]:
    """Return what somebody who catches an exception can learn from it."""
    return type(error), str(error), repr(error.args), repr(error.__cause__), repr(error.__context__)


@dataclass(frozen=True, slots=True)
class Ways:
    """Runs a graph in every way. folder: where databases may be. in_order: tasks start in the order they come in."""

    folder: Path
    in_order: bool

    async def agree(
        self,
        graph: Graph[StateT, DepsT, InputT, OutputT],
        output: object,
        *,
        inputs: Any = None,
        deps: Any = None,
        state: Any = None,
        final: object = None,
        isolated: bool = True,
        stored: bool = True,
        theirs: Any = SAME,
    ) -> None:
        """Run the graph in every way and compare what comes out, and what became of the state, with what is expected.

        state: what a run begins with, copied for each. isolated: whether it also comes to this when every task has a
        view of the state of its own. stored: whether a store can hold what flows. theirs: what pydantic-graph
        gives where it is wrong.
        """
        ours = Answer(output, final)
        expected = {
            "pydantic-graph": Answer(output if theirs is SAME else theirs, final),
            "installed": ours,
        }
        begin: dict[str, Any] = {name: deepcopy(state) for name in WAYS}
        outputs: dict[str, object] = {
            "pydantic-graph": await graph.run(
                inputs=deepcopy(inputs), deps=deps, state=begin["pydantic-graph"], infer_name=False
            )
        }
        with install():
            outputs["installed"] = await graph.run(
                inputs=deepcopy(inputs), deps=deps, state=begin["installed"], infer_name=False
            )
        for name, store in self._stores().items() if stored else ():
            expected[name] = ours
            outputs[name] = await self._stored(graph, store, inputs, deps, begin[name], "shared")
        if stored and isolated:
            expected["isolated"] = ours
            outputs["isolated"] = await self._stored(graph, MemoryStore(), inputs, deps, begin["isolated"], "task")
        answers = {name: Answer(came, begin[name]) for name, came in outputs.items()}
        if not self.in_order:
            answers = {name: answer.in_any_order() for name, answer in answers.items()}
            expected = {name: answer.in_any_order() for name, answer in expected.items()}
        assert answers == expected

    async def fail(
        self,
        graph: Graph[Any, Any, Any, Any],
        error: type[BaseException],
        text: str,
        *,
        node: str | None,
        inputs: Any = None,
    ) -> None:
        """Run the graph in every way and see it fail with the same error, its text beginning with `text`.

        node: whose own error it is, None for an error in how values flow.
        """
        with pytest.raises(error, match=f"^{text}") as theirs:
            await graph.run(inputs=inputs, infer_name=False)
        with install(), pytest.raises(error, match=f"^{text}") as ours:
            await graph.run(inputs=inputs, infer_name=False)
        assert told(ours.value) == told(theirs.value)
        for store in self._stores().values():
            with pytest.raises(MilepostError) as stored:
                await self._stored(graph, store, inputs, None, None, "shared")
            assert getattr(stored.value, "node", None) == node
            assert node is None or type(stored.value.__cause__) is error

    def _stores(self) -> dict[str, Store]:
        return {
            "in memory": MemoryStore(),
            "in SQLite": SqliteStore(self.folder / "runs.db", durability="process"),
        }

    async def _stored(
        self,
        graph: Graph[Any, Any, Any, Any],
        store: Store,
        inputs: Any,
        deps: Any,
        state: Any,
        isolation: Literal["shared", "task"],
    ) -> object:
        workflow: Workflow[Any, Any, Any, Any] = Workflow.from_graph(graph)
        answer: object = await workflow.run(inputs=inputs, deps=deps, state=state, store=store, isolation=isolation)
        return answer
