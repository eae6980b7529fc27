"""What a command's exit code says, and which error leads to which code."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from milepost.engine.errors import (
    AlreadyAnswered,
    CircuitOpen,
    IncompatibleWorkflow,
    InputError,
    MilepostError,
    NodeError,
    NotStorable,
    OutcomeUnknown,
    ResumeError,
    RoutingError,
    RunBusy,
    RunCancelled,
    RunMismatch,
    RunWaiting,
    StateConflict,
    StoreError,
    UnknownCheckpoint,
    UnknownQuestion,
    UnknownRun,
    WorkflowError,
)
from milepost.visualize.layout import DrawingError


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    FAILED = 1
    WRONG = 2
    WAITING = 3
    NOT_FOUND = 4
    CHANGED = 5
    BUSY = 6
    CHECK_FAILED = 7
    STORE = 8
    INTERRUPTED = 130


class CheckFailed(MilepostError):
    """A check that the user asked for did not pass."""


class Interrupted(MilepostError):
    """The user stopped the command, and everything committed so far is saved."""


EXIT_OF: Final[Mapping[type[BaseException], Exit]] = {
    MilepostError: Exit.FAILED,
    CheckFailed: Exit.CHECK_FAILED,
    DrawingError: Exit.WRONG,
    Interrupted: Exit.INTERRUPTED,
    WorkflowError: Exit.WRONG,
    RoutingError: Exit.FAILED,
    StateConflict: Exit.FAILED,
    NotStorable: Exit.WRONG,
    InputError: Exit.WRONG,
    NodeError: Exit.FAILED,
    CircuitOpen: Exit.FAILED,
    RunCancelled: Exit.FAILED,
    RunWaiting: Exit.WAITING,
    StoreError: Exit.STORE,
    ResumeError: Exit.FAILED,
    UnknownRun: Exit.NOT_FOUND,
    UnknownCheckpoint: Exit.NOT_FOUND,
    UnknownQuestion: Exit.NOT_FOUND,
    AlreadyAnswered: Exit.WRONG,
    RunMismatch: Exit.WRONG,
    RunBusy: Exit.BUSY,
    IncompatibleWorkflow: Exit.CHANGED,
    OutcomeUnknown: Exit.FAILED,
}
"""The nearest class of an error that stands here decides; an error that is not ours is a failure."""


def exit_of(error: BaseException) -> Exit:
    """Return the exit code for `error`.

    >>> exit_of(RunBusy("claim-17", "process 4711"))
    <Exit.BUSY: 6>
    """
    for kind in type(error).__mro__:
        if kind in EXIT_OF:
            return EXIT_OF[kind]
    return Exit.FAILED
