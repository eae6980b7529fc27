"""One graph, built once by pydantic-graph and run in every way that there is: what the twins of this folder stand on."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from milepost.engine.errors import MilepostError, NodeError
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

SAME: Any = object()
WAYS = ("pydantic-graph", "installed", "in memory", "in SQLite", "isolated")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run came to. state: the caller's own object, as the run left it."""

    output: object
    state: object


@dataclass(frozen=True, slots=True)
class Ways:
    """Runs a graph in every way. folder: where databases may be."""

    folder: Path

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
        theirs_final: Any = SAME,
    ) -> None:
        """Run the graph in every way and compare what comes out, and what became of the state, with what is expected.

        state: what a run begins with, copied for each. isolated: whether it also comes to this when every task has a
        view of the state of its own. stored: whether a store can hold what flows. theirs, theirs_final: what
        pydantic-graph comes to where it is wrong.
        """
        ours = Answer(output, final)
        expected = {
            "pydantic-graph": Answer(
                output if theirs is SAME else theirs, final if theirs_final is SAME else theirs_final
            ),
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
        assert {name: Answer(came, begin[name]) for name, came in outputs.items()} == expected

    async def fail(
        self,
        graph: Graph[StateT, DepsT, InputT, OutputT],
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
        assert (type(ours.value), str(ours.value)) == (type(theirs.value), str(theirs.value))
        for store in self._stores().values():
            with pytest.raises(MilepostError) as stored:
                await self._stored(graph, store, inputs, None, None, "shared")
            if node is not None:
                assert isinstance(stored.value, NodeError)
                assert stored.value.node == node
                assert type(stored.value.__cause__) is error

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
