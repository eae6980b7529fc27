"""All peers by name. Their modules are imported only in the child process that measures one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from benchmarks.peers.peer import Peer

OURS = "milepost"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a peer is. module: below `benchmarks.peers`. environment: where it is installed, or `OURS`.

    beside: the ways of Milepost that promise what this peer does, or come nearest to it. postgres: it needs a server.
    on_slow_disk: it is measured as if the disk were slow.
    """

    name: str
    module: str
    environment: str
    beside: tuple[str, ...] = ()
    postgres: bool = False
    on_slow_disk: bool = False


SQLITE = ("milepost-sqlite-process", "milepost-sqlite-power")
POSTGRES = ("milepost-postgres-process", "milepost-postgres-power")


def _entries() -> Iterator[Entry]:
    yield Entry(OURS, "ours", OURS)
    yield from (Entry(name, "ours", OURS) for name in ("milepost-sqlite-none", *SQLITE))
    yield Entry("milepost-sqlite-power-slow", "ours", OURS, on_slow_disk=True)
    yield from (Entry(name, "ours", OURS, postgres=True) for name in POSTGRES)
    yield Entry("pydantic-graph", "upstream", "pydantic-graph", (OURS, SQLITE[0]))
    yield Entry("langgraph", "foreign.langgraph", "langgraph", (OURS,))
    yield Entry("langgraph-sqlite", "foreign.langgraph", "langgraph", SQLITE)
    yield Entry("langgraph-sqlite-normal", "foreign.langgraph", "langgraph", SQLITE[:1])
    yield Entry("langgraph-sqlite-sync", "foreign.langgraph", "langgraph", SQLITE[1:])
    yield Entry("langgraph-sqlite-delta", "foreign.langgraph", "langgraph", SQLITE)
    yield Entry("langgraph-postgres", "foreign.langgraph", "langgraph", POSTGRES, postgres=True)
    yield Entry("langgraph-postgres-sync", "foreign.langgraph", "langgraph", POSTGRES[1:], postgres=True)
    yield Entry("langgraph-postgres-delta", "foreign.langgraph", "langgraph", POSTGRES, postgres=True)
    yield Entry("burr", "foreign.burr", "burr", (OURS,))
    yield Entry("burr-sqlite", "foreign.burr", "burr", SQLITE)
    yield Entry("burr-sqlite-normal", "foreign.burr", "burr", SQLITE[:1])
    yield Entry("burr-postgres", "foreign.burr", "burr", POSTGRES[1:], postgres=True)
    yield Entry("llama-index-workflows", "foreign.llama_index", "llama-index-workflows", (OURS,))
    yield Entry("llama-index-workflows-files", "foreign.llama_index", "llama-index-workflows", SQLITE[:1])
    yield Entry("agent-framework", "foreign.agent_framework", "agent-framework", (OURS,))
    yield Entry("agent-framework-files", "foreign.agent_framework", "agent-framework", SQLITE[:1])
    yield Entry("dbos-sqlite", "foreign.dbos", "dbos", SQLITE[1:])
    yield Entry("dbos-postgres", "foreign.dbos", "dbos", POSTGRES[1:], postgres=True)
    yield from (Entry(f"limit-{name}", "limits", OURS) for name in ("switch", "fsync"))
    yield Entry("limit-sqlite-process", "limits", OURS, SQLITE[:1])
    yield Entry("limit-sqlite-power", "limits", OURS, SQLITE[1:])
    yield Entry("limit-sqlite-power-long", "limits", OURS, SQLITE[1:])
    yield Entry("limit-sqlite-power-slow", "limits", OURS, ("milepost-sqlite-power-slow",), on_slow_disk=True)
    yield Entry("limit-postgres-process", "limits", OURS, POSTGRES[:1], postgres=True)
    yield Entry("limit-postgres-power", "limits", OURS, POSTGRES[1:], postgres=True)


ENTRIES = {entry.name: entry for entry in _entries()}


def load(name: str) -> Peer:
    """Import and return the peer of this name, one of `ENTRIES`."""
    peers: dict[str, Peer] = import_module(f"benchmarks.peers.{ENTRIES[name].module}").PEERS
    return peers[name]
