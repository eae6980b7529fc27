"""The typed twins that only mypy reads say the same as the classes of pydantic-graph."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic_graph
import pytest
from pydantic_graph import decision, join, parent_forks, paths, step

from milepost.engine import typed

TWINS = ast.parse(Path(str(typed.__file__)).with_name("twins.pyi").read_text("utf-8"))
CLASSES = {node.name: node for node in TWINS.body if isinstance(node, ast.ClassDef)}
MODULES = (pydantic_graph, step, join, paths, decision, parent_forks)
COMPLETE = ("GraphBuilder", "Decision")
"""Twins that do not inherit from the real class, so that they have to have all of it."""


def real_class(name: str) -> Any:
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))


def methods(node: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef))


def is_overload(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in method.decorator_list)


def parameters(method: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, tuple[str, bool]]:
    """Return the parameters of a method in a stub: how each is given, and whether it may be left out."""
    taken = method.args
    positional = [*taken.posonlyargs, *taken.args]
    optional = {one.arg for one in positional[len(positional) - len(taken.defaults) :]}
    optional |= {one.arg for one, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if default}
    kinds = {one.arg: "POSITIONAL_ONLY" for one in taken.posonlyargs}
    kinds |= {one.arg: "POSITIONAL_OR_KEYWORD" for one in taken.args}
    kinds |= {one.arg: "KEYWORD_ONLY" for one in taken.kwonlyargs}
    if taken.vararg:
        kinds[taken.vararg.arg] = "VAR_POSITIONAL"
    return {name: (kind, name in optional) for name, kind in kinds.items()}


def real_parameters(function: Any) -> dict[str, tuple[str, bool]]:
    found = inspect.signature(inspect.unwrap(function)).parameters.values()
    return {one.name: (one.kind.name, one.default is not inspect.Parameter.empty) for one in found}


PLAIN = [
    (name, method)
    for name, node in CLASSES.items()
    for method in methods(node)
    if not is_overload(method) and (method.name == "__init__" or not method.name.startswith("_"))
    if name not in ("SupportsSum",)
]


@pytest.mark.parametrize(("name", "method"), PLAIN, ids=lambda value: getattr(value, "name", value))
def test_methods_take_the_same(name: str, method: ast.FunctionDef) -> None:
    real = inspect.getattr_static(real_class(name), method.name)
    if isinstance(real, property):
        assert parameters(method) == {"self": ("POSITIONAL_OR_KEYWORD", False)}
    else:
        assert parameters(method) == real_parameters(real)


@pytest.mark.parametrize("name", CLASSES)
def test_every_overload_takes_what_the_real_method_takes(name: str) -> None:
    for method in filter(is_overload, methods(CLASSES[name])):
        real = real_parameters(inspect.getattr_static(real_class(name), method.name))
        for parameter, (kind, _) in parameters(method).items():
            assert real[parameter][0] == kind


@pytest.mark.parametrize("name", COMPLETE)
def test_twins_that_stand_alone_have_every_public_member(name: str) -> None:
    real = real_class(name)
    members: list[str] = [*vars(real), *inspect.get_annotations(real)]
    wanted = {member for member in members if not member.startswith("_")}
    annotated = {
        item.target.id
        for item in CLASSES[name].body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    assert wanted - {"Source", "Destination"} <= {method.name for method in methods(CLASSES[name])} | annotated


def test_both_branches_of_the_switch_give_the_same_names() -> None:
    stub = ast.parse(Path(str(typed.__file__)).with_suffix(".pyi").read_text("utf-8"))
    (switch,) = (node for node in stub.body if isinstance(node, ast.If))
    both = [
        {alias.name for node in branch if isinstance(node, ast.ImportFrom) for alias in node.names}
        for branch in (switch.body, switch.orelse)
    ]
    exported: list[str] = vars(typed)["__all__"]
    assert both[0] == both[1] == set(exported) - {"MYPY"}
