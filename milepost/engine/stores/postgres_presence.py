"""How others see that an open PostgresStore is there: each of its connections holds a lock, which ends with it.

The server lets the lock go at the very moment the last connection of a dead process is gone, long before its lease has
run out. The lease counts where a connection outlives its process: a machine that lost its power, or one that sleeps.
"""

from __future__ import annotations

from typing import Final

_KEY: Final = "hashtextextended('milepost owner ' || %s, 0)"
_HELD: Final = (  # the server shows the number of a lock in two halves
    "(SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)

ENTER: Final = f"pg_advisory_lock_shared({_KEY})"
"""An expression that has a connection hold the lock of an owner, as long as it lasts."""

IS_THERE: Final = f"SELECT {_KEY} IN {_HELD}"
"""Whether any connection holds the lock of an owner."""

ARE_THERE: Final = f"hashtextextended('milepost owner ' || owner, 0) IN {_HELD}"
"""A term for rows of owners: those whose lock any connection holds."""
