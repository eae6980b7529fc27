"""`milepost render`: a workflow as it is declared, without running it, or what has changed in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from milepost.cli.exits import CheckFailed
from milepost.cli.options import common_options, store_option
from milepost.cli.pictures import (
    COMPARISON_FORMATS,
    DEFINITION_FORMATS,
    Look,
    chosen_format,
    comparison_format,
    draw,
    format_option,
    look_options,
    output_option,
    write_picture,
)
from milepost.cli.screen import Invocation, json_text, print_json, say
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.cli.target import AnyWorkflow
    from milepost.engine.definition import Definition
    from milepost.engine.engine import Engine
    from milepost.visualize.palette import Theme
    from milepost.visualize.render import Direction


@click.command()
@click.argument("target")
@format_option(DEFINITION_FORMATS)
@look_options
@click.option(
    "--against",
    metavar="TARGET|RUN",
    help="Draw what has changed since that: another version of the workflow, or the one that a stored run follows.",
)
@output_option
@click.option(
    "--check",
    "committed",
    metavar="FILE",
    envvar="MILEPOST_RENDER_CHECK",
    help="Only compare with FILE, and fail when it is stale.",
)
@store_option
@common_options
@click.pass_obj
def render(
    asked: Invocation,
    target: str,
    format: str | None,
    look: Look,
    against: str | None,
    output: str | None,
    committed: str | None,
    store: str,
) -> None:
    """Draw the workflow TARGET as it is declared, or what has changed in it, as Mermaid or in another format."""
    from milepost.cli.target import find_workflow

    workflow = find_workflow(target)
    as_json = asked.as_json and committed is None
    formats = DEFINITION_FORMATS if against is None else COMPARISON_FORMATS
    chosen = chosen_format(format, committed or output, "mermaid", formats, as_json=as_json)
    asked_again = f"{target} {look.options()}".rstrip()
    if against is not None:
        picture = _changes(_earlier(against, store), workflow, chosen, look)
        asked_again += f" --against {against}"
    else:
        picture = _definition(workflow) if chosen == "json" else draw(workflow, chosen, look)
    if committed is None:
        write_picture(picture, output)
    else:
        _compare(picture, committed, asked_again)
        if asked.as_json:
            print_json({"file": committed, "format": chosen, "is_stale": False})


def _earlier(word: str, store: str) -> Definition:
    """Return the definition that TARGET is held against: of a workflow, or what a run follows."""
    from milepost.cli.records import find_run, read_store
    from milepost.cli.stores import require
    from milepost.cli.target import find_workflow, registered
    from milepost.engine.definition import describe

    if ":" in word or word in registered():
        return describe(find_workflow(word))
    require(store, word)

    async def read(engine: Engine) -> Definition:
        summary = await find_run(engine, word)
        return (await engine.trace(summary.run_id, depth=0)).definition

    return read_store(store, read)


def _changes(one: Definition, workflow: AnyWorkflow, form: str, look: Look) -> str | bytes:
    from milepost.engine.definition import describe
    from milepost.visualize.changes import changed
    from milepost.visualize.comparison import render_changes

    other = describe(workflow)
    if form != "json":
        return render_changes(
            one,
            other,
            comparison_format(form),
            theme=cast("Theme", look.theme),  # click has checked this and the next
            direction=cast("Direction", look.direction),
            types=look.types,
            legend=look.legend,
            depth=look.depth,
            only=look.only,
            collapse=look.collapse,
        )
    picture = changed(one, other, depth=0)
    return json_text(
        {
            "same": one == other,
            "one": {"version": one.version, "fingerprint": one.fingerprint},
            "other": {"version": other.version, "fingerprint": other.fingerprint},
            "nodes": [{"id": node.id, "status": node.status, "about": node.tooltip} for node in picture.nodes],
            "edges": [
                {"source": edge.source, "target": edge.target, "status": edge.status, "about": " · ".join(edge.lines)}
                for edge in picture.edges
            ],
        }
    )


def _definition(workflow: AnyWorkflow) -> str:
    from milepost.engine.definition import describe

    definition = describe(workflow)
    return json_text({"fingerprint": definition.fingerprint, "definition": json.loads(definition.to_json())})


def _compare(picture: str | bytes, committed: str, drawn: str) -> None:
    """Compare a picture with a committed one. drawn: what to ask `render` for to get it again."""
    try:
        stored = Path(committed).read_bytes()
    except FileNotFoundError:
        raise CheckFailed(f"There is no {committed!r} yet. Draw it: milepost render {drawn} -o {committed}") from None
    except OSError as error:
        raise InputError(f"{committed!r} cannot be read: {error.strerror}.") from error
    now = picture if isinstance(picture, bytes) else picture.encode()
    if stored.strip() != now.strip():
        raise CheckFailed(f"{committed!r} is stale. Draw it again: milepost render {drawn} -o {committed}")
    say(f"{committed} is up to date.")
