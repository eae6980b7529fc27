"""Looking after a store: verifying it, removing what is not needed, moving runs between stores."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from milepost.engine.errors import InputError, UnknownRun
from milepost.engine.stored_runs import RunSummary, StoredRuns
from milepost.engine.stores.store import Store
from milepost.engine.trace import OVER, RunStatus

if TYPE_CHECKING:  # a program that only runs workflows does none of this, so each part is loaded when it is asked for
    from milepost.engine.collecting import Collected
    from milepost.engine.stores.encrypted import Rotated
    from milepost.engine.verifying import Finding


class CaredRuns(StoredRuns):
    """The runs of a store, for everybody who looks after it. clock: seconds since 1970 UTC."""

    def __init__(self, store: Store | None, clock: Callable[[], float] = time.time) -> None:
        super().__init__(store)
        self._clock = clock

    async def verify(self, run_id: str | None = None) -> list[Finding]:
        """Hold a run, or all of them and the store itself, against their checksums; return what is not as it should be.

        Every record is held against its hash, which covers all before it; where the run stands by its records against
        every snapshot and against its row; and what they point at is looked up. Needs none of the code of the runs, and
        changes nothing. Cost: one pass over all records. Raises UnknownRun; StoreError: the store cannot be opened.
        """
        from milepost.engine.verifying import verify_run, verify_store

        store = self._need_store()
        if run_id is None:
            return await verify_store(store)
        row = await store.row(run_id)
        if row is None:
            raise UnknownRun(run_id, await self._similar(run_id))
        return await verify_run(store, row)

    async def gc(
        self,
        *,
        older_than: timedelta | float | None = None,
        keep_last: int | None = None,
        status: Collection[RunStatus] = OVER,
        workflow: str | None = None,
        dry_run: bool = False,
    ) -> Collected:
        """Remove runs, each with all runs inside it, and what has expired in the cache and in the inboxes.

        A run goes if all of this holds. older_than: neither it nor a run inside it was changed since so long (seconds,
        or a timedelta). keep_last: it is not among so many newest ones of its workflow. status: it stands so; what is
        running or waiting only goes if you say so. workflow: it is of the one with this name. At least one of the first
        two must be given. What somebody drives is kept, and so is what another run needs. dry_run: only say what would
        go. Raises InputError, StoreError.
        """
        from milepost.engine.collecting import collect

        age = older_than.total_seconds() if isinstance(older_than, timedelta) else older_than
        return await collect(
            self._need_store(),
            self._clock(),
            older_than=age,
            keep_last=keep_last,
            status=status,
            workflow=workflow,
            dry_run=dry_run,
        )

    def export(self, run_id: str) -> AsyncIterator[str]:
        """Give a run as lines of JSON, without their ends, and after it every run inside it.

        What is encrypted in the store is not in these lines. A run that is being driven is given as it stood when the
        first line was asked for. Raises, while it is read, UnknownRun, BrokenJournal, StoreError.
        """
        from milepost.engine.exporting import exported

        return exported(self._need_store(), run_id)

    async def import_run(self, lines: Iterable[str] | AsyncIterable[str]) -> RunSummary:
        """Put a run in that was exported from another store, with the runs inside it; it can be resumed here then.

        It is verified before anything is written, all in one transaction. Raises InputError: the lines are damaged, or
        not of an export, or the store has a run of such an id already. StoreError.
        """
        from milepost.engine.importing import imported

        return await self._summary(await imported(self._need_store(), lines))

    async def rotate(self) -> Rotated:
        """Encrypt everything with the newest key of an encrypted store; see `Encrypted.rotate`.

        Raises InputError: the store has no key. StoreError.
        """
        from milepost.engine.stores.encrypted import Encrypted

        store = self._need_store()
        if not isinstance(store, Encrypted):
            raise InputError("This store was given without a key. Set MILEPOST_KEY, or give Encrypted(store, [key]).")
        return await store.rotate()
