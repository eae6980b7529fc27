"""Numbers as people read them in a picture or a table."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a time span in at most two units.

    >>> [duration(s) for s in (0.0002, 0.32, 9.94, 75, 8040, 200000)]
    ['<1 ms', '320 ms', '9.9 s', '1 min 15 s', '2 h 14 min', '2 d 7 h']
    """
    if seconds < 0.001:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    units = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    size, name, small, part = next(unit for unit in units if whole >= unit[0])
    rest = whole % size // small
    return f"{whole // size} {name} {rest} {part}" if rest else f"{whole // size} {name}"


def count(number: int) -> str:
    """Return a count, shortened from a thousand on.

    >>> [count(n) for n in (950, 11240, 1_250_000)]
    ['950', '11.2k', '1.2M']
    """
    if number < 1000:
        return str(number)
    units = ((1_000_000_000, "G"), (1_000_000, "M"), (1000, "k"))
    size, letter = next(unit for unit in units if number >= unit[0])
    return f"{number / size:.1f}{letter}"


def money(dollars: float) -> str:
    """Return US dollars, with more places for small sums.

    >>> [money(d) for d in (0.07, 12.5, 0.0021, 0.0, 0.00001)]
    ['$0.07', '$12.50', '$0.0021', '$0.00', '<$0.0001']
    """
    if dollars and dollars < 0.0001:
        return "<$0.0001"
    return f"${dollars:.4f}".rstrip("0") if 0 < dollars < 0.01 else f"${dollars:.2f}"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> plural(1, "node"), plural(3, "retry"), plural(2, "edge")
    ('1 node', '3 retries', '2 edges')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("ry") else f"{number} {noun}s"
