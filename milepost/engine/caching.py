"""Outputs of nodes that are kept for other runs: in the store, by what the node was given."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from milepost.engine.plan import Plan
from milepost.engine.policy import Cache
from milepost.engine.position import Task
from milepost.engine.spec import Choice
from milepost.engine.stores.store import Store
from milepost.engine.values import StoredValues

MISSING: Final = object()


class NodeCache:
    """Reads the cache of a store for the nodes of one workflow. clock: seconds since 1970 UTC."""

    def __init__(self, store: Store, plan: Plan, values: StoredValues, clock: Callable[[], float]) -> None:
        self._store = store
        self._plan = plan
        self._codec = values.codec
        self._values = values
        self._clock = clock

    def key(self, task: Task, cache: Cache) -> str:
        """Return what an output is kept under: a hash of the workflow, its version, the node and what it is given."""
        if cache.key is None:
            given = self._values.text(task.ref)
        else:
            path = f"the cache key of node {task.node!r}"
            given, _ = self._codec.encode(cache.key(self._values.load(task.ref)), Any, path)
        workflow = self._plan.workflow
        whole = json.dumps([workflow.name, workflow.version, task.node, given])
        return blake2b(whole.encode(), digest_size=16).hexdigest()

    def place(self, task: Task, cache: Cache) -> tuple[str, float | None]:
        """Return under which key, and until when, the output of a task is to be kept."""
        return self.key(task, cache), None if cache.ttl is None else self._clock() + cache.ttl

    async def get(self, task: Task, cache: Cache) -> Any:
        """Return what the node gave for the same inputs before, or MISSING."""
        text = await self._store.cached(self.key(task, cache), self._clock())
        if text is None:
            return MISSING
        tag = f"out:{task.node}"
        output = self._codec.decode(text, self._plan.type_of(tag), tag)
        return Choice(output, None) if self._plan.nodes[task.node].role == "decide" else output
