"""`milepost tree`: which run was forked from which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

import click

from milepost.cli.options import common_options, store_option
from milepost.cli.pictures import chosen_format, output_option, theme_option, write_picture
from milepost.cli.records import find_run, read_store
from milepost.cli.screen import Invocation, console, json_text
from milepost.cli.stores import require
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.engine.engine import Engine
    from milepost.engine.family import Relative
    from milepost.visualize.palette import Theme

FORMATS: Final = ("text", "mermaid", "svg", "html", "json")


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--format", "format", type=click.Choice(FORMATS), help="How to show it; the file decides if left out.")
@theme_option
@output_option
@store_option
@common_options
@click.pass_obj
def tree(asked: Invocation, run: str, format: str | None, theme: str, output: str | None, store: str) -> None:
    """Show which run was forked from which, at which checkpoint, and how each stands: the whole family of RUN."""
    chosen = chosen_format(format, output, "text", FORMATS, as_json=asked.as_json)
    if chosen not in FORMATS:
        raise InputError(f"A tree of runs cannot be drawn as {chosen!r}. Use one of {', '.join(FORMATS)}.")
    require(store, run)

    async def read(engine: Engine) -> tuple[str, Sequence[Relative]]:
        summary = await find_run(engine, run)
        return summary.run_id, await engine.family(summary.run_id)

    run_id, family = read_store(store, read)
    if chosen == "text" and output is None and console(stderr=False).is_terminal:
        from milepost.visualize.forks import tree_view

        console(stderr=False).print(tree_view(family, run_id))
    else:
        write_picture(_drawn(family, run_id, chosen, cast("Theme", theme)), output)  # click has checked the theme


def _drawn(family: Sequence[Relative], run_id: str, form: str, theme: Theme) -> str:
    from milepost.visualize.fork_page import lanes, page
    from milepost.visualize.forks import git_graph, tree_view
    from milepost.visualize.terminal import plain

    if form == "mermaid":
        return git_graph(family, theme)
    if form in ("svg", "html"):
        return (lanes if form == "svg" else page)(family, run_id, theme)
    return plain(tree_view(family, run_id), width=200) if form == "text" else json_text(_described(family))


def _described(family: Sequence[Relative]) -> dict[str, object]:
    return {
        "runs": [
            {
                "run_id": one.row.run_id,
                "workflow": one.row.workflow,
                "status": one.row.status,
                "interrupted": one.interrupted,
                "error": one.row.error,
                "checkpoints": one.row.seq,
                "forked_from": one.row.forked_from,
                "forked_at": one.row.forked_at or None,
                "level": one.level,
                "stations": [
                    {"seq": station.seq, "did": station.did, "node": station.node} for station in one.stations
                ],
            }
            for one in family
        ]
    }
