"""What the fields of the state were when a task that is still to run was spawned.

A task sees the state of the record that spawned it, whenever its body begins and whoever commits meanwhile. So the
position keeps, for each field, how to get from its text back to the older ones that a task may still ask for: splices,
so that a field which grows while thousands of tasks wait costs what was added to it, not a copy per task.
A field that is not there has the empty text, which no JSON value has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from typing import Final

from milepost.engine.patch import NOTHING, Splice, chained, spliced

Step = tuple[int, Splice]
"""(the record that changed a field, what takes its text back to the one before)"""
FEW: Final = 16
"""The steps of a field that are kept without asking who still needs them."""


def text_at(steps: Sequence[Step], text: str, seq: int) -> str:
    """Return the text of a field as record `seq` left it. text: what it is now.

    Costs the steps taken since and the size of the field, once.

    >>> text_at([(3, (2, 0, "")), (5, (4, 4, ""))], '["a","b"]', seq=4)
    '["a"]'
    """
    back = NOTHING
    for number, undo in reversed(steps):
        if number <= seq:
            break
        back = chained(text, back, undo)
    return spliced(text, back)


def remember(
    steps: list[Step], seq: int, undo: Splice, text: str, newest: int, waiting: Callable[[], Collection[int]]
) -> None:
    """Note that record `seq` has made `text` of a field; forget what nobody can ask for any more.

    newest: the newest record before this one that spawned something which is still to run, -1 when there is none.
    waiting: gives all such records. It is asked once in a while, so that the steps stay about as many as those.
    """
    if newest < 0:
        steps.clear()
        return
    if steps and newest < steps[-1][0]:  # nobody can have seen what the field was in between
        undo = chained(text, undo, steps.pop()[1])
    steps.append((seq, undo))
    if len(steps) >= FEW and not len(steps) & (len(steps) - 1):
        steps[:] = needed(steps, text, waiting())


def needed(steps: Sequence[Step], text: str, waiting: Collection[int]) -> list[Step]:
    """Return steps that lead to the texts that something waiting was spawned at, and to no other."""
    asked = sorted(waiting)
    kept: list[Step] = []
    begun, back = steps[-1][0], NOTHING
    for index in range(len(steps) - 1, -1, -1):
        number, undo = steps[index]
        back = chained(text, back, undo)
        since = steps[index - 1][0] if index else 0
        if bisect_left(asked, since) < bisect_left(asked, number):
            kept.append((begun, back))
            text, back = spliced(text, back), NOTHING
            begun = since
    kept.reverse()
    return kept
