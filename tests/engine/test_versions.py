"""The older texts of a field can be read for as long as something that was spawned then is still to run."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from milepost.engine.patch import NOTHING, inverse, splice
from milepost.engine.versions import FEW, Step, remember, text_at

texts = st.text(alphabet="ab", max_size=6)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, bool, int]]:
    """Draw the records of a run: what a field becomes, whether something is spawned, and how many of those end."""
    records = st.tuples(texts, st.booleans(), st.integers(0, 2))
    return draw(st.lists(records, max_size=60))


@given(histories())
def test_what_waits_can_read_the_field_as_it_was(history: list[tuple[str, bool, int]]) -> None:
    steps: list[Step] = []
    text, was, waiting = "", {0: ""}, list[int]()
    for seq, (after, spawns, ended) in enumerate(history, 1):
        if after != text:
            undo = inverse(text, splice(text, after))
            remember(steps, seq, undo, after, max(waiting, default=-1), partial(set[int], waiting))
        text = was[seq] = after
        if spawns:
            waiting.append(seq)
        for _ in range(min(ended, len(waiting))):
            waiting.pop(seq * 7 % len(waiting))
        for number in waiting:
            assert text_at(steps, text, number) == was[number]
        assert len(steps) <= max(FEW, 2 * len(history))


@given(st.lists(texts, min_size=1, max_size=200))
def test_what_nobody_saw_is_not_kept(changes: list[str]) -> None:
    """One waits from the beginning: however often the field changes, one step leads back to it."""
    steps: list[Step] = []
    text = "begin"
    for seq, after in enumerate(changes, 2):
        remember(steps, seq, inverse(text, splice(text, after)), after, 1, lambda: {1})
        text = after

    assert len(steps) == 1
    assert text_at(steps, text, 1) == "begin"


def test_steps_that_nobody_needs_any_more_are_dropped_in_time() -> None:
    """At every record something is spawned that has ended by the next one; one waits from the beginning."""
    steps: list[Step] = []
    text = ""
    for seq in range(2, 1000):
        after = f"{text}x"
        remember(steps, seq, inverse(text, splice(text, after)), after, seq - 1, partial(set[int], (1, seq - 1)))
        text = after
        assert len(steps) <= FEW

    assert text_at(steps, text, 1) == ""


def test_a_field_that_grows_while_many_wait_costs_what_was_added() -> None:
    steps: list[Step] = []
    text = "["
    for seq in range(2, 500):
        after = f"{text}{'x' * 100}"
        remember(steps, seq, inverse(text, splice(text, after)), after, seq - 1, partial(range, 1, seq))
        text = after

    assert sum(len(undo[2]) for _, undo in steps) == 0
    assert len(text_at(steps, text, 250)) == 1 + 249 * 100


def test_nothing_is_kept_when_nothing_waits() -> None:
    steps: list[Step] = [(2, NOTHING)]

    remember(steps, 3, NOTHING, "text", -1, lambda: set[int]())

    assert steps == []
