"""`crash_everywhere`: run a workflow, let its process die after every record, and hold what comes out against it."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol, TypeVar
from uuid import uuid4

import anyio

from milepost.engine.errors import InputError, MilepostError, OutcomeUnknown
from milepost.engine.journal import from_text
from milepost.engine.settlement import NOTHING_SETTLED, Settlement
from milepost.engine.stores.address import open_store
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.stores.store import Store
from milepost.engine.workflow import Workflow
from milepost.testing.findings import CrashFound, CrashReport
from milepost.testing.journals import Journal, read_tree, result_of
from milepost.testing.judging import Evidence, Judge, Same
from milepost.testing.lives import Life, Lived, Subject, live_here
from milepost.testing.notes import Kept

T = TypeVar("T")
MakeStore = Callable[[Life], Store]
Kills = Literal["in process", "SIGKILL"]


def crash_everywhere(
    workflow: Workflow[Any, Any, Any, Any] | str,
    inputs: Any = None,
    *,
    state: Any = None,
    deps: Any = None,
    store: MakeStore | str | None = None,
    kills: Kills = "in process",
    same_output: Same | None = None,
    same_state: Same | None = None,
    settle: Mapping[str, Settlement] = NOTHING_SETTLED,
    at: Sequence[int] = (),
    timeout: float = 60.0,
    backend: Literal["asyncio", "trio"] = "asyncio",
    folder: Path | None = None,
) -> CrashReport:
    """Run a workflow straight, then once for every record it makes, with its process dying right after that record.

    Every run that died is resumed. It has to come to the same output, the same final state and the same journal but for
    times and order, without losing a committed record and without running a committed task again. At last one run dies
    after each of its records. What a process dies with is lost, all but the store and the files in `Life.folder`.

    deps: an object for all lives, or a function of the `Life` that makes one, or an async context manager that does.
    store: makes a store for a life, or its URL; a MemoryStore for each run if it is not given. kills: "in process"
    stops everything and throws it away; "SIGKILL" kills real processes, for which workflow, deps and store are named as
    "module:attribute" or "file.py:attribute" (a store by its URL, too).
    same_output: for a workflow whose result depends on timing, tells of the output without a crash and another whether
    that is as good; journals are then not compared. same_state: the same for the final state. settle: by node, what a
    person says about a task that may run at most once and had begun. at: after how many records the process dies, in
    one run, instead of all of the above. timeout: seconds that a life of the process may last. folder: see `Life`.
    Can be called from a test that is a coroutine, too, which it blocks.
    Raises CrashFound, an AssertionError; InputError; in process, what the run without a crash fails with.
    """
    if kills not in ("in process", "SIGKILL"):
        raise InputError(f"kills={kills!r} is not known. Write 'in process' or 'SIGKILL'.")
    if list(at) != sorted({number for number in at if number > 0}):
        raise InputError(f"at={at!r} is no list of records. Give numbers from 1 on, each greater than the one before.")
    kept: AbstractContextManager[Any] = nullcontext(folder) if folder else TemporaryDirectory(prefix="milepost-crashes-")
    with kept as place:
        Path(place).mkdir(parents=True, exist_ok=True)
        process = in_process if kills == "in process" else ...
    raise NotImplementedError
