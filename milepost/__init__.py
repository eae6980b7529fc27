"""Milepost runs typed workflow graphs with a checkpoint after every node, resumes them, and draws what ran.

Every public name is here. What is behind a name is imported when the name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_graph import BaseNode as BaseNode
    from pydantic_graph import End as End
    from pydantic_graph import GraphRunContext as GraphRunContext

    from milepost.engine.asking import TimeUp as TimeUp
    from milepost.engine.checkpoints import Snapshot as Snapshot
    from milepost.engine.current import Current as Current
    from milepost.engine.current import current as current
    from milepost.engine.definition import Definition as Definition
    from milepost.engine.definition import describe as describe
    from milepost.engine.difference import Difference as Difference
    from milepost.engine.engine import Engine as Engine
    from milepost.engine.errors import AlreadyAnswered as AlreadyAnswered
    from milepost.engine.errors import AnswerError as AnswerError
    from milepost.engine.errors import BrokenJournal as BrokenJournal
    from milepost.engine.errors import CircuitOpen as CircuitOpen
    from milepost.engine.errors import CrashLoop as CrashLoop
    from milepost.engine.errors import DamagedStore as DamagedStore
    from milepost.engine.errors import DeadlinePassed as DeadlinePassed
    from milepost.engine.errors import EditError as EditError
    from milepost.engine.errors import ForeignStore as ForeignStore
    from milepost.engine.errors import IncompatibleWorkflow as IncompatibleWorkflow
    from milepost.engine.errors import InputError as InputError
    from milepost.engine.errors import LeaseLost as LeaseLost
    from milepost.engine.errors import MigrationError as MigrationError
    from milepost.engine.errors import MilepostError as MilepostError
    from milepost.engine.errors import NodeError as NodeError
    from milepost.engine.errors import NotStorable as NotStorable
    from milepost.engine.errors import OutcomeUnknown as OutcomeUnknown
    from milepost.engine.errors import ResumeError as ResumeError
    from milepost.engine.errors import RoutingError as RoutingError
    from milepost.engine.errors import RunBusy as RunBusy
    from milepost.engine.errors import RunCancelled as RunCancelled
    from milepost.engine.errors import RunMismatch as RunMismatch
    from milepost.engine.errors import RunWaiting as RunWaiting
    from milepost.engine.errors import StateConflict as StateConflict
    from milepost.engine.errors import StoreError as StoreError
    from milepost.engine.errors import UnknownCheckpoint as UnknownCheckpoint
    from milepost.engine.errors import UnknownQuestion as UnknownQuestion
    from milepost.engine.errors import UnknownRun as UnknownRun
    from milepost.engine.errors import UnsoundWorkflow as UnsoundWorkflow
    from milepost.engine.errors import WorkflowError as WorkflowError
    from milepost.engine.errors import WrongKey as WrongKey
    from milepost.engine.events import AttemptStarted as AttemptStarted
    from milepost.engine.events import Checkpoint as Checkpoint
    from milepost.engine.events import CircuitChanged as CircuitChanged
    from milepost.engine.events import Committed as Committed
    from milepost.engine.events import CommittedEvent as CommittedEvent
    from milepost.engine.events import Custom as Custom
    from milepost.engine.events import Dropped as Dropped
    from milepost.engine.events import EdgeTaken as EdgeTaken
    from milepost.engine.events import Event as Event
    from milepost.engine.events import EventKept as EventKept
    from milepost.engine.events import ItemEmitted as ItemEmitted
    from milepost.engine.events import JoinFired as JoinFired
    from milepost.engine.events import MessageRefused as MessageRefused
    from milepost.engine.events import PassingEvent as PassingEvent
    from milepost.engine.events import RunEnded as RunEnded
    from milepost.engine.events import RunForked as RunForked
    from milepost.engine.events import RunMigrated as RunMigrated
    from milepost.engine.events import RunStarted as RunStarted
    from milepost.engine.events import RunStopped as RunStopped
    from milepost.engine.events import RunWaits as RunWaits
    from milepost.engine.events import StateEdited as StateEdited
    from milepost.engine.events import TaskCancelled as TaskCancelled
    from milepost.engine.events import TaskFailed as TaskFailed
    from milepost.engine.events import TaskFinished as TaskFinished
    from milepost.engine.events import TaskRetried as TaskRetried
    from milepost.engine.events import TaskSettled as TaskSettled
    from milepost.engine.events import TaskStarted as TaskStarted
    from milepost.engine.events import TaskWaiting as TaskWaiting
    from milepost.engine.events import TextDelta as TextDelta
    from milepost.engine.failure import Failure as Failure
    from milepost.engine.install import install as install
    from milepost.engine.mergers import add as add
    from milepost.engine.mergers import append as append
    from milepost.engine.mergers import last as last
    from milepost.engine.mergers import merger as merger
    from milepost.engine.mergers import union as union
    from milepost.engine.policy import Cache as Cache
    from milepost.engine.policy import CircuitBreaker as CircuitBreaker
    from milepost.engine.policy import Policy as Policy
    from milepost.engine.policy import RateLimit as RateLimit
    from milepost.engine.policy import Retry as Retry
    from milepost.engine.questions import OpenWait as OpenWait
    from milepost.engine.report import Report as Report
    from milepost.engine.run import Run as Run
    from milepost.engine.settlement import Again as Again
    from milepost.engine.settlement import Done as Done
    from milepost.engine.spec import NodeKind as NodeKind
    from milepost.engine.spec import NodeSpec as NodeSpec
    from milepost.engine.stored import Stored as Stored
    from milepost.engine.stored import StoredValue as StoredValue
    from milepost.engine.stores.address import open_store as open_store
    from milepost.engine.stores.encrypted import Encrypted as Encrypted
    from milepost.engine.stores.memory import MemoryStore as MemoryStore
    from milepost.engine.stores.postgres import PostgresStore as PostgresStore
    from milepost.engine.stores.sqlite import SqliteStore as SqliteStore
    from milepost.engine.stores.store import Store as Store
    from milepost.engine.trace import Trace as Trace
    from milepost.engine.trace import Usage as Usage
    from milepost.engine.trace import WaitTrace as WaitTrace
    from milepost.engine.typed import Decision as Decision
    from milepost.engine.typed import Graph as Graph
    from milepost.engine.typed import GraphBuilder as GraphBuilder
    from milepost.engine.typed import Join as Join
    from milepost.engine.typed import JoinNode as JoinNode
    from milepost.engine.typed import ReduceFirstValue as ReduceFirstValue
    from milepost.engine.typed import ReducerContext as ReducerContext
    from milepost.engine.typed import Step as Step
    from milepost.engine.typed import StepContext as StepContext
    from milepost.engine.typed import StepNode as StepNode
    from milepost.engine.typed import reduce_dict_update as reduce_dict_update
    from milepost.engine.typed import reduce_list_append as reduce_list_append
    from milepost.engine.typed import reduce_list_extend as reduce_list_extend
    from milepost.engine.typed import reduce_null as reduce_null
    from milepost.engine.typed import reduce_sum as reduce_sum
    from milepost.engine.worker_events import RunLeft as RunLeft
    from milepost.engine.worker_events import RunRefused as RunRefused
    from milepost.engine.worker_events import RunTaken as RunTaken
    from milepost.engine.worker_events import StoreAway as StoreAway
    from milepost.engine.worker_events import WorkerEvent as WorkerEvent
    from milepost.engine.workflow import Workflow as Workflow
    from milepost.nodes.decision import DecideNode as DecideNode
    from milepost.nodes.transient import is_transient as is_transient
    from milepost.nodes.wait import Question as Question
    from milepost.nodes.wait import WaitStep as WaitStep
    from milepost.workflows.builder import WorkflowBuilder as WorkflowBuilder

NAMES = {
    "pydantic_graph": ("BaseNode", "End", "GraphRunContext"),
    "milepost.engine.asking": ("TimeUp",),
    "milepost.engine.checkpoints": ("Snapshot",),
    "milepost.engine.current": ("Current", "current"),
    "milepost.engine.definition": ("Definition", "describe"),
    "milepost.engine.difference": ("Difference",),
    "milepost.engine.engine": ("Engine",),
    "milepost.engine.errors": (
        "AlreadyAnswered",
        "AnswerError",
        "BrokenJournal",
        "CircuitOpen",
        "CrashLoop",
        "DamagedStore",
        "DeadlinePassed",
        "EditError",
        "ForeignStore",
        "IncompatibleWorkflow",
        "InputError",
        "LeaseLost",
        "MigrationError",
        "MilepostError",
        "NodeError",
        "NotStorable",
        "OutcomeUnknown",
        "ResumeError",
        "RoutingError",
        "RunBusy",
        "RunCancelled",
        "RunMismatch",
        "RunWaiting",
        "StateConflict",
        "StoreError",
        "UnknownCheckpoint",
        "UnknownQuestion",
        "UnknownRun",
        "UnsoundWorkflow",
        "WorkflowError",
        "WrongKey",
    ),
    "milepost.engine.events": (
        "AttemptStarted",
        "Checkpoint",
        "CircuitChanged",
        "Committed",
        "CommittedEvent",
        "Custom",
        "Dropped",
        "EdgeTaken",
        "Event",
        "EventKept",
        "ItemEmitted",
        "JoinFired",
        "MessageRefused",
        "PassingEvent",
        "RunEnded",
        "RunForked",
        "RunMigrated",
        "RunStarted",
        "RunStopped",
        "RunWaits",
        "StateEdited",
        "TaskCancelled",
        "TaskFailed",
        "TaskFinished",
        "TaskRetried",
        "TaskSettled",
        "TaskStarted",
        "TaskWaiting",
        "TextDelta",
    ),
    "milepost.engine.failure": ("Failure",),
    "milepost.engine.install": ("install",),
    "milepost.engine.mergers": ("add", "append", "last", "merger", "union"),
    "milepost.engine.policy": ("Cache", "CircuitBreaker", "Policy", "RateLimit", "Retry"),
    "milepost.engine.report": ("Report",),
    "milepost.engine.questions": ("OpenWait",),
    "milepost.engine.run": ("Run",),
    "milepost.engine.settlement": ("Again", "Done"),
    "milepost.engine.spec": ("NodeKind", "NodeSpec"),
    "milepost.engine.stored": ("Stored", "StoredValue"),
    "milepost.engine.stores.address": ("open_store",),
    "milepost.engine.stores.encrypted": ("Encrypted",),
    "milepost.engine.stores.memory": ("MemoryStore",),
    "milepost.engine.stores.postgres": ("PostgresStore",),
    "milepost.engine.stores.sqlite": ("SqliteStore",),
    "milepost.engine.stores.store": ("Store",),
    "milepost.engine.trace": ("Trace", "Usage", "WaitTrace"),
    "milepost.engine.typed": (
        "Decision",
        "Graph",
        "GraphBuilder",
        "Join",
        "JoinNode",
        "ReduceFirstValue",
        "ReducerContext",
        "Step",
        "StepContext",
        "StepNode",
        "reduce_dict_update",
        "reduce_list_append",
        "reduce_list_extend",
        "reduce_null",
        "reduce_sum",
    ),
    "milepost.engine.worker_events": ("RunLeft", "RunRefused", "RunTaken", "StoreAway", "WorkerEvent"),
    "milepost.engine.workflow": ("Workflow",),
    "milepost.nodes.decision": ("DecideNode",),
    "milepost.nodes.transient": ("is_transient",),
    "milepost.nodes.wait": ("Question", "WaitStep"),
    "milepost.workflows.builder": ("WorkflowBuilder",),
}
"""Where each public name comes from. The imports above say the same to type checkers; a test holds the two equal."""

HOMES = {name: module for module, names in NAMES.items() for name in names}

__all__ = sorted(HOMES)  # pyright: ignore[reportUnsupportedDunderAll]  (a list that cannot differ from what is there)


if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt name for one of ours

    def __getattr__(name: str) -> object:
        """Import what is behind a public name when it is first used."""
        if name not in HOMES:
            raise AttributeError(f"module 'milepost' has no attribute {name!r}")
        value: object = getattr(import_module(HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*globals(), *HOMES]
