"""Exit codes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from milepost.cli.exits import EXIT_OF, CheckFailed, Exit, Interrupted, exit_of
from milepost.engine import errors


def family(root: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield a class and all of its subclasses that stand in the tree of errors."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child)


EXPECTED = {
    "AlreadyAnswered": 2,
    "AnswerError": 2,
    "DeadlinePassed": 1,
    "RunWaiting": 3,
    "UnknownCheckpoint": 4,
    "UnknownQuestion": 4,
    "WrongKey": 8,
    "DamagedStore": 8,
    "EditError": 2,
    "MilepostError": 1,
    "WorkflowError": 2,
    "UnsoundWorkflow": 2,
    "RoutingError": 1,
    "StateConflict": 1,
    "NotStorable": 2,
    "InputError": 2,
    "NodeError": 1,
    "CircuitOpen": 1,
    "OutcomeUnknown": 1,
    "RunCancelled": 1,
    "StoreError": 8,
    "ForeignStore": 8,
    "BrokenJournal": 8,
    "LeaseLost": 8,
    "ResumeError": 1,
    "UnknownRun": 4,
    "RunMismatch": 2,
    "RunBusy": 6,
    "IncompatibleWorkflow": 5,
    "MigrationError": 5,
    "CrashLoop": 1,
}


@pytest.mark.parametrize("kind", list(family(errors.MilepostError)), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_the_exit_code_that_the_design_gives_it(kind: type[BaseException]) -> None:
    error = kind.__new__(kind)
    assert exit_of(error) == EXPECTED[kind.__name__]


def test_the_exits_of_the_command_line_itself_are_in_the_same_table() -> None:
    assert [EXIT_OF[kind] for kind in (CheckFailed, Interrupted)] == [7, 130]


def test_an_error_that_is_not_ours_is_a_failure() -> None:
    assert exit_of(ZeroDivisionError("division by zero")) is Exit.FAILED
