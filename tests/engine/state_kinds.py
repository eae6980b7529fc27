"""Every kind of object that a state may be, with a change that reaches into it."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, NotRequired, TypeVar

import pydantic.dataclasses
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, computed_field
from typing_extensions import TypedDict

from milepost.engine.mergers import append

T = TypeVar("T")


class Plain(BaseModel):
    items: list[int] = []
    note: str = ""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    items: list[int] = []


class Aliased(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    items: list[int] = Field(default=[], alias="ITEMS")
    note: str = Field(default="", validation_alias="remark", serialization_alias="comment")


class Secretive(BaseModel):
    items: list[int] = []
    _hidden: int = PrivateAttr(default=0)

    @property
    def hidden(self) -> int:
        return self._hidden

    @hidden.setter
    def hidden(self, number: int) -> None:
        self._hidden = number


class Computing(BaseModel):
    items: list[int] = []

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def total(self) -> int:
        return sum(self.items)


class Box(BaseModel, Generic[T]):
    content: T


@dataclass
class Case(Generic[T]):
    content: T


class Outer(BaseModel):
    inner: Plain = Plain()
    others: list[Plain] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    note: str = ""


class Numbers(RootModel[list[int]]): ...


class Table(RootModel[dict[str, list[int]]]): ...


@dataclass
class Record:
    items: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class Slotted:
    items: list[int] = field(default_factory=list[int])
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    items: list[int] = field(default_factory=list[int])
    note: str = ""


@dataclass
class Child(Record):
    more: list[int] = field(default_factory=list[int])


@dataclass
class Seeded:
    items: list[int] = field(default_factory=list[int])
    seed: InitVar[int] = 0


@dataclass
class Unasked:
    note: str = ""
    items: list[int] = field(default_factory=list[int], init=False)


@pydantic.dataclasses.dataclass
class Checked:
    items: list[int] = Field(default=[])


class Total(TypedDict):
    items: list[int]
    inner: dict[str, list[int]]


class Partial(TypedDict, total=False):
    items: list[int]


class Nested(TypedDict):
    total: Total
    items: NotRequired[Annotated[list[int], append]]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Values(BaseModel):
    names: set[str] = set()
    price: Decimal = Decimal("1.10")
    when: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    color: Color = Color.RED
    deep: dict[str, list[dict[str, set[int]]]] = {"a": [{}]}
    pairs: dict[int, tuple[int, ...]] = {}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of state. change: puts a number into one, in place."""

    type_: Any
    make: Callable[[], Any]
    change: Callable[[Any, int], None]

    def after(self, *numbers: int) -> Any:
        """Return a new state into which numbers were put."""
        state = self.make()
        for number in numbers:
            self.change(state, number)
        return state


def put_into_items(state: Any, number: int) -> None:
    state.items.append(number)


def put_into_several(state: Any, number: int) -> None:
    state.items.append(number)
    state.note += str(number)


def put_into_box(state: Any, number: int) -> None:
    state.content.setdefault("all", []).append(number)


def put_into_outer(state: Outer, number: int) -> None:
    state.inner.items.append(number)
    state.others.append(Plain(items=[number]))
    state.others[0].note += "."


def put_into_extra(state: Any, number: int) -> None:
    state.items = [*getattr(state, "items", []), number]
    state.items.append(number)
    setattr(state, f"extra_{number}", {"number": number})


def put_into_record(state: Child, number: int) -> None:
    state.items.append(number)
    state.more.insert(0, number)


def put_into_dict(state: Any, number: int) -> None:
    state.setdefault("items", []).append(number)


def put_into_nested(state: Any, number: int) -> None:
    state["total"]["items"].append(number)
    state["total"]["inner"].setdefault("all", []).append(number)
    state.setdefault("items", []).append(number)


def put_into_keys(state: Any, number: int) -> None:
    state[""] = number
    state["~"] = state.pop(f"{number - 1}", 0)
    state[f"{number}"] = number


