"""`milepost render`: a workflow as it is declared, without running it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from milepost.cli.exits import CheckFailed
from milepost.cli.options import common_options
from milepost.cli.pictures import (
    Look,
    chosen_format,
    draw,
    format_option,
    look_options,
    output_option,
    write_picture,
)
from milepost.cli.screen import Invocation, json_text, say
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.cli.target import AnyWorkflow


@click.command()
@click.argument("target")
@format_option
@look_options
@output_option
@click.option(
    "--check",
    "committed",
    metavar="FILE",
    envvar="MILEPOST_RENDER_CHECK",
    help="Only compare with FILE, and fail when it is stale.",
)
@common_options
@click.pass_obj
def render(
    asked: Invocation,
    target: str,
    format: str | None,
    look: Look,
    output: str | None,
    committed: str | None,
) -> None:
    """Draw the workflow TARGET as it is declared; as Mermaid when nothing else is asked for."""
    from milepost.cli.target import find_workflow

    workflow = find_workflow(target)
    chosen = "json" if asked.as_json and format is None else chosen_format(format, committed or output, "mermaid")
    picture = _definition(workflow) if chosen == "json" else draw(workflow, chosen, look)
    if committed is None:
        write_picture(picture, output)
    else:
        _compare(picture, committed, f"{target} {look.options()}".rstrip())


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
