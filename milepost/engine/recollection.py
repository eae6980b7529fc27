"""Where a run stood when it was last asked what it waits for, so that asking again reads only what came since."""

from __future__ import annotations

from milepost.engine.errors import BrokenJournal
from milepost.engine.position import Position
from milepost.engine.stores.store import RunRow, Store


class Recollection:
    """The positions of one run and of those inside it; those of another run are forgotten for it.

    Whoever answers the questions of a run one after another would read the run anew for each. What a position refers to
    is not read: nobody who speaks to a run needs that.
    """

    def __init__(self) -> None:
        self._outer = ""
        self._known: dict[str, tuple[str, Position]] = {}

    def turn_to(self, run_id: str) -> None:
        """Be asked about this run and those inside it from now on."""
        if run_id != self._outer:
            self._outer = run_id
            self._known.clear()

    async def position(self, store: Store, row: RunRow) -> Position:
        """Return where a run stands. row: just read. Raises BrokenJournal, StoreError."""
        from milepost.engine.opening import read_position

        known = self._known.pop(row.run_id, None)  # nobody else goes on with it meanwhile
        position = None if known is None else await _gone_on(store, row, *known)
        if position is None:
            position = (await read_position(store, row, row.seq)).position
        self._known[row.run_id] = row.hash, position
        return position


async def _gone_on(store: Store, row: RunRow, before: str, position: Position) -> Position | None:
    """Apply the records since a position; None where it is not one that the run has stood at, or reading is cheaper.

    before: the hash of the record that it stands at.
    """
    from milepost.engine.reading import check_next, go_on, read_record

    if not row.snapshot_seq <= position.seq <= row.seq:
        return None
    new = row.seq - position.seq
    try:
        for stored in await store.records(row.run_id, after=position.seq, limit=new) if new else ():
            check_next(row.run_id, before, position.seq + 1, stored)
            go_on(row.run_id, position, read_record(row.run_id, stored))
            before = stored.hash
    except BrokenJournal:  # reading it as a whole says what is wrong
        return None
    return position if (position.seq, before) == (row.seq, row.hash) else None
