"""Where an exception came from, as text for people: the frames of the author's code, not ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from traceback import StackSummary, TracebackException
from typing import Final

MOST_FRAMES: Final = 20
"""Of one exception, the innermost ones."""
MOST: Final = 4_000
"""How many characters are kept, of the end."""

_ROOMS: Final = Path(__file__).parents[1]
_OWN: Final = tuple(f"{_ROOMS / room}" for room in ("engine", "nodes"))
_BETWEEN: Final = ("/anyio/", "/asyncio/", "/concurrent/futures/", "/trio/")


def traceback_of(error: BaseException) -> str | None:
    """Return the traceback of an exception and of what caused it; None where no frame is the author's own.

    It can be written as UTF-8, and is cut to what is worth keeping. Nothing that goes wrong here hides the exception.
    """
    try:
        told = TracebackException.from_exception(error, limit=-10 * MOST_FRAMES, compact=True)
        has_frames = False
        for one in _chain(told):
            one.stack = StackSummary.from_list([frame for frame in one.stack if not _is_own(frame.filename)])
            del one.stack[:-MOST_FRAMES]
            has_frames = has_frames or bool(one.stack)
        text = "".join(told.format()).rstrip() if has_frames else ""
    except Exception:  # of the author's own class, which may not be able to say what it is
        return None
    cut = text if len(text) <= MOST else f"…{text[-MOST:]}"
    return cut.encode("utf-8", "replace").decode() or None


def _chain(told: TracebackException) -> Iterator[TracebackException]:
    """Yield an exception, what caused it, and what it groups."""
    pending: list[TracebackException] = [told]
    while pending:
        one = pending.pop()
        yield one
        pending.extend(
            next_ for next_ in (one.__cause__, one.__context__, *(one.exceptions or ())) if next_ is not None
        )


def _is_own(file: str) -> bool:
    return file.startswith(_OWN) or any(part in file for part in _BETWEEN)
