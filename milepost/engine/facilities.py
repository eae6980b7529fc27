"""What the runs of one engine share."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from milepost.engine.caching import NodeCache
from milepost.engine.children import ChildWork, Parent
from milepost.engine.limits import Traffic
from milepost.engine.plan import Plan
from milepost.engine.slots import Gates
from milepost.engine.stores.store import Message, Store
from milepost.engine.values import StoredValues, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A run that is stored nowhere, for those who have something to say to it.

    driver: a `milepost.engine.executor.Driver`, of a `milepost.Workflow`. parent: the run that it is inside of. said:
    the messages that it was given, by their ids.
    """

    run_id: str
    parent: str | None
    driver: Any
    workflow: Any
    said: dict[str, Message] = field(default_factory=dict[str, Message])


@dataclass(frozen=True, slots=True, kw_only=True)
class Facilities:
    """The limits that all runs of an engine keep together, and the store that keeps outputs for other runs.

    clock: seconds since 1970 UTC. nest: drives a run inside another. live: the runs that are stored nowhere and may
    wait for something, by id. alone: nobody can say anything to them.
    """

    gates: Gates = field(default_factory=Gates)
    traffic: Traffic = field(default_factory=Traffic)
    store: Store | None = None
    clock: Callable[[], float] = time.time
    nest: Nest
    live: dict[str, Live] = field(default_factory=dict[str, Live])
    alone: bool = False

    def cache(self, plan: Plan, values: Values) -> NodeCache | None:
        """Return the cache of a workflow's nodes, None when nothing of theirs is stored or kept."""
        if self.store is None or not isinstance(values, StoredValues):
            return None
        if not any(node.policy is not None and node.policy.cache is not None for node in plan.nodes.values()):
            return None
        return NodeCache(self.store, plan, values, self.clock)


Nest = Callable[[Parent, ChildWork, Facilities], Awaitable[Any]]
"""Drives a run for a task, or goes on with it, and returns its output."""
