"""What a PostgresStore writes: every function is one transaction on one connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from milepost.engine.errors import CrashLoop, UnknownRun
from milepost.engine.stores import postgres_batch as batch
from milepost.engine.stores.owner import busy
from milepost.engine.stores.postgres_batch import Chain
from milepost.engine.stores.postgres_presence import IS_THERE
from milepost.engine.stores.postgres_rows import COLUMNS, NOW, columns_of, row_of
from milepost.engine.stores.store import Entry, Message, NewRun, RunRow

if TYPE_CHECKING:
    from psycopg import AsyncCursor
    from psycopg.rows import TupleRow

    from milepost.engine.stores.postgres_connections import Link

BEAT: Final = (
    f"INSERT INTO owners (owner, lease_until) VALUES (%s, {NOW} + %s) "
    "ON CONFLICT (owner) DO UPDATE SET lease_until = excluded.lease_until"
)
LET_GO: Final = "UPDATE runs SET owner = NULL WHERE run_id = %s AND owner = %s AND epoch = %s"
EPOCH: Final = "SELECT epoch FROM runs WHERE run_id = %s AND owner = %s"

_CREATE: Final = (
    "WITH made AS (INSERT INTO runs (run_id, workflow, version, fingerprint, status, isolation, created, updated, seq, "
    "hash, snapshot_seq, epoch, owner, error, output, parent_run, parent_task, forked_from, forked_at, tags, "
    "due, creating, owned_since, takeovers, inside) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::text[], %s, %s, "
    f"{NOW}, 0, 0) "
    "ON CONFLICT (run_id) DO NOTHING RETURNING number), "
    "defined AS (INSERT INTO definitions SELECT %s, %s FROM made ON CONFLICT DO NOTHING), "
    "opened AS (INSERT INTO openings (run, epoch, owner, at) SELECT number, %s, %s, %s FROM made), "
    "cached AS (INSERT INTO cache (key, value, expires) SELECT %s::text, %s::text, %s::float8 FROM made WHERE %s "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires), "
    "kept AS (INSERT INTO records (run, seq, epoch, body, content, hash, at, snapshot) "
    "SELECT number, %s, %s, %s, %s, %s, %s, %s FROM made) "
    "SELECT number FROM made"
)
_SHARED: Final = "SELECT 1 FROM runs WHERE run_id = %s FOR KEY SHARE"  # so that nobody removes it before we have it
_CREATED: Final = "SELECT creating FROM runs WHERE run_id = %s"
_LOCK: Final = "SELECT owner, owned_since, takeovers, inside FROM runs WHERE run_id = %s FOR UPDATE"
# Not joined to the statement above: that one may wait for the lock, and then sees the other tables as they were before.
_LEASE: Final = f"SELECT lease_until, lease_until - {NOW} FROM owners WHERE owner = %s AND lease_until > {NOW}"
_TAKE: Final = (
    f"WITH taken AS (UPDATE runs SET epoch = epoch + 1, owner = %s, owned_since = {NOW}, takeovers = %s, inside = %s "
    f"WHERE run_id = %s RETURNING number, {COLUMNS}), "
    "opened AS (INSERT INTO openings (run, epoch, owner, at) SELECT number, epoch, owner, %s FROM taken) "
    f"SELECT {COLUMNS} FROM taken"
)
_LEAVE: Final = (
    "WITH let_go AS (UPDATE runs SET owner = NULL WHERE run_id = ANY(%s) AND owner = %s) "
    "DELETE FROM owners WHERE owner = %s"
)
_INSIDE: Final = (
    "WITH RECURSIVE inside AS (SELECT run_id, seq FROM runs WHERE parent_run = %s UNION ALL "
    "SELECT runs.run_id, runs.seq FROM runs JOIN inside ON runs.parent_run = inside.run_id) "
    "SELECT coalesce(sum(seq), 0)::bigint FROM inside"
)
_POSTED: Final = (
    "SELECT inbox.posting FROM runs LEFT JOIN inbox ON inbox.run_id = runs.run_id AND inbox.id = %s "
    "WHERE runs.run_id = %s"
)
_POST: Final = (
    "WITH newest AS (UPDATE messages SET number = number + 1 RETURNING number), "
    "found AS (SELECT 1 FROM runs WHERE run_id = %s FOR KEY SHARE) "  # it may have been removed since the look
    "INSERT INTO inbox (number, run_id, id, kind, payload, by, at, posting) "
    "SELECT number, %s, %s, %s, %s, %s, %s, %s FROM newest CROSS JOIN found ON CONFLICT (run_id, id) DO NOTHING"
)
DEFINE: Final = "INSERT INTO definitions (fingerprint, description) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_SWEEP: Final = (  # a few: more than are kept, so that they become fewer; not those that somebody else is writing
    "DELETE FROM cache WHERE key IN (SELECT key FROM cache WHERE expires <= %s ORDER BY expires LIMIT 10 "
    "FOR UPDATE SKIP LOCKED)"
)
_BURY: Final = (
    f"DELETE FROM owners WHERE owner IN (SELECT owner FROM owners WHERE lease_until < {NOW} FOR UPDATE SKIP LOCKED)"
)

Fate = Literal["committed", "taken over", "gone"]


class Absent(NamedTuple):
    """An owner without a connection to the server. seconds: for which its lease is still good."""

    owner: str
    seconds: float


async def enter(connection: Link, owner: str, ttl: float) -> None:
    """Become somebody who can own runs, and forget the dead, who are not missed."""
    await connection.execute(_BURY)
    await connection.execute(BEAT, (owner, ttl))


async def leave(connection: Link, owner: str, run_ids: Sequence[str]) -> None:
    """Stop owning runs, and being anybody."""
    await connection.execute(_LEAVE, (list(run_ids), owner, owner))


async def create(connection: Link, owner: str, run: NewRun, first: Entry, creating: str) -> bool:
    """Create a run with its first record, owned; False if the id is taken.

    creating: names this attempt and all its repetitions, so that one that got no answer can be made again.
    """
    if run.forked_from is None:
        return await _create(connection, owner, run, first, creating)
    async with connection.transaction():
        if await (await connection.execute(_SHARED, (run.forked_from,))).fetchone() is None:
            raise UnknownRun(run.forked_from)
        return await _create(connection, owner, run, first, creating)


async def _create(connection: Link, owner: str, run: NewRun, first: Entry, creating: str) -> bool:
    row = run.row(first, owner)
    cache = first.cache
    cursor = await connection.execute(
        _CREATE,
        [
            *columns_of(row),
            creating,
            *(run.fingerprint, run.definition),
            *(first.epoch, owner, first.at),
            *((None, None, None, False) if cache is None else (*cache, True)),
            *(first.seq, first.epoch, first.body, first.content, first.hash, first.at, first.snapshot),
        ],
    )
    if await cursor.fetchone() is not None:
        return True
    found = await (await connection.execute(_CREATED, (run.run_id,))).fetchone()
    return found is not None and found[0] == creating


async def acquire(
    connection: Link, owner: str, run_id: str, at: float, most: int, *, gone: str | None = None
) -> RunRow | Absent:
    """Become the owner of a run, and return its row; or return the owner that it has, who is not connected any more.

    most: takeovers without a new record that are let through. gone: an owner whose lease counts no more unless it has
    come back.
    """
    loop: CrashLoop | None = None
    async with connection.transaction():
        found = await (await connection.execute(_LOCK, (run_id,))).fetchone()
        if found is None:
            raise UnknownRun(run_id)
        before, since, takeovers, inside = found
        if before not in (None, owner):
            lease = await (await connection.execute(_LEASE, (before,))).fetchone()
            if lease is not None:
                if await is_there(connection, before):
                    raise busy(run_id, before, since=since, expires=lease[0])
                if before != gone:
                    return Absent(str(before), float(lease[1]))
            records = await _records_inside(connection, run_id)
            takeovers, inside = (takeovers + 1 if records == inside else 1), records
        if takeovers > most and before not in (None, owner):
            # The run is let go: whoever resumes it after having read this error gets one more try.
            loop = CrashLoop(run_id, takeovers - 1)
            await connection.execute("UPDATE runs SET owner = NULL WHERE run_id = %s", (run_id,))
        else:
            taken = await (await connection.execute(_TAKE, (owner, takeovers, inside, run_id, at))).fetchone()
            assert taken is not None
            return row_of(taken)
    assert loop is not None
    raise loop


async def is_there(connection: Link, owner: str) -> bool:
    """Tell whether an owner has a connection to the server."""
    found = await (await connection.execute(IS_THERE, (owner,))).fetchone()
    return found is not None and bool(found[0])


async def _records_inside(connection: Link, run_id: str) -> int:
    """Return how many records the runs inside a run have: as long as they go on, so does it."""
    found = await (await connection.execute(_INSIDE, (run_id,))).fetchone()
    return 0 if found is None else int(found[0])


async def release(connection: Link, owner: str, run_id: str, epoch: int) -> None:
    """Stop being the owner."""
    await connection.execute(LET_GO, (run_id, owner, epoch))


async def append(cursor: AsyncCursor[TupleRow], owner: str, chains: Sequence[Chain]) -> set[str]:
    """Commit what several runs bring. Returns the ids of those runs that are committed; others have another owner.

    owner: whose leases they are.
    """
    extra = batch.besides(chains)
    if extra is not None:
        statement, values = batch.MANY + batch.BESIDES + batch.MOVED, [*batch.many(chains, owner), *extra]
    elif len(chains) == 1 and len(chains[0].entries) == 1:
        statement, values = batch.ONE, batch.one(chains[0].first, owner)
    else:
        statement, values = batch.MANY + batch.MOVED, batch.many(chains, owner)
    await cursor.execute(statement, values, prepare=True)
    return {str(found[0]) for found in await cursor.fetchall()}


async def fates(connection: Link, chains: Sequence[Chain]) -> dict[str, Fate]:
    """Look what became of what several runs brought, when the answer was lost. Returns it by their ids."""
    known: dict[str, Fate] = {}
    cursor = await connection.execute(batch.FATES, batch.fates(chains))
    found = {str(run_id): rest for run_id, *rest in await cursor.fetchall()}
    for chain in chains:
        epoch, seq, is_kept = found.get(chain.run_id, (chain.first.epoch, 0, False))
        is_gone = epoch == chain.first.epoch and seq < chain.first.seq - 1
        known[chain.run_id] = "committed" if is_kept else "gone" if is_gone else "taken over"
    return known


async def sweep(connection: Link, now: float) -> None:
    """Remove a few results that have expired."""
    await connection.execute(_SWEEP, (now,))


async def define(connection: Link, fingerprint: str, text: str) -> None:
    """Keep the description of a workflow unless it is there."""
    await connection.execute(DEFINE, (fingerprint, text))


async def post(connection: Link, message: Message, posting: str) -> bool:
    """Put a message into the inbox of a run; False if one of its id is or was there.

    posting: names this attempt and all its repetitions, so that one that got no answer can be made again.
    """
    while True:
        found = await (await connection.execute(_POSTED, (message.id, message.run_id))).fetchone()
        if found is None:
            raise UnknownRun(message.run_id)
        if found[0] is not None:
            return bool(found[0] == posting)
        *columns, _ = message
        await connection.execute(_POST, (message.run_id, *columns, posting))