def put_into_values(state: Values, number: int) -> None:
    state.names.add(f"n{number}")
    state.price += Decimal("0.05")
    state.when += timedelta(hours=number)
    state.color = Color.BLUE
    state.deep["a"][0].setdefault("b", set()).add(number)
    state.pairs[number] = (number, number)


def put_first(state: Any, number: int) -> None:
    state[f"{number}"] = number
    state.move_to_end(f"{number}", last=False)


def count(state: Any, number: int) -> None:
    state[f"{number}"] += number


def local_kind() -> Kind:
    """Return a kind of which only this function knows what its hints name."""

    class Item(BaseModel):
        number: int

    class Local(BaseModel):
        items: list[Item] = []

    def change(state: Local, number: int) -> None:
        state.items.append(Item(number=number))

    return Kind(Local, Local, change)


KINDS: dict[str, Kind] = {
    "a model": Kind(Plain, Plain, put_into_several),
    "a frozen model": Kind(Frozen, Frozen, put_into_items),
    "a model with aliases": Kind(
        Aliased, lambda: Aliased.model_validate({"ITEMS": [], "remark": "x"}), put_into_several
    ),
    "a model with private attributes": Kind(Secretive, Secretive, put_into_items),
    "a model with computed fields": Kind(Computing, Computing, put_into_items),
    "a generic model": Kind(Box[dict[str, list[int]]], lambda: Box[dict[str, list[int]]](content={}), put_into_box),
    "nested models": Kind(Outer, Outer, put_into_outer),
    "a model with extra fields": Kind(Open, lambda: Open.model_validate({"items": [0]}), put_into_extra),
    "a root model of a list": Kind(Numbers, lambda: Numbers([]), lambda state, number: state.root.append(number)),
    "a root model of a dict": Kind(Table, lambda: Table({}), lambda state, number: put_into_dict(state.root, number)),
    "a model or none": Kind(Plain | None, Plain, put_into_several),
    "a local model": local_kind(),
    "a dataclass": Kind(Record, Record, put_into_items),
    "a dataclass with slots": Kind(Slotted, Slotted, put_into_several),
    "a frozen dataclass with slots": Kind(Sealed, Sealed, put_into_items),
    "a child of a dataclass": Kind(Child, Child, put_into_record),
    "a generic dataclass": Kind(Case[dict[str, list[int]]], lambda: Case[dict[str, list[int]]]({}), put_into_box),
    "a dataclass with an InitVar": Kind(Seeded, lambda: Seeded(seed=3), put_into_items),
    "a dataclass with init=False": Kind(Unasked, Unasked, put_into_several),
    "a dataclass of pydantic": Kind(Checked, Checked, put_into_items),
    "a TypedDict": Kind(Total, lambda: {"items": [], "inner": {}}, put_into_dict),
    "a partial TypedDict": Kind(Partial, dict[str, Any], put_into_dict),
    "a nested TypedDict": Kind(Nested, lambda: {"total": {"items": [], "inner": {}}}, put_into_nested),
    "a dict": Kind(dict[str, list[int]], dict[str, Any], put_into_dict),
    "a dict of odd keys": Kind(dict[str, int], dict[str, int], put_into_keys),
    "a dict whose keys are numbers": Kind(
        dict[int, int], dict[int, int], lambda state, number: state.update({number: 1})
    ),
    "a dict with an order": Kind(OrderedDict[str, int], OrderedDict[str, int], put_first),
    "a dict with a default": Kind(
        defaultdict[str, list[int]], lambda: defaultdict[str, list[int]](list), put_into_dict
    ),
    "a counter": Kind(Counter[str], Counter[str], count),
    "a list": Kind(list[int], list[int], lambda state, number: state.append(number)),
    "a set": Kind(set[int], set[int], lambda state, number: state.add(number)),
    "a deque": Kind(deque[int], deque[int], lambda state, number: state.appendleft(number)),
    "many values": Kind(Values, Values, put_into_values),
}
