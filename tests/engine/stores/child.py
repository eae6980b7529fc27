"""A process with a store of its own, for the tests that kill, stop or race it.

It does what the lines on its standard input say, and answers each with one line:
open | create RUN | acquire RUN | append RUN EPOCH FIRST LAST
stream RUN EPOCH FIRST (a line a record, for ever) | busy SECONDS (the event loop does nothing else)
post RUN FIRST LAST (which were new) | migrate (begin a step of the schema, and wait for the end)
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence

from milepost.engine.errors import MilepostError
from milepost.engine.stores.postgres import PostgresStore
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_file import connect, step
from milepost.testing.contract.writing import append, entry, message, new_run


async def obey(store: SqliteStore | PostgresStore, words: Sequence[str]) -> str:
    match words:
        case ["open"]:
            await store.open()
        case ["create", run_id]:
            return str(await store.create(new_run(run_id), entry(run_id, 1)))
        case ["acquire", run_id]:
            return str((await store.acquire(run_id)).epoch)
        case ["append", run_id, epoch, first, last]:
            for seq in range(int(first), int(last) + 1):
                await append(store, entry(run_id, seq, epoch=int(epoch)))
        case ["stream", run_id, epoch, first]:
            for seq in range(int(first), 1_000_000):
                await append(store, entry(run_id, seq, epoch=int(epoch), content="x" * (seq * 37 % 9000)))
                print(seq, flush=True)
        case ["busy", seconds]:
            keep_busy(float(seconds))
        case ["post", run_id, first, last]:
            numbers = range(int(first), int(last) + 1)
            return " ".join([str(number) for number in numbers if await store.post(message(run_id, str(number)))])
        case ["migrate"]:
            assert isinstance(store, SqliteStore)
            migrate(store)
        case _:
            raise ValueError(words)
    return "done"


def keep_busy(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def migrate(store: SqliteStore) -> None:
    connection = connect(store.path, "power")
    connection.execute("BEGIN IMMEDIATE")
    for statement in step(2):
        connection.execute(statement)
    print("half way", flush=True)
    sys.stdin.read()


async def main(kind: str, place: str, options: str) -> None:
    """kind: of the store. place: where it is. options: JSON; `clock` is how many seconds its clock is ahead."""
    given = json.loads(options)
    ahead = given.pop("clock", 0.0)
    make = {"sqlite": SqliteStore, "postgres": PostgresStore}[kind]
    store = make(place, clock=lambda: time.time() + ahead, **given)
    for line in sys.stdin:
        try:
            answer = await obey(store, line.split())
        except MilepostError as error:
            answer = f"{type(error).__name__}: {error}"
        print(answer, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
