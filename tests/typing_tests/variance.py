"""How the type parameters of the classes of pydantic-graph vary, as a file for type checkers to agree with."""

from __future__ import annotations

from collections.abc import Iterator

VARIANCE = {
    "StepContext": "+++",
    "ReducerContext": "++",
    "Step": "==-+",
    "StepNode": "==",
    "Join": "==-=",
    "JoinNode": "==",
    "Fork": "-+",
    "Decision": "++-",
    "StartNode": "+",
    "EndNode": "-",
    "EdgePath": "==",
    "EdgePathBuilder": "==+",
    "DecisionBranch": "=",
    "Graph": "====",
    "GraphBuilder": "====",
}
"""Per class, one sign for each parameter: + covariant, - contravariant, = invariant."""

HEAD = """from milepost.engine.typed import *
class Wide: ...
class Narrow(Wide): ...
"""


def variance_file() -> str:
    """Return a file with one function per claim; those that a checker has to refuse end with "# no"."""
    return HEAD.replace("*", ", ".join(VARIANCE)) + "\n".join(claims()) + "\n"


def claims() -> Iterator[str]:
    for name, variances in VARIANCE.items():
        for position, variance in enumerate(variances):
            narrow = given(name, len(variances), position)
            wide = given(name, len(variances), None)
            widen, tighten = ("" if variance == sign else "  # no" for sign in "+-")
            yield f"def widen_{name}_{position}(x: {narrow}) -> {wide}: return x{widen}"
            yield f"def tighten_{name}_{position}(x: {wide}) -> {narrow}: return x{tighten}"


def given(name: str, count: int, narrow: int | None) -> str:
    """Return a class with its arguments, one of which may be the narrow one."""
    return f"{name}[{', '.join('Narrow' if position == narrow else 'Wide' for position in range(count))}]"
