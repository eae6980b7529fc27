"""What a notebook shows of a workflow or a run. What draws stands on this room, so it is found by its name."""

from __future__ import annotations

from importlib import import_module

from milepost.engine.errors import MilepostError
from milepost.engine.lineage import trace_of
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Store
from milepost.engine.trace import Trace


def bundle_of(subject: object) -> dict[str, str]:
    """Return a picture of a workflow, a definition or a trace, and its text, by media type."""
    bundle: dict[str, str] = import_module("milepost.visualize.notebook").bundle(subject)
    return bundle


def svg_of(subject: object) -> str | None:
    """Return a picture of a workflow, a definition or a trace; None where nothing can draw one."""
    svg: str | None = import_module("milepost.visualize.notebook").svg_or_none(subject)
    return svg


def glance(store: Store | None, run_id: str) -> Trace | None:
    """Return what a run has done by now, without waiting; None where that is not to be had.

    A notebook asks what to show while its event loop stands still. The stores of this process and of a file read
    without ever waiting, so their answers are there at once; a server's would have to be waited for.
    """
    if not isinstance(store, (MemoryStore, SqliteStore)):
        return None
    reading = _read(store, run_id)
    try:
        reading.send(None)
    except StopIteration as answer:
        found: Trace | None = answer.value
        return found
    except MilepostError:
        return None
    finally:
        reading.close()
    return None


async def _read(store: Store, run_id: str) -> Trace | None:
    row = await store.row(run_id)
    return None if row is None else await trace_of(store, row)
