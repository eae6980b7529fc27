"""A process with a store of its own, for the tests that kill, stop or race it.

It does what the lines on its standard input say, and answers each with one line:
open | create RUN | acquire RUN | append RUN EPOCH FIRST LAST | stream RUN EPOCH FIRST (a line a record, for ever)
post RUN FIRST LAST (which were new) | migrate (begin a step of the schema, and wait for the end)
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from milepost.engine.errors import MilepostError
from milepost.engine.stores.sqlite import SqliteStore
from milepost.engine.stores.sqlite_file import VERSION, connect, step
from tests.engine.stores.worlds import append, entry, message, new_run


async def obey(store: SqliteStore, words: Sequence[str]) -> str:
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
        case ["post", run_id, first, last]:
            numbers = range(int(first), int(last) + 1)
            return " ".join([str(number) for number in numbers if await store.post(message(run_id, str(number)))])
        case ["migrate"]:
            connection = connect(store.path, "power")
            connection.execute("BEGIN IMMEDIATE")
            for statement in step(VERSION):
                connection.execute(statement)
            print("half way", flush=True)
            sys.stdin.read()
        case _:
            raise ValueError(words)
    return "done"


async def main(path: str, durability: str) -> None:
    store = SqliteStore(path, durability=durability)  # type: ignore[arg-type]  # one of the three
    for line in sys.stdin:
        try:
            answer = await obey(store, line.split())
        except MilepostError as error:
            answer = f"{type(error).__name__}: {error}"
        print(answer, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
