"""`milepost render` and `milepost check`: a workflow as it is declared, without running it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from milepost.cli.exits import CheckFailed, Exit
from milepost.cli.options import common_options
from milepost.cli.pictures import (
    chosen_format,
    depth_option,
    draw,
    format_option,
    output_option,
    theme_option,
    write_picture,
)
from milepost.cli.screen import Invocation, json_text, print_json, say
from milepost.engine.errors import InputError, UnsoundWorkflow, WorkflowError

if TYPE_CHECKING:
    from milepost.cli.target import AnyWorkflow


@click.command()
@click.argument("target")
@format_option
@theme_option
@depth_option
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
    theme: str,
    depth: int | None,
    output: str | None,
    committed: str | None,
) -> None:
    """Draw the workflow TARGET as it is declared; as Mermaid when nothing else is asked for."""
    from milepost.cli.target import find_workflow

    workflow = find_workflow(target)
    chosen = "json" if asked.as_json and format is None else chosen_format(format, committed or output, "mermaid")
    picture = _definition(workflow) if chosen == "json" else draw(workflow, chosen, theme=theme, depth=depth)
    if committed is None:
        write_picture(picture, output)
    else:
        _compare(picture, committed, target if depth is None else f"{target} --depth {depth}")


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


@click.command()
@click.argument("target")
@common_options
@click.pass_obj
def check(asked: Invocation, target: str) -> int:
    """Say what is wrong or doubtful in the workflow TARGET, and whether all it handles can be stored.

    Exit code 7 when something is wrong; a warning is not.
    """
    from milepost.cli.target import find_workflow
    from milepost.engine.admission import unstorable, workflows_inside
    from milepost.engine.codec import Codec
    from milepost.engine.definition import describe
    from milepost.visualize.grouping import group, node_count

    try:
        workflow = find_workflow(target)
    except UnsoundWorkflow as error:
        return _report(asked, error.name, 0, error.faults, ())
    faults = list(unstorable(workflow, Codec(workflow.registered)))
    warnings = [warning for warning in workflow.warnings if warning not in faults]
    nodes = 0
    try:
        nodes = node_count(group(describe(workflow)))
        for inner in workflows_inside(workflow):
            faults += [f"In workflow {inner.name!r}: {one}" for one in unstorable(inner, Codec(inner.registered))]
    except WorkflowError as error:
        faults.append(str(error))
    return _report(asked, workflow.name, nodes, faults, warnings)


def _report(asked: Invocation, name: str | None, nodes: int, faults: Sequence[str], warnings: Sequence[str]) -> int:
    if asked.as_json:
        print_json(
            {"workflow": name, "ok": not faults, "nodes": nodes, "faults": list(faults), "warnings": list(warnings)}
        )
        return Exit.CHECK_FAILED if faults else Exit.DONE
    from milepost.visualize.wording import plural

    for fault in faults:
        click.echo(f"fault: {fault}")
    for warning in warnings:
        click.echo(f"warning: {warning}")
    if faults:
        return Exit.CHECK_FAILED
    click.echo(f"{name!r} is sound: {plural(nodes, 'node')}, and everything it handles can be stored.")
    return Exit.DONE
