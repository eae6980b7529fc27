"""What looking after a PostgresStore writes: every function but one is one transaction on one connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from milepost.engine.stores.postgres_journal import DEFINE
from milepost.engine.stores.postgres_rows import NOW, columns_of
from milepost.engine.stores.store import Leftovers, RunRow, WholeRun

if TYPE_CHECKING:
    from milepost.engine.stores.postgres_connections import Link

WEIGH: Final = (
    "SELECT count(DISTINCT number), count(*), "
    "coalesce(sum(octet_length(body) + octet_length(content) + coalesce(octet_length(snapshot), 0)), 0)::bigint "
    "FROM runs JOIN records ON run = number WHERE run_id = ANY(%s)"
)
_STANDING: Final = "SELECT number, run_id, epoch, seq, owner FROM runs WHERE run_id = ANY(%s) FOR UPDATE"
_CREATED: Final = "SELECT creating FROM runs WHERE run_id = ANY(%s)"
_ALIVE: Final = f"SELECT owner FROM owners WHERE owner = ANY(%s) AND lease_until > {NOW}"
_NEEDED: Final = (
    "SELECT EXISTS (SELECT 1 FROM runs WHERE (parent_run = ANY(%s) OR forked_from = ANY(%s)) AND run_id <> ALL(%s))"
)
_RUN: Final = (
    "INSERT INTO runs (run_id, workflow, version, fingerprint, status, isolation, created, updated, seq, hash, "
    "snapshot_seq, epoch, owner, error, output, parent_run, parent_task, forked_from, forked_at, tags, due, "
    "creating, owned_since, takeovers, inside) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::text[], %s, %s, 0, 0, 0) "
    "ON CONFLICT (run_id) DO NOTHING RETURNING number"
)
_RECORD: Final = (
    "INSERT INTO records (run, epoch, seq, body, content, hash, at, snapshot) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)
_OPENING: Final = "INSERT INTO openings (run, epoch, owner, at) VALUES (%s, %s, %s, %s)"
_POSTED: Final = (
    "WITH newest AS (UPDATE messages SET number = number + 1 RETURNING number) "
    "INSERT INTO inbox (number, run_id, id, kind, payload, by, at, posting, taken) "
    "SELECT number, %s, %s, %s, %s, %s, %s, '', %s::bigint FROM newest"
)
_OTHER_RECORD: Final = (
    "UPDATE records SET body = %s, content = %s, hash = %s, snapshot = %s WHERE run = %s AND seq = %s"
)
_OTHER_ROW: Final = "UPDATE runs SET hash = %s, error = %s, output = %s WHERE number = %s"
_OTHER_MESSAGE: Final = (
    "UPDATE inbox SET payload = CASE WHEN taken IS NULL THEN %s ELSE payload END, by = %s WHERE run_id = %s AND id = %s"
)
_RESULTS: Final = (
    "SELECT count(*), coalesce(sum(octet_length(value)), 0)::bigint FROM cache "
    "WHERE %s::float8 IS NULL OR expires <= %s::float8"
)
_FORGET: Final = "DELETE FROM cache WHERE %s::float8 IS NULL OR expires <= %s::float8"
_OVER: Final = (
    "taken IS NULL AND run_id IN (SELECT run_id FROM runs WHERE status IN ('completed', 'cancelled') AND owner IS NULL)"
)
_UNREAD: Final = f"SELECT count(*), coalesce(sum(octet_length(payload)), 0)::bigint FROM inbox WHERE {_OVER}"
_EMPTY: Final = f"UPDATE inbox SET taken = 0, payload = '' WHERE {_OVER}"
_SIZE: Final = (
    "SELECT sum(pg_total_relation_size(name::regclass))::bigint "
    "FROM unnest(ARRAY['records', 'runs', 'openings', 'inbox', 'cache']) AS name"
)


async def delete(connection: Link, owner: str, rows: Sequence[RunRow], *, again: bool) -> bool:
    """Remove runs; False if one is not as its row says, or is needed by another.

    again: whether this was tried before without an answer, so that runs which are all gone count as removed by it.
    """
    ids = [row.run_id for row in rows]
    async with connection.transaction():
        standing = await _standing(connection, owner, rows)
        if again and await _are_gone(connection, ids):
            return True
        needed = await (await connection.execute(_NEEDED, (ids, ids, ids))).fetchone()
        if len(standing) < len(rows) or needed is None or needed[0]:
            return False
        numbers = list(standing.values())
        await connection.execute("DELETE FROM records WHERE run = ANY(%s)", (numbers,))
        await connection.execute("DELETE FROM openings WHERE run = ANY(%s)", (numbers,))
        await connection.execute("DELETE FROM inbox WHERE run_id = ANY(%s)", (ids,))
        await connection.execute("DELETE FROM runs WHERE number = ANY(%s)", (numbers,))
    return True


async def _are_gone(connection: Link, ids: Sequence[str]) -> bool:
    found = await (await connection.execute("SELECT 1 FROM runs WHERE run_id = ANY(%s)", (list(ids),))).fetchone()
    return found is None


async def _standing(connection: Link, owner: str, rows: Sequence[RunRow]) -> dict[str, int]:
    """Lock runs, and return the numbers of those that are as their rows say and that nobody drives, by their ids."""
    said = {row.run_id: (row.epoch, row.seq) for row in rows}
    found = await (await connection.execute(_STANDING, (list(said),))).fetchall()
    owners = [name for *_, name in found if name is not None]
    alive = {str(name) for (name,) in await (await connection.execute(_ALIVE, (owners,))).fetchall()}
    return {
        str(run_id): int(number)
        for number, run_id, epoch, seq, name in found
        if (epoch, seq) == said[str(run_id)] and name != owner and name not in alive
    }


async def insert(connection: Link, runs: Sequence[WholeRun], creating: str) -> bool:
    """Put whole runs in; False if an id is taken.

    creating: names this attempt and all its repetitions, so that one that got no answer can be made again.
    """
    from psycopg import Rollback

    is_new = True
    async with connection.transaction():
        found = await (await connection.execute(_CREATED, ([run.row.run_id for run in runs],))).fetchall()
        if found:
            return [by for (by,) in found] == [creating] * len(runs)
        for run in runs:
            if not await _insert_one(connection, run, creating):
                is_new = False
                raise Rollback
    return is_new


async def _insert_one(connection: Link, run: WholeRun, creating: str) -> bool:
    row = replace(run.row, owner=None)
    await connection.execute(DEFINE, (row.fingerprint, run.definition))
    cursor = await connection.execute(_RUN, [*columns_of(row), creating])
    made = await cursor.fetchone()
    if made is None:  # somebody else was faster
        return False
    (number,) = made
    await cursor.executemany(_RECORD, [(number, row.epoch, *record) for record in run.records])
    await cursor.executemany(_OPENING, [(number, *opening) for opening in run.openings])
    for message, taken in run.messages:
        *columns, _ = message
        await connection.execute(_POSTED, (*columns, taken))
    return True


async def rewrite(connection: Link, owner: str, run: WholeRun) -> bool:
    """Put other texts in place of those of a run; False if it is not as its row says."""
    row = run.row
    async with connection.transaction():
        number = (await _standing(connection, owner, [row])).get(row.run_id)
        if number is None:
            return False
        cursor = connection.cursor()
        await cursor.executemany(
            _OTHER_RECORD, [(one.body, one.content, one.hash, one.snapshot, number, one.seq) for one in run.records]
        )
        await cursor.execute(_OTHER_ROW, (row.hash, row.error, row.output, number))
        for message, _ in run.messages:
            await cursor.execute(_OTHER_MESSAGE, (message.payload, message.by, message.run_id, message.id))
    return True


async def sweep(connection: Link, now: float | None, *, dry_run: bool) -> Leftovers:
    """Remove the results that have expired, and empty the inboxes of runs that are over."""
    async with connection.transaction():
        results = await (await connection.execute(_RESULTS, (now, now))).fetchone()
        unread = await (await connection.execute(_UNREAD)).fetchone()
        assert results is not None
        assert unread is not None
        if not dry_run:
            await connection.execute(_FORGET, (now, now))
            await connection.execute(_EMPTY)
    return Leftovers(results[0], unread[0], results[1] + unread[1])


async def compact(connection: Link) -> int:
    """Let the server use the room of what was removed again; it gives back what lies at the end of a table."""
    before = await _size(connection)
    await connection.execute("VACUUM records, runs, openings, inbox, cache")
    return max(before - await _size(connection), 0)


async def _size(connection: Link) -> int:
    found = await (await connection.execute(_SIZE)).fetchone()
    return 0 if found is None else int(found[0])
