"""The time axis of a timeline: where each moment is drawn, with the stretches folded in which nothing ran."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from milepost.visualize.wording import duration

RESOLUTION: Final = 1 / 400
"""The least width of a bar, and what is too small to be told apart."""

END: Final = 1 - 2 * RESOLUTION
"""Where the last moment is drawn; the rest is room for the least width of what ends there."""

MOST_FOLDS: Final = 12
FOLD: Final = 0.04
"""The width of a folded stretch, while there are few of them."""
ALL_FOLDS: Final = 0.36
"""The width of all folded stretches together, at most."""
MOSTLY: Final = 1 / 2000
"""The part in which something ran of a run that mostly waits: there the waits are what matters, and folds are wide."""
WIDE_FOLD: Final = 0.4
ALL_WIDE_FOLDS: Final = 0.72
"""The widths of folds of such a run, of one and of all together."""
WORTH: Final = 1.0
"""What has to be folded away, against what is left, for folding to be worth its trouble."""
LEAST: Final = 1.0
"""How many seconds a fold has at least: where there is less to fold, nobody has waited for long."""
PART: Final = 1 / 50
"""How long a fold has to be, beside the longest one: who folds a minute need not fold a moment."""

_NEAR: Final = 0.52
"""How near two marks may be, to the distance at which there would be as many as there are to be."""
_STEPS: Final = tuple(
    [10.0**power * digit for power in range(-3, 1) for digit in (1, 2, 5)]
    + [10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0]
    + [3600.0 * hours for hours in (1, 2, 3, 6, 12, 24, 48, 24 * 7, 24 * 30, 24 * 90, 24 * 365)]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch in which nothing ran, drawn shorter. start, stop: seconds. left, right: where it is drawn."""

    start: float
    stop: float
    left: float
    right: float

    @property
    def seconds(self) -> float:
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on the axis. at: seconds after the beginning."""

    at: float
    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """Places moments between 0 and END. times, places: the knots between which it is straight, both rising."""

    times: tuple[float, ...]
    places: tuple[float, ...]
    gaps: tuple[Gap, ...]

    @property
    def length(self) -> float:
        """The seconds from the beginning to the end."""
        return self.times[-1]

    def place(self, seconds: float) -> float:
        """Return where a moment is drawn. What lies outside is drawn at the edge."""
        if seconds <= 0.0:
            return 0.0
        knot = bisect_right(self.times, seconds)
        if knot >= len(self.times):
            return self.places[-1]
        start, stop = self.times[knot - 1], self.times[knot]
        left, right = self.places[knot - 1], self.places[knot]
        return left + (right - left) * ((seconds - start) / (stop - start))

    def ticks(self, most: int = 10) -> tuple[Tick, ...]:
        """Return marks at round times, at most about so many over the whole width, none inside a fold.

        Where a time would take many digits, as moments do after hours, it is counted from the end of the fold before. A
        stretch in which no time is round is marked where it begins.
        """
        return tuple(self._ticks(most))

    def _ticks(self, most: int) -> Iterator[Tick]:
        straight = [one for one in self._straight() if one[1] > one[0]]
        scale = max((self.place(stop) - self.place(start)) / (stop - start) for start, stop in straight)
        step = next((one for one in _STEPS if one * scale >= 1 / most), _STEPS[-1])
        last = -1.0
        for start, stop in straight:
            has_room = self.place(start) - last >= _NEAR / most
            for at, label in _marks(start, stop, step, from_start=has_room):
                place = self.place(at)
                if place - last >= _NEAR / most:
                    yield Tick(at=at, place=place, label=label)
                    last = place

    def _straight(self) -> Iterator[tuple[float, float]]:
        """Yield the stretches that are not folded."""
        start = 0.0
        for gap in self.gaps:
            yield start, gap.start
            start = gap.stop
        yield start, self.length


def _marks(start: float, stop: float, step: float, *, from_start: bool) -> Iterator[tuple[float, str]]:
    """Yield the times that a stretch may be marked at, with their labels.

    step: seconds between two. from_start: there is room to mark its beginning, so that times can be counted from there.
    """
    if from_start and ((step < 1 and start >= 60) or (step < 60 and start >= 86400)):
        yield start, duration(start)
        number = 1
        while (at := start + number * step) <= stop:
            yield at, f"+{duration(number * step)}"
            number += 1
        return
    first = -(-start // step) * step
    if first > stop:
        yield start, duration(start)
    while first <= stop:
        yield first, tick_label(first, step)
        first += step


def tick_label(at: float, step: float) -> str:
    """Return a time of an axis whose marks are so many seconds apart, as exactly as they need it.

    >>> [tick_label(*one) for one in ((0, 5), (5, 5), (0.25, 0.05), (90, 30), (28830, 10), (100000, 3600), (61.5, 0.5))]
    ['0', '5 s', '0.25 s', '1 min 30 s', '8:00:30', '1 d 3:47', '1:01.5']
    >>> tick_label(0.006, 0.002)
    '6 ms'
    """
    if not at:
        return "0"
    if at < 1 and step < 0.01:
        return f"{at * 1000:.0f} ms"
    decimals = 0 if step >= 1 else min(3, -int(f"{step:e}".partition("e")[2]))
    if at < 60:
        return f"{at:.{decimals}f} s"
    whole = int(at + step / 100)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    seconds = f"{at - (whole - whole % 60):0{3 + decimals if decimals else 2}.{decimals}f}"
    if step < 1 or (step < 60 and whole >= 3600):
        clock = f"{hours}:{minutes:02}:{seconds}" if whole >= 3600 else f"{minutes}:{seconds}"
        return f"{days} d {clock}" if days else clock
    if days and (hours or minutes) and step < 86400:
        return f"{days} d {hours}:{minutes:02}"
    return duration(at)


def about(seconds: float) -> str:
    """Return a time span in one unit, roughly.

    >>> [about(one) for one in (0.25, 1.52, 42.1, 90.0, 28798.0, 200000.0)]
    ['250 ms', '1.5 s', '42 s', '2 min', '8 h', '2 d']
    """
    if seconds < 9.95:
        return duration(seconds)
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    size, name = next(unit for unit in units if seconds >= 1.5 * unit[0] or unit[0] == 1)
    return f"{seconds / size:.0f} {name}"


def fold_idle(length: float, busy: Iterable[tuple[float, float]]) -> Axis:
    """Return an axis of so many seconds.

    busy: the stretches in which something ran, in any order. A stretch between them is folded when it would otherwise
    take at least twice the width of a fold, and only if all such together would take half of the picture. Where nothing
    ran at all, nothing is folded: there would be nothing left.
    """
    length = length if length > 0 else 1e-6
    idle = list(_idle(length, busy))
    chosen = _folded(length, idle)
    if not chosen:
        return Axis((0.0, length), (0.0, END), ())
    left = length - sum(stop - start for start, stop in chosen)
    width = _width(len(chosen), _ran(length, idle))
    scale = (END - len(chosen) * width) / left
    times = [0.0]
    places = [0.0]
    gaps: list[Gap] = []
    for start, stop in chosen:
        begin = places[-1] + (start - times[-1]) * scale
        gaps.append(Gap(start=start, stop=stop, left=begin, right=begin + width))
        for time, place in ((start, begin), (stop, begin + width)):
            if time > times[-1]:
                times.append(time)
                places.append(place)
            else:
                places[-1] = place
    if length > times[-1]:
        times.append(length)
        places.append(END)
    places[-1] = END
    return Axis(tuple(times), tuple(places), tuple(gaps))


def _idle(length: float, busy: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield the stretches in which nothing ran, in order."""
    spans = sorted((max(0.0, min(length, start)), min(length, stop)) for start, stop in busy)
    reached = 0.0
    if not any(start < stop for start, stop in spans):
        return
    for start, stop in spans:
        if start > reached:
            yield reached, start
        reached = max(reached, stop)
    if reached < length:
        yield reached, length


def _ran(length: float, idle: Sequence[tuple[float, float]]) -> float:
    """Return the part of the time in which something ran."""
    return 1 - sum(stop - start for start, stop in idle) / length


def _width(number: int, ran: float) -> float:
    """Return the width of each of so many folds. ran: the part of the time in which something ran."""
    if ran < MOSTLY:
        return min(WIDE_FOLD, ALL_WIDE_FOLDS / number)
    return min(FOLD, ALL_FOLDS / number)


def _folded(length: float, idle: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the stretches that are folded, in order."""
    most, ran = max((stop - start for start, stop in idle), default=0.0), _ran(length, idle)
    large = [(start, stop) for start, stop in idle if stop - start >= max(LEAST, most * PART)]
    longest = sorted(large, key=lambda gap: gap[0] - gap[1])[:MOST_FOLDS]
    sums = list(accumulate(stop - start for start, stop in longest))
    for number in range(len(longest), 0, -1):
        left = length - sums[number - 1]
        if left <= length * 1e-9:
            continue
        width = _width(number, ran)
        scale = (1 - number * width) / left
        start, stop = longest[number - 1]
        if (stop - start) * scale >= 2 * width and sums[number - 1] >= WORTH * left:
            return sorted(longest[:number])
    return []
