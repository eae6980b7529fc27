"""What another process is told to run: names of what it can import, and values as JSON text of their declared types."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from milepost.cli.target import find_object, find_workflow
from milepost.engine.codec import Codec
from milepost.engine.drivers import plan_of
from milepost.engine.errors import InputError
from milepost.engine.plainly import plain_text
from milepost.engine.settlement import Again, Done, Settlement
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.store import Store
from milepost.testing.given import Given, store_maker
from milepost.testing.lives import AnyWorkflow, Life, Subject


def store_in_folder(life: Life) -> Store:
    """Return the store of a life where nobody has named another: a file of its own for every run."""
    return SqliteStore(life.folder / f"{life.run_id}.db", durability="process")


def handed_over(given: Given) -> str:
    """Write down what `crash_everywhere` was given. Raises InputError: something is not named; NotStorable."""
    for what, value in (("workflow", given.workflow), ("deps", given.deps), ("store", given.store)):
        if not isinstance(value, str) and (value is not None or what == "workflow"):
            raise InputError(
                f"Another process cannot be handed {what}={value!r}. Name it, as 'module:{what}' or 'file.py:{what}', "
                "or leave out kills='SIGKILL'."
            )
    workflow = find_workflow(str(given.workflow))
    codec = Codec(workflow.registered)
    return json.dumps({
        "workflow": given.workflow,
        "deps": given.deps,
        "store": given.store,
        "inputs": codec.encode(given.inputs, workflow.input_type, "the run's inputs")[0],
        "state": None if given.state is None else codec.encode(given.state, workflow.state_type, "state")[0],
        "settle": {node: _settlement(workflow, codec, node, said) for node, said in given.settle.items()},
        "answers": {node: plain_text(value, f"answers[{node!r}]") for node, value in given.answers.items()},
        "events": {event: plain_text(value, f"events[{event!r}]") for event, value in given.events.items()},
        "timeout": given.timeout,
        "backend": given.backend,
    })  # fmt: skip


def taken_over(text: str) -> tuple[Subject, str]:
    """Read what is to be run, and the name of the event loop to run it on. Raises InputError, UnsoundWorkflow."""
    told: dict[str, Any] = json.loads(text)
    workflow = find_workflow(told["workflow"])
    codec, plan = Codec(workflow.registered), plan_of(workflow)
    settle: dict[str, Settlement] = {
        node: Again() if said is None else Done(codec.decode(said, plan.type_of(f"out:{node}"), "settle"))
        for node, said in told["settle"].items()
    }
    state = told["state"]
    subject = Subject(
        workflow=workflow,
        inputs=codec.decode(told["inputs"], workflow.input_type, "the run's inputs"),
        state=None if state is None else codec.decode(state, workflow.state_type, "state"),
        deps=None if told["deps"] is None else find_object(told["deps"]),
        store=store_maker(told["store"]) or store_in_folder,
        settle=settle,
        answers={node: from_json(text) for node, text in told["answers"].items()},
        events={event: from_json(text) for event, text in told["events"].items()},
        timeout=told["timeout"],
    )
    return subject, told["backend"]


def _settlement(workflow: AnyWorkflow, codec: Codec, node: str, said: Settlement) -> str | None:
    """Write down what a person said: None for "again", else the output that the task had."""
    if isinstance(said, Again):
        return None
    return codec.encode(said.value, plan_of(workflow).type_of(f"out:{node}"), f"settle[{node!r}]")[0]
