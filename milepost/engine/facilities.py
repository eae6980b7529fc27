"""What the runs of one engine share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from milepost.engine.caching import NodeCache
from milepost.engine.children import Nest
from milepost.engine.limits import Traffic
from milepost.engine.plan import Plan
from milepost.engine.slots import Gates
from milepost.engine.stores.store import Store
from milepost.engine.values import StoredValues, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Facilities:
    """The limits that all runs of an engine keep together, and the store that keeps outputs for other runs.

    clock: seconds since 1970 UTC. nest: drives a run inside another.
    """

    gates: Gates = field(default_factory=Gates)
    traffic: Traffic = field(default_factory=Traffic)
    store: Store | None = None
    clock: Callable[[], float] = time.time
    nest: Nest

    def cache(self, plan: Plan, values: Values) -> NodeCache | None:
        """Return the cache of a workflow's nodes, None when nothing of theirs is stored or kept."""
        if self.store is None or not isinstance(values, StoredValues):
            return None
        if not any(node.policy is not None and node.policy.cache is not None for node in plan.nodes.values()):
            return None
        return NodeCache(self.store, plan, values, self.clock)
