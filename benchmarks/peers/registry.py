"""All peers by name. Their modules are imported only in the child process that measures one of them."""

from __future__ import annotations

from importlib import import_module

from benchmarks.peers.peer import Peer

MODULES = {
    "memory": "benchmarks.peers.ours",
    "process": "benchmarks.peers.ours",
    "power": "benchmarks.peers.ours",
    "pydantic-graph": "benchmarks.peers.upstream",
    "langgraph": "benchmarks.peers.langgraph",
    "langgraph-sqlite": "benchmarks.peers.langgraph",
}


def load(name: str) -> Peer:
    """Import and return the peer of this name, one of `MODULES`."""
    peers: dict[str, Peer] = import_module(MODULES[name]).PEERS
    return peers[name]
