"""`milepost check`: whether a workflow is sound, and whether the runs of it that are stored would go on with it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import click

from milepost.cli.exits import Exit
from milepost.cli.options import common_options
from milepost.cli.records import read_store
from milepost.cli.screen import Invocation, print_json
from milepost.cli.stores import DEFAULT_STORE, require
from milepost.engine.errors import UnsoundWorkflow, WorkflowError

if TYPE_CHECKING:
    from milepost.cli.target import AnyWorkflow
    from milepost.engine.prospects import Prospect, Verdict

USUAL: Final = ""
"""Stands for the usual store, where `--store` is given without a URL."""

VERDICTS: Final[Mapping[Verdict, str]] = {
    "resumes": "would resume",
    "migrates": "would be migrated and resume",
    "refused": "would not resume",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check has found. nodes: that people declared. runs: that are stored, None where nobody asked for them."""

    name: str | None
    nodes: int = 0
    faults: Sequence[str] = ()
    warnings: Sequence[str] = ()
    runs: Sequence[Prospect] | None = None

    @property
    def is_passed(self) -> bool:
        return not self.faults and all(run.verdict != "refused" for run in self.runs or ())


@click.command()
@click.argument("target")
@click.option(
    "--store",
    metavar="[URL]",
    is_flag=False,
    flag_value=USUAL,
    help="Tell of every unfinished run of the workflow there whether it would resume. Without URL: the usual store.",
)
@common_options
@click.pass_obj
def check(asked: Invocation, target: str, store: str | None) -> int:
    """Say what is wrong or doubtful in the workflow TARGET, and whether all it handles can be stored.

    With --store, also which of its runs there would go on with it as it is now. Nothing is run or written. Exit code 7
    when something is wrong, or a run would not resume; a warning is not.
    """
    from milepost.cli.target import find_workflow

    try:
        workflow = find_workflow(target)
    except UnsoundWorkflow as error:
        return _report(asked, Findings(error.name, faults=error.faults))
    found = _examined(workflow)
    if store is not None and not found.faults:
        url = store or os.environ.get("MILEPOST_STORE") or DEFAULT_STORE
        require(url)
        runs = read_store(url, lambda engine: engine.check(workflow))
        found = Findings(found.name, found.nodes, found.faults, found.warnings, runs)
    return _report(asked, found)


def _examined(workflow: AnyWorkflow) -> Findings:
    """Examine a workflow by itself, and those inside it."""
    from milepost.engine.admission import unstorable, workflows_inside
    from milepost.engine.codec import Codec
    from milepost.engine.definition import describe
    from milepost.visualize.grouping import group, node_count

    faults = list(unstorable(workflow, Codec(workflow.registered)))
    warnings = [warning for warning in workflow.warnings if warning not in faults]
    nodes = 0
    try:
        nodes = node_count(group(describe(workflow)))
        for inner in workflows_inside(workflow):
            faults += [f"In workflow {inner.name!r}: {one}" for one in unstorable(inner, Codec(inner.registered))]
    except WorkflowError as error:
        faults.append(str(error))
    return Findings(workflow.name, nodes, faults, warnings)


def _report(asked: Invocation, found: Findings) -> int:
    if asked.as_json:
        runs = {} if found.runs is None else {"runs": [asdict(run) for run in found.runs]}
        parts = {"nodes": found.nodes, "faults": list(found.faults), "warnings": list(found.warnings)}
        print_json({"workflow": found.name, "ok": found.is_passed, **parts, **runs})
    else:
        _print(found)
    return Exit.DONE if found.is_passed else Exit.CHECK_FAILED


def _print(found: Findings) -> None:
    from milepost.visualize.wording import plural

    for fault in found.faults:
        click.echo(f"fault: {fault}")
    for warning in found.warnings:
        click.echo(f"warning: {warning}")
    if not found.faults:
        nodes = plural(found.nodes, "node")
        click.echo(f"{found.name!r} is sound: {nodes}, and everything it handles can be stored.")
    if found.runs is not None and not found.runs:
        click.echo("No run of it is unfinished.")
    for run in found.runs or ():
        inside = "" if run.parent_run is None else f", inside {run.parent_run}"
        click.echo(f"run {run.run_id} (v{run.version}, {run.status}{inside}) {VERDICTS[run.verdict]}")
        for reason in run.reasons:
            click.echo(f"  {reason}")
