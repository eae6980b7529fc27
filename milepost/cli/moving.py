"""`milepost export` and `import`: runs as files, moved between stores."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from milepost.cli.care import counted
from milepost.cli.options import common_options, store_option
from milepost.cli.records import describe_run, find_run, read_store
from milepost.cli.screen import Invocation, print_json, say
from milepost.cli.stores import prepare, require
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.engine.engine import Engine
    from milepost.engine.stored_runs import RunSummary

STANDARD = "-"


@click.command(name="export")
@click.argument("run", metavar="RUN")
@click.option("-o", "--output", metavar="FILE", default=STANDARD, help="Where to; without it, to stdout.")
@store_option
@common_options
@click.pass_obj
def export_run(asked: Invocation, run: str, output: str, store: str) -> None:
    """Write RUN, with the runs inside it, to a file that another store can import. It is not encrypted."""
    require(store, run)
    if asked.as_json and output == STANDARD:
        raise InputError("With --json, name a file for the run: -o FILE.")

    async def write(engine: Engine) -> tuple[RunSummary, int]:
        summary = await find_run(engine, run)
        count = 0
        with _written(output) as file:
            async for line in engine.export(summary.run_id):
                file.write(f"{line}\n")
                count += 1
        return summary, count

    summary, count = read_store(store, write)
    if asked.as_json:
        print_json({**describe_run(summary), "file": output, "lines": count})
    elif output != STANDARD:
        say(f"Wrote run {summary.run_id!r} to {output}: {counted(count, 'line')}.")


@contextmanager
def _written(output: str) -> Generator[IO[str]]:
    """Give a file to write to, which is there under its name only when it is whole, and only for its owner."""
    if output == STANDARD:
        yield sys.stdout
        return
    path = Path(output)
    draft = path.with_name(f"{path.name}.part")
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    except OSError as error:
        raise InputError(f"{output!r} cannot be written: {error.strerror}. Choose another place.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@click.command(name="import")
@click.argument("file", metavar="FILE")
@store_option
@common_options
@click.pass_obj
def import_run(asked: Invocation, file: str, store: str) -> None:
    """Put the run of FILE, which `milepost export` has written, into a store; `-` reads stdin.

    It is verified first, and nothing is changed if anything is wrong with it.
    """
    if file != STANDARD and not Path(file).is_file():
        raise InputError(f"There is no file {file!r}.")
    prepare(store)

    async def read(engine: Engine) -> RunSummary:
        return await engine.import_run(_lines(file))

    summary = read_store(store, read, create=True)
    if asked.as_json:
        print_json(describe_run(summary))
    else:
        say(f"Imported run {summary.run_id!r}, {summary.status}, with {counted(summary.seq, 'checkpoint')}.")


def _lines(file: str) -> Iterator[str]:
    """Give the lines of a file."""
    try:
        if file == STANDARD:
            yield from sys.stdin
            return
        with Path(file).open(encoding="utf-8") as source:
            yield from source
    except (OSError, UnicodeError) as error:
        reason = "it is no text" if isinstance(error, UnicodeError) else str(error.strerror)
        raise InputError(f"{file!r} cannot be read: {reason}. Nothing was imported.") from error
