"""A state's text is cut into fields and put together again, and its type tells how."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Any, NewType, NotRequired, Required

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel
from pydantic.dataclasses import dataclass as checked
from typing_extensions import ReadOnly, TypeAliasType, TypedDict

from milepost.engine.fields import WHOLE, excerpt, fields_of, key_of, mergers_of, shape_of, whole_of
from milepost.engine.mergers import add, append, last, union

keys = st.text(alphabet='~a"\\é', max_size=3)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


def compact(tree: object) -> str:
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False)


@given(st.dictionaries(keys, trees, max_size=4))
def test_the_fields_of_a_dict_give_it_back_whatever_its_keys_are(tree: dict[str, Any]) -> None:
    fields = fields_of(compact(tree))

    assert WHOLE not in fields
    assert [key_of(name) for name in fields] == list(tree)
    assert [json.loads(text) for text in fields.values()] == list(tree.values())
    assert json.loads(whole_of(fields)) == tree


@given(trees)
def test_any_state_can_be_kept_whole(tree: object) -> None:
    text = compact(tree)

    assert fields_of(text, whole=True) == {WHOLE: text}
    assert whole_of({WHOLE: text}) == text


class Model(BaseModel):
    lines: Annotated[list[str], append] = []
    total: Annotated[int, Field(ge=0), add] = 0
    maybe: Annotated[int, last] | None = None
    plain: int = 0


class ChildModel(Model):
    plain: Annotated[int, add] = 0


@checked
class Checked:
    lines: Annotated[list[str], append] = Field(default=[])


@dataclass
class Parent:
    unknown: Missing  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
    lines: Annotated[list[str], append]


@dataclass
class Child(Parent):
    total: Annotated[int, add]


class Typed(TypedDict, total=False):
    lines: Required[Annotated[list[str], append]]
    total: Annotated[NotRequired[int], add]
    fixed: ReadOnly[Annotated[int, last]]


class Root(RootModel[Annotated[dict[str, int], union]]): ...


class Bare(RootModel[dict[str, int]]): ...


Named = NewType("Named", Model)
Described = TypeAliasType("Described", Annotated[list[str], "a note", append])


@pytest.mark.parametrize(
    ("type_", "mergers"),
    [
        (Model, {"lines": append, "total": add, "maybe": last}),
        (Model | None, {"lines": append, "total": add, "maybe": last}),
        (ChildModel, {"lines": append, "total": add, "maybe": last, "plain": add}),
        (Checked, {"lines": append}),
        (Parent, {"lines": append}),
        (Child, {"lines": append, "total": add}),
        (Typed, {"lines": append, "total": add, "fixed": last}),
        (Root, {WHOLE: union}),
        (Bare, {}),
        (Annotated[list[str], append], {WHOLE: append}),
        (Annotated[list[str], ["unhashable"], append], {WHOLE: append}),
        (Named, {"lines": append, "total": add, "maybe": last}),
        (Described, {WHOLE: append}),
        (dict[str, int], {}),
        (int, {}),
        (Model | Checked, {}),
        (None, {}),
        (Any, {}),
    ],
)
def test_the_mergers_of_a_state_are_found(type_: Any, mergers: dict[str, Any]) -> None:
    assert mergers_of(type_) == mergers


def test_the_values_of_a_dict_may_have_a_merger() -> None:
    shape = shape_of(dict[str, Annotated[int, add]])

    assert shape.merger("anything") is add
    assert shape_of(dict[int, Annotated[int, add]]).merger("1") is None


@pytest.mark.parametrize(
    ("type_", "whole"),
    [
        (Model, False),
        (dict[str, int], False),
        (Bare, False),
        (Root, True),
        (OrderedDict[str, int], True),
        (Model | Checked, True),
        (Annotated[dict[str, int], union], True),
    ],
)
def test_a_state_is_kept_whole_where_its_parts_are_no_fields(type_: Any, whole: bool) -> None:
    assert shape_of(type_).whole is whole


@pytest.mark.parametrize(
    ("text", "start", "shown"),
    [("", 0, "not there"), ("12", 0, "12"), ("x" * 30, 0, "x" * 12 + "…"), ("x" * 30, 25, "…" + "x" * 9)],
)
def test_an_excerpt_shows_what_stands_around_a_place(text: str, start: int, shown: str) -> None:
    assert excerpt(text, start, 12) == shown
