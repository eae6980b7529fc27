"""The process that lives of real processes are forked from; see `Nursery`, which hands it one line of JSON for each."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import anyio

from milepost.engine.drivers import prepare
from milepost.engine.errors import MilepostError, UnsoundWorkflow
from milepost.engine.executor import only_one
from milepost.testing.handover import taken_over
from milepost.testing.lives import Life, Subject, live
from milepost.testing.notes import Failed, Notebook


def main() -> None:
    """Import what is to be run, then fork a process for every life and tell how it ended."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the workflow prints is for people

    def answer(told: object) -> None:
        print(json.dumps(told), file=answers, flush=True)

    try:
        subject, backend = taken_over(sys.stdin.readline())
    except MilepostError as error:
        answer(f"{type(error).__name__}: {error}")
        return
    warm_up(subject, backend)
    answer(0)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            be_born(subject, backend, line)
        answer(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def warm_up(subject: Subject, backend: str) -> None:
    """Do once what every life would do again: import, and read the types of the workflow."""
    with suppress(UnsoundWorkflow):  # which the first life says, as any other would
        prepare(subject.workflow)
    anyio.run(anyio.sleep, 0, backend=backend)


def be_born(subject: Subject, backend: str, line: str) -> NoReturn:
    """Live one life in this process, and end it: with 0 at the end of the run, by SIGKILL, or with 1."""
    trial, number, run_id, folder, commits, notes = json.loads(line)
    life = Life(trial=trial, number=number, run_id=run_id, folder=Path(folder))
    notebook = Notebook(Path(notes))
    status = 1
    try:
        anyio.run(
            partial(live, subject, life, notebook, commits=commits, die=partial(os.kill, os.getpid(), signal.SIGKILL)),
            backend=backend,
        )
        status = 0
    except BaseException as error:
        reason = only_one(error)
        notebook(Failed(f"{type(reason).__name__}: {reason}"))
        traceback.print_exception(reason)
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
