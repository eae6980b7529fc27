"""The tree of errors."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module

import milepost
from milepost.engine import errors
from milepost.engine.errors import MilepostError

OUTSIDE = ("milepost.cli", "milepost.testing")
"""Whose errors are their own."""


def below(kind: type[MilepostError]) -> Iterator[type[MilepostError]]:
    for one in kind.__subclasses__():
        yield one
        yield from below(one)


def test_every_error_is_drawn_in_the_tree_under_the_one_that_it_is_a_kind_of() -> None:
    for module in pkgutil.walk_packages(milepost.__path__, "milepost."):
        if not module.name.startswith((*OUTSIDE, "milepost.__main__", "milepost.pytest_plugin")):
            import_module(module.name)
    lines = (errors.__doc__ or "").split("MilepostError\n", 1)[1].split("\n\n")[0].splitlines()
    drawn: dict[str, str] = {}
    above = ["MilepostError"]
    for line in lines:
        mark = line.index("── ")
        name = line[mark + 3 :].split()[0]
        del above[mark // 4 + 1 :]
        drawn[name] = above[-1]
        above.append(name)
    found = [one for one in below(MilepostError) if one.__module__.startswith("milepost.")]
    inside = {one.__name__: one for one in found if not one.__module__.startswith(OUTSIDE)}
    assert drawn == {name: one.__mro__[1].__name__ for name, one in inside.items()}
