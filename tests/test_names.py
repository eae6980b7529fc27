"""`milepost` exports exactly the names that are listed, each from one place, and imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import milepost

PUBLIC = [
    "Again",
    "AlreadyAnswered",
    "AnswerError",
    "AttemptStarted",
    "BaseNode",
    "BrokenJournal",
    "Cache",
    "Checkpoint",
    "CircuitBreaker",
    "CircuitChanged",
    "CircuitOpen",
    "Committed",
    "CommittedEvent",
    "CrashLoop",
    "Current",
    "Custom",
    "DamagedStore",
    "DeadlinePassed",
    "DecideNode",
    "Decision",
    "Definition",
    "Difference",
    "Done",
    "Dropped",
    "EdgeTaken",
    "EditError",
    "Encrypted",
    "End",
    "Engine",
    "Event",
    "EventKept",
    "Failure",
    "ForeignStore",
    "Graph",
    "GraphBuilder",
    "GraphRunContext",
    "IncompatibleWorkflow",
    "InputError",
    "ItemEmitted",
    "Join",
    "JoinFired",
    "JoinNode",
    "LeaseLost",
    "MemoryStore",
    "MessageRefused",
    "MigrationError",
    "MilepostError",
    "NodeError",
    "NodeKind",
    "NodeSpec",
    "NotStorable",
    "OpenWait",
    "OutcomeUnknown",
    "PassingEvent",
    "Policy",
    "PostgresStore",
    "Question",
    "RateLimit",
    "ReduceFirstValue",
    "ReducerContext",
    "Report",
    "ResumeError",
    "Retry",
    "RoutingError",
    "Run",
    "RunBusy",
    "RunCancelled",
    "RunEnded",
    "RunForked",
    "RunLeft",
    "RunMigrated",
    "RunMismatch",
    "RunRefused",
    "RunStarted",
    "RunStopped",
    "RunTaken",
    "RunWaiting",
    "RunWaits",
    "Snapshot",
    "SqliteStore",
    "StateConflict",
    "StateEdited",
    "Step",
    "StepContext",
    "StepNode",
    "Store",
    "StoreAway",
    "StoreError",
    "Stored",
    "StoredValue",
    "TaskCancelled",
    "TaskFailed",
    "TaskFinished",
    "TaskRetried",
    "TaskSettled",
    "TaskStarted",
    "TaskWaiting",
    "TextDelta",
    "TimeUp",
    "Trace",
    "UnknownCheckpoint",
    "UnknownQuestion",
    "UnknownRun",
    "UnsoundWorkflow",
    "Usage",
    "WaitStep",
    "WaitTrace",
    "WorkerEvent",
    "Workflow",
    "WorkflowBuilder",
    "WorkflowError",
    "WrongKey",
    "add",
    "append",
    "current",
    "describe",
    "install",
    "is_transient",
    "last",
    "merger",
    "open_store",
    "reduce_dict_update",
    "reduce_list_append",
    "reduce_list_extend",
    "reduce_null",
    "reduce_sum",
    "union",
]


def test_the_public_names_are_these() -> None:
    assert sorted(milepost.__all__) == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(milepost))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(milepost, name) is getattr(import_module(milepost.HOMES[name]), name)


def test_type_checkers_are_told_the_same_names_and_places() -> None:
    tree = ast.parse(Path(str(milepost.__file__)).read_text("utf-8"))
    told = {
        alias.name: str(node.module)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == milepost.HOMES


def test_every_error_is_public() -> None:
    from milepost.engine import errors

    assert {name for name, value in vars(errors).items() if isinstance(value, type)} - set(PUBLIC) <= {"Sequence"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'milepost' has no attribute 'nothing'"):
        vars(milepost)["__getattr__"]("nothing")


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_milepost_loads_nothing_heavy() -> None:
    assert not loaded_by("import milepost") & {"networkx", "pydantic", "pydantic_ai", "pydantic_graph", "anyio"}


def test_declaring_needs_neither_networkx_nor_agents() -> None:
    heavy = {"networkx", "pydantic_ai", "graphviz", "tenacity"}
    assert not loaded_by("from milepost import WorkflowBuilder, StepContext, Retry; WorkflowBuilder()") & heavy


START = "from milepost import Engine, SqliteStore, StepContext, WorkflowBuilder"


def test_what_declares_and_runs_a_workflow_loads_nothing_that_it_may_do_without() -> None:
    heavy = {
        "pydantic",
        "pydantic_core",
        "networkx",
        "jsonschema",
        "rich",
        "click",
        "tenacity",
        "psycopg",
        "cryptography",
    }
    slow = {"importlib.metadata", "importlib.resources", "email", "random", "tempfile", "zipfile"}
    assert not loaded_by(START) & (heavy | slow)


def test_looking_after_runs_comparing_them_and_drawing_them_is_loaded_when_it_is_first_asked_for() -> None:
    rooms = {name for name in loaded_by(START) if name.startswith("milepost.")}
    later = {
        *(
            "collecting",
            "comparing",
            "editing",
            "exporting",
            "family",
            "forking",
            "importing",
            "lineage",
            "prospects",
            "report",
        ),
        *("reporting", "shown", "verifying", "worker", "stores.encrypted", "stores.memory", "stores.postgres"),
    }
    assert not {f"milepost.engine.{name}" for name in later} & rooms
    assert not {name for name in rooms if name.startswith(("milepost.visualize", "milepost.cli", "milepost.server"))}


def test_what_goes_on_with_stored_runs_is_loaded_where_there_is_a_store() -> None:
    of_stores = ("fitting", "following", "journal_text", "logs", "matching", "opening", "parking", "reading")
    rooms = {f"milepost.engine.{name}" for name in (*of_stores, "snapshots", "stored_drives")}
    run = """
import anyio
from milepost import Engine, StepContext, WorkflowBuilder
wf = WorkflowBuilder(name="add", input_type=int, output_type=int)
@wf.function
async def add(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs + 1
wf.edge(wf.start_node, add)
wf.edge(add, wf.end_node)
async def main(store):
    async with Engine(store) as engine:
        run = await engine.start(wf.build(), inputs=1)
        assert await run.result() == 2
"""
    assert not loaded_by(f"{run}\nanyio.run(main, None)") & rooms
    assert loaded_by(f"{run}\nanyio.run(main, 'memory://')") >= rooms
