"""What a PostgresStore commits in one statement: entries of several runs, and all that they bring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from milepost.engine.stores.store import Entry

# Each statement moves the row of a run to its new record only if the lease is still good, and writes the rest for the
# runs that it could move. So it is the same whether it comes once, twice, or after somebody else has taken the run. The
# number of a lease is not enough: the run may have been removed meanwhile, and another begun with its id.
# A function over arrays stands for one statement for each row, which would cost a message to the server each.

_LEASED: Final = (  # an owner may have let the run go already; the openings are not looked at while it has not
    "(runs.owner = {0} OR (runs.owner IS NULL AND EXISTS (SELECT 1 FROM openings "
    "WHERE openings.run = runs.number AND openings.epoch = runs.epoch AND openings.owner = {0})))"
)
ONE: Final = (
    "WITH moved AS (UPDATE runs SET seq = %s, hash = %s, status = %s, updated = %s, error = %s, output = %s, "
    "due = %s, snapshot_seq = greatest(snapshot_seq, %s), fingerprint = coalesce(%s, fingerprint), takeovers = 0 "
    f"WHERE run_id = %s AND epoch = %s AND seq = %s AND {_LEASED.format('%s')} RETURNING run_id, number), "
    "kept AS (INSERT INTO records (run, seq, epoch, body, content, hash, at, snapshot) "
    "SELECT number, %s, %s, %s, %s, %s, %s, %s FROM moved) "
    "SELECT run_id FROM moved"
)
MANY: Final = (
    "WITH given AS (SELECT * FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[], %b::text[], "
    "%b::float8[], %b::text[], %b::text[], %b::float8[], %b::bigint[], %b::text[]) AS given "
    "(run_id, epoch, before, seq, hash, status, at, error, output, due, snapshot_seq, fingerprint)), "
    "moved AS (UPDATE runs SET seq = given.seq, hash = given.hash, status = given.status, updated = given.at, "
    "error = given.error, output = given.output, due = given.due, "
    "snapshot_seq = greatest(runs.snapshot_seq, given.snapshot_seq), "
    "fingerprint = coalesce(given.fingerprint, runs.fingerprint), takeovers = 0 FROM given "
    "WHERE runs.run_id = given.run_id AND runs.epoch = given.epoch AND runs.seq = given.before "
    f"AND {_LEASED.format('%b::text')} "
    "RETURNING runs.run_id, number), "
    "kept AS (INSERT INTO records (run, seq, epoch, body, content, hash, at, snapshot) "
    "SELECT number, given.seq, given.epoch, body, content, hash, at, snapshot "
    "FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::float8[], %b::text[]) "
    "AS given (run_id, seq, epoch, body, content, hash, at, snapshot) JOIN moved USING (run_id))"
)
MOVED: Final = " SELECT run_id FROM moved"
BESIDES: Final = (
    ", taken AS (UPDATE inbox SET taken = given.seq, payload = '' "
    "FROM unnest(%b::text[], %b::text[], %b::bigint[]) AS given (run_id, id, seq) JOIN moved USING (run_id) "
    "WHERE inbox.run_id = given.run_id AND inbox.id = given.id AND inbox.taken IS NULL), "
    'newest AS (SELECT DISTINCT ON (key COLLATE "C") key, value, expires '
    "FROM unnest(%b::text[], %b::text[], %b::text[], %b::float8[]) WITH ORDINALITY "
    "AS given (run_id, key, value, expires, place) JOIN moved USING (run_id) "
    'ORDER BY key COLLATE "C", place DESC), '  # in one order for everybody, so that nobody waits in a circle
    "cached AS (INSERT INTO cache (key, value, expires) SELECT key, value, expires FROM newest "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires)"
)
FATES: Final = (
    "SELECT given.run_id, runs.epoch, runs.seq, records.epoch IS NOT NULL "
    "FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::text[]) AS given (run_id, epoch, seq, hash) "
    "JOIN runs USING (run_id) LEFT JOIN records ON records.run = runs.number AND records.seq = given.seq "
    "AND records.epoch = given.epoch AND records.hash = given.hash"
)


class Chain(NamedTuple):
    """Entries of one run that follow one another, at least one."""

    entries: Sequence[Entry]

    @property
    def run_id(self) -> str:
        return self.entries[0].run_id

    @property
    def first(self) -> Entry:
        return self.entries[0]

    @property
    def last(self) -> Entry:
        return self.entries[-1]

    @property
    def snapshot_seq(self) -> int:
        """The number of the newest entry with a snapshot, 0 for none."""
        return max((entry.seq for entry in self.entries if entry.snapshot is not None), default=0)

    @property
    def fingerprint(self) -> str | None:
        """Of the definition that the run follows from now on, None for the one that it has."""
        given = [entry.fingerprint for entry in self.entries if entry.fingerprint is not None]
        return given[-1] if given else None


def chains_of(entries: Iterable[Entry]) -> list[Chain]:
    """Return what each run brings, up to the first entry that does not follow the one before."""
    by_run: dict[str, list[Entry]] = {}
    broken: set[str] = set()
    for entry in entries:
        chain = by_run.setdefault(entry.run_id, [])
        if chain and (entry.epoch != chain[0].epoch or entry.seq != chain[0].seq + len(chain)):
            broken.add(entry.run_id)
        if entry.run_id not in broken:
            chain.append(entry)
    return [Chain(chain) for chain in by_run.values()]


def one(entry: Entry, owner: str) -> list[object]:
    """Return what to bind to `ONE`. owner: whose lease it is."""
    snapshot_seq = 0 if entry.snapshot is None else entry.seq
    return [
        *(entry.seq, entry.hash, entry.status, entry.at, entry.error, entry.output, entry.due, snapshot_seq),
        *(entry.fingerprint, entry.run_id, entry.epoch, entry.seq - 1, owner, owner),
        *(entry.seq, entry.epoch, entry.body, entry.content, entry.hash, entry.at, entry.snapshot),
    ]


def many(chains: Sequence[Chain], owner: str) -> list[object]:
    """Return what to bind to `MANY`: an array for each column, of the rows of runs and of the records.

    owner: whose leases they are.
    """
    heads = [
        (
            *(chain.run_id, chain.first.epoch, chain.first.seq - 1, chain.last.seq, chain.last.hash, chain.last.status),
            *(chain.last.at, chain.last.error, chain.last.output, chain.last.due, chain.snapshot_seq),
            chain.fingerprint,
        )
        for chain in chains
    ]
    records = [
        (entry.run_id, entry.seq, entry.epoch, entry.body, entry.content, entry.hash, entry.at, entry.snapshot)
        for chain in chains
        for entry in chain.entries
    ]
    return [*_columns(heads, 12), owner, owner, *_columns(records, 8)]


def besides(chains: Sequence[Chain]) -> list[object] | None:
    """Return what to bind to `BESIDES` after `MANY`: messages that are taken in, and results; None for nothing."""
    entries = [entry for chain in chains for entry in chain.entries]
    taken = [(entry.run_id, message_id, entry.seq) for entry in entries for message_id in entry.taken]
    kept = [(entry.run_id, *entry.cache) for entry in entries if entry.cache is not None]
    return [*_columns(taken, 3), *_columns(kept, 4)] if taken or kept else None


def fates(chains: Sequence[Chain]) -> list[object]:
    """Return what to bind to `FATES`."""
    return _columns([(chain.run_id, chain.first.epoch, chain.last.seq, chain.last.hash) for chain in chains], 4)


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[object]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
