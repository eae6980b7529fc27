"""`milepost verify`, `gc` and `rotate`: looking after a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

import click

from milepost.cli.ages import seconds_of
from milepost.cli.exits import CheckFailed, Exit
from milepost.cli.options import common_options, store_option
from milepost.cli.records import find_run, read_store
from milepost.cli.screen import Invocation, print_json, say
from milepost.cli.stores import require
from milepost.engine.errors import InputError
from milepost.engine.trace import RunStatus

if TYPE_CHECKING:
    from milepost.engine.collecting import Collected
    from milepost.engine.engine import Engine
    from milepost.engine.stored_runs import RunSummary
    from milepost.engine.stores.encrypted import Rotated
    from milepost.engine.verifying import Finding


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@store_option
@common_options
@click.pass_obj
def verify(asked: Invocation, run: str | None, store: str) -> int:
    """Check that nothing of RUN, or of all runs and the store itself, is damaged.

    Every checkpoint is held against its checksum, and against what it follows from. Ends with 7 if anything is wrong.
    """
    require(store, run)

    async def check(engine: Engine) -> tuple[list[RunSummary], list[Finding]]:
        runs = [] if run is None else [await find_run(engine, run)]
        findings = await engine.verify(runs[0].run_id if runs else None)
        return runs or ([] if findings else await engine.runs(nested=True)), findings

    runs, findings = read_store(store, check)
    if asked.as_json:
        found = [{"run_id": one.run_id, "checkpoint": one.seq, "text": one.text} for one in findings]
        print_json({"sound": not findings, "findings": found})
    else:
        for finding in findings:
            click.echo(finding.text)
    if findings:
        say(f"{counted(len(findings), 'thing')} {'is' if len(findings) == 1 else 'are'} not as written.")
        return Exit.CHECK_FAILED
    if not asked.as_json:
        checkpoints = counted(sum(summary.seq for summary in runs), "checkpoint")
        say(f"{counted(len(runs), 'run')} with {checkpoints}: nothing is damaged.")
    return Exit.DONE


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "run"), counted(2000, "run")
    ('1 run', '2,000 runs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size_of(count: int) -> str:
    """Return a number of bytes for people.

    >>> size_of(17), size_of(5_000_000), size_of(5_000_000_000)
    ('17 bytes', '4.8 MiB', '4.7 GiB')
    """
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return counted(count, "byte") if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


@click.command()
@click.option("--older-than", metavar="AGE", help="Only what was not changed for so long, e.g. 30d, 12h.")
@click.option("--keep-last", metavar="N", type=click.IntRange(min=0), help="Keep the N newest runs of each workflow.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice(get_args(RunStatus)),
    multiple=True,
    help="Only runs of this status; again for more. Without it: completed, failed and cancelled.",
)
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@store_option
@common_options
@click.pass_obj
def gc(
    asked: Invocation,
    older_than: str | None,
    keep_last: int | None,
    statuses: tuple[str, ...],
    workflow: str | None,
    dry_run: bool,
    store: str,
) -> None:
    """Remove runs that nobody needs any more, with the runs inside them, and what has expired in the cache.

    Give --older-than, --keep-last or both. What a process drives stays, and so does what a fork needs.
    """
    require(store)
    age = None if older_than is None else seconds_of(older_than)
    if age is None and keep_last is None:
        raise InputError("Say which runs may go: --older-than AGE, --keep-last N, or both.")

    async def remove(engine: Engine) -> Collected:
        if not statuses:
            return await engine.gc(older_than=age, keep_last=keep_last, workflow=workflow, dry_run=dry_run)
        chosen = cast("tuple[RunStatus, ...]", statuses)  # click has checked them
        return await engine.gc(older_than=age, keep_last=keep_last, status=chosen, workflow=workflow, dry_run=dry_run)

    done = read_store(store, remove)
    if asked.as_json:
        print_json(described(done))
        return
    for kept in done.kept:
        say(f"Run {kept.run_id!r} is kept: {kept.reason}.")
    verb = "Would remove" if done.dry_run else "Removed"
    parts = [f"{counted(len(done.runs), 'run')} with {counted(done.records, 'checkpoint')}"]
    parts += [counted(done.results, "cached result")] if done.results else []
    parts += [counted(done.messages, "message")] if done.messages else []
    freed = f" The store is {size_of(done.freed)} smaller now." if done.freed > 0 else ""
    say(f"{verb} {', '.join(parts)}: {size_of(done.bytes)}.{freed}")


def described(done: Collected) -> dict[str, object]:
    """Return what was removed as the JSON of the command shows it."""
    return {
        "runs": list(done.runs),
        "checkpoints": done.records,
        "results": done.results,
        "messages": done.messages,
        "bytes": done.bytes,
        "freed": done.freed,
        "kept": [{"run_id": kept.run_id, "reason": kept.reason} for kept in done.kept],
        "dry_run": done.dry_run,
    }


@click.command()
@store_option
@common_options
@click.pass_obj
def rotate(asked: Invocation, store: str) -> None:
    """Encrypt a whole store with the newest key in MILEPOST_KEY, whatever it is encrypted with now, if at all.

    MILEPOST_KEY holds keys separated by commas, the newest first; `openssl rand -base64 32` makes one.
    """
    require(store)

    async def encrypt(engine: Engine) -> Rotated:
        return await engine.rotate()

    done = read_store(store, encrypt)
    if asked.as_json:
        print_json({"runs": done.runs, "kept": list(done.kept)})
    else:
        say(f"Encrypted {counted(done.runs, 'run')} with the newest key.")
    if done.kept:
        names = ", ".join(map(repr, done.kept))
        raise CheckFailed(
            f"Some runs are being driven and stay as they were: {names}. Rotate again when they have ended, and keep "
            "the older keys until then."
        )
