"""Values to JSON text and back: what comes back is equal and of the same type, or was refused."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import fractions
import ipaddress
import pathlib
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar

import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    computed_field,
    field_validator,
    model_serializer,
)
from typing_extensions import TypeAliasType, TypedDict

from milepost.engine.codec import Codec
from milepost.engine.equality import Equality

T = TypeVar("T")
UTC = dt.UTC
NOON = dt.datetime(2024, 1, 2, 12, 0, 0, 5, tzinfo=UTC)
NAN = float("nan")


class Base(BaseModel):
    x: int


class Sub(Base):
    y: int = 0


class Left(BaseModel):
    x: int


class Right(BaseModel):
    x: int


class Holder(BaseModel):
    items: list[Left | Right]
    one: Left | Right | None = None
    tags: set[str] = set()
    raw: bytes = b""


class Private(BaseModel):
    x: int = 0
    _secret: int = PrivateAttr(0)


class Grows(BaseModel):
    x: int

    @field_validator("x")
    @classmethod
    def more(cls, x: int) -> int:
        return x + 1


class Excluded(BaseModel):
    a: int
    b: int = Field(default=0, exclude=True)


class Aliased(BaseModel):
    a: int = Field(alias="A")
    b: int = Field(3, validation_alias=AliasChoices("q", "r"), serialization_alias="z")


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own advice for mypy
    @property
    def double(self) -> int:
        return self.a * 2

    @cached_property
    def costly(self) -> int:
        return self.a * 3


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 0


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)
    when: dt.datetime
    numbers: frozenset[int]
    shares: dict[int, float]
    pair: tuple[int, ...]
    raw: bytes
    one: Left | Right


class Opinionated(BaseModel):
    """A model with other ideas about JSON than the store."""

    model_config = ConfigDict(
        ser_json_bytes="hex", val_json_bytes="hex", ser_json_timedelta="float", ser_json_inf_nan="null"
    )
    raw: bytes
    wait: dt.timedelta
    share: float


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


class Box(BaseModel, Generic[T]):
    content: T


class Tree(BaseModel):
    branches: list[Tree] = []
    leaf: Left | Right | None = None


class Parent(BaseModel):
    children: list[Parent] = []
    _parent: Parent | None = PrivateAttr(None)

    def model_post_init(self, context: object) -> None:
        for child in self.children:
            child._parent = self


class OwnInit(BaseModel):
    tags: set[str]

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)


class Wrapped(BaseModel):
    tags: set[str]
    one: Left | Right

    @model_serializer(mode="wrap")
    def write(self, handler: Any) -> Any:
        return handler(self)


class Written(BaseModel):
    tags: set[str]

    @model_serializer
    def write(self) -> Any:
        return {"tags": self.tags}


class ByNumber(BaseModel):
    one: Annotated[
        Left | Right,
        PlainSerializer(lambda value: value.x),
        BeforeValidator(lambda value: Left(x=value) if isinstance(value, int) else value),
    ]


class JsonText(BaseModel):
    inside: Json[list[int]]


class Deferred(BaseModel):
    model_config = ConfigDict(defer_build=True)
    one: Left | Right


class Keys(BaseModel):
    type: str
    schema_: set[str]
    fields: list[Left | Right]


class Color(enum.Enum):
    RED = 1
    GREEN = "g"


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    a: int
    b: str = "q"


class Typed(TypedDict):
    a: int
    b: NotRequired[str]


@dataclass
class Inner:
    when: dt.datetime
    numbers: frozenset[int] = frozenset()


@dataclass
class Outer:
    inner: Inner
    others: list[Inner] = field(default_factory=list[Inner])
    hidden: int = field(default=0, init=False)


@dataclass(frozen=True, slots=True)
class Linked:
    a: int
    rest: Linked | None = None


@dataclass(frozen=True, slots=True)
class Hiding:
    a: int
    hidden: int = field(default=0, init=False)


def hiding(number: int) -> Hiding:
    value = Hiding(1)
    object.__setattr__(value, "hidden", number)
    return value


@dataclass
class Seeded:
    a: int
    seed: InitVar[int] = 0


@dataclass
class Derived:
    a: int

    def __post_init__(self) -> None:
        self.b = self.a + 1
        self.me = self


@dataclass
class Unequal:
    a: int

    def __eq__(self, other: object) -> bool:
        return False


Nested = TypeAliasType("Nested", "int | str | list[Nested]")


Maybe = TypeAliasType("Maybe", "int | None")
Either = TypeAliasType("Either", "Left | Right")
Places = TypeAliasType("Places", "pathlib.Path | Right")


def refuse(value: int) -> int:
    raise ValueError("no number is right")


Low = Annotated[int, Field(lt=2)]
High = Annotated[int, Field(ge=2)]
Refused = Annotated[int, AfterValidator(refuse)]


def computed_with_a_filled_cache() -> Computed:
    value = Computed(a=1)
    assert value.costly == 3
    return value


KEPT: dict[str, tuple[object, object, str]] = {
    "an int": (5, int, "5"),
    "an int of 70 bits": (2**70, int, str(2**70)),
    "a str": ('a"\u20ac\n\x00', str, '"a\\"\u20ac\\n\\u0000"'),
    "None": (None, None, "null"),
    "NaN": (NAN, float, '"NaN"'),
    "an infinity": (float("-inf"), float, '"-Infinity"'),
    "the negative zero": (-0.0, float, "-0.0"),
    "floats of every kind": ([NAN, -0.0, 1.5, float("inf")], list[float], '["NaN",-0.0,1.5,"Infinity"]'),
    "many floats": ([0.1] * 20, list[float], "[" + ",".join(["0.1"] * 20) + "]"),
    "a complex number": (1 + 2j, complex, '"1+2j"'),
    "a subclass that is declared": (Sub(x=1), Base | Sub, '{"$type":"Sub","value":{"x":1,"y":0}}'),
    "A | B with equal fields": (Right(x=1), Left | Right, '{"$type":"Right","value":{"x":1}}'),
    "list[A | B] with equal fields": (
        [Right(x=1), Left(x=2)],
        list[Left | Right],
        '[{"$type":"Right","value":{"x":1}},{"$type":"Left","value":{"x":2}}]',
    ),
    "unions, sets and bytes inside a model": (
        Holder(items=[Right(x=1)], one=Right(x=0), tags={"b", "a"}, raw=b"\xff"),
        Holder,
        '{"items":[{"$type":"Right","value":{"x":1}}],"one":{"$type":"Right","value":{"x":0}},"tags":["a","b"],"raw":"_w',
    ),
    "a str like a date in str | datetime": ("2024-01-01", str | dt.datetime, '{"$type":"str","value":"2024-01-01"}'),
    "a datetime in str | datetime": (
        NOON,
        str | dt.datetime,
        '{"$type":"datetime","value":"2024-01-02T12:00:00.000005Z"}',
    ),
    "a tuple in list | tuple": ((1, 2), list[int] | tuple[int, int], '{"$type":"tuple","value":[1,2]}'),
    "a list in list | tuple": ([1, 2], list[int] | tuple[int, int], '{"$type":"list","value":[1,2]}'),
    "list[str] in list[int] | list[str]": (["1"], list[int] | list[str], '{"$type":"list#2","value":["1"]}'),
    "a Path in Path | str": (pathlib.Path("a"), pathlib.Path | str, '{"$type":"Path","value":"a"}'),
    "a str in Path | str": ("a", pathlib.Path | str, '{"$type":"str","value":"a"}'),
    "a float in int | float": (1.0, int | float, "1.0"),
    "an int in int | float": (1, int | float, "1"),
    "a bool in int | bool": (True, int | bool, "true"),
    "NaN in float | str": (NAN, float | str, '{"$type":"float","value":"NaN"}'),
    "'NaN' in float | str": ("NaN", float | str, '{"$type":"str","value":"NaN"}'),
    "None in A | B | None": (None, Left | Right | None, "null"),
    "A | None": (Left(x=1), Left | None, '{"x":1}'),
    "a union that refers to itself": ([1, ["a"]], Nested, '{"$type":"list","value":['),
    "True in a Literal with 1": (True, Literal[1, True], "true"),
    "'1' in a Literal with 1": ("1", Literal[1, "1"], '"1"'),
    "a Literal in a union": ("a", Literal["a", 1] | Left, '{"$type":"literal","value":"a"}'),
    "an optional alias in a union": (None, Maybe | Left, '{"$type":"nullable","value":null}'),
    "an alias of a union in a union": (
        Right(x=1),
        Either | int,
        '{"$type":"union","value":{"$type":"Right","value":{"x":1}}}',
    ),
    "an alias of an open union in a union": (pathlib.Path("a"), Places | Left, '{"$type":"union","value":{"$type":"P'),
    "a model inside itself in a union": (Tree(branches=[Tree()]), Tree | Left, '{"$type":"Tree","value":{"branches":'),
    "two members with one name": (2, Low | High, '{"$type":"int#2","value":2}'),
    "a member that a validator refuses": (7, Refused | High, '{"$type":"int#2","value":7}'),
    "a union told apart by its authors in a union": (
        Dog(),
        Annotated[Cat | Dog, Field(discriminator="kind")] | int,
        '{"$type":"tagged-union","value":{"kind":"dog"}}',
    ),
    "a union told apart by its authors": (Dog(), Annotated[Cat | Dog, Field(discriminator="kind")], '{"kind":"dog"}'),
    "unset private attributes": (Private(), Private, '{"x":0}'),
    "an excluded field at its default": (Excluded(a=1), Excluded, '{"a":1}'),
    "aliases": (Aliased.model_validate({"A": 1}), Aliased, '{"a":1,"b":3}'),
    "computed and cached properties": (computed_with_a_filled_cache(), Computed, '{"a":1}'),
    "extra fields": (Open.model_validate({"a": 1, "z": [1]}), Open, '{"a":1,"z":[1]}'),
    "a strict model": (
        Strict(
            when=NOON, numbers=frozenset({1}), shares={1: 2.0}, pair=(1,), raw=b"\xff", one=Right(x=1)
        ),
        Strict,
        '{"when":"2024-01-02T12:00:00.000005Z","numbers":[1],"shares":{"1":2.0},',
    ),
    "a model with its own form of JSON": (
        Opinionated(raw=b"\xff", wait=dt.timedelta(microseconds=1), share=NAN),
        Opinionated,
        '{"raw":"_w==","wait":"PT0.000001S","share":"NaN"}',
    ),
    "a generic model": (Box[int](content=1), Box[int] | Box[str], '{"$type":"Box[int]","value":{"content":1}}'),
    "a model inside itself": (Tree(branches=[Tree(leaf=Right(x=1))]), Tree, '{"branches":[{"branches":[],"leaf":'),
    "objects that refer to their parents": (
        Parent(children=[Parent(children=[Parent()])]),
        Parent,
        '{"children":[{"children":[{"children":[]}]}]}',
    ),
    "a model with its own __init__": (OwnInit(tags={"b", "a"}), OwnInit, '{"tags":["a","b"]}'),
    "a model that wraps its writing": (Wrapped(tags={"b", "a"}, one=Right(x=1)), Wrapped, '{"tags":["a","b"],"one":{'),
    "a model that writes itself": (Written(tags={"b", "a"}), Written, '{"tags":["a","b"]}'),
    "a union with its own writing": (ByNumber(one=Left(x=1)), ByNumber, '{"one":1}'),
    "JSON in JSON": (JsonText.model_validate({"inside": "[1]"}), JsonText, '{"inside":"[1]"}'),
    "a model that is built late": (Deferred(one=Right(x=1)), Deferred, '{"one":{"$type":"Right"'),
    "a RootModel": (RootModel[list[int]]([1]), RootModel[list[int]], "[1]"),
    "a set without a declared item": ({"b", "a"}, set, '["a","b"]'),
    "a dict without declared items": ({"a": [1]}, dict, '{"a":[1]}'),
    "a defaultdict": (collections.defaultdict(list, {"a": [1]}), collections.defaultdict[str, list[int]], '{"a":[1]}'),
    "a model with a field named like a part of a schema": (
        Keys(type="a", schema_={"b"}, fields=[Right(x=1)]),
        Keys,
        '{"type":"a","schema_":["b"],"fields":[{"$type":"Right","value":{"x":1}}]}',
    ),
    "bytes that are not UTF-8": (b"\xff\x00", bytes, '"_wA="'),
    "keys that are bytes": ({b"\xff": 1}, dict[bytes, int], '[["_w==",1]]'),
    "keys that are ints": ({2: "b", 1: "a"}, dict[int, str], '{"2":"b","1":"a"}'),
    "keys in dict[int | str]": ({1: "a", "1": "b"}, dict[int | str, str], '[[1,"a"],["1","b"]]'),
    "keys that are tuples": ({(1, 2): "a"}, dict[tuple[int, int], str], '[[[1,2],"a"]]'),
    "keys that are Enums": ({Color.RED: 1, Color.GREEN: 2}, dict[Color, int], '[[1,1],["g",2]]'),
    "a set": ({"b", "a"}, set[str], '["a","b"]'),
    "a set of sets": (frozenset({frozenset({2, 1})}), frozenset[frozenset[int]], "[[1,2]]"),
    "a set of times": ({NOON}, set[dt.datetime], '["2024-01-02T12:00:00.000005Z"]'),
    "nested dataclasses": (
        Outer(Inner(NOON, frozenset({1})), [Inner(NOON)]),
        Outer,
        '{"inner":{"when":"2024-01-02T12:00:00.000005Z","numbers":[1]},',
    ),
    "a dataclass with slots": (Linked(1, Linked(2)), Linked, '{"a":1,"rest":{"a":2,"rest":null}}'),
    "a field that __init__ does not take": (hiding(3), Hiding, '{"a":1,"hidden":3}'),
    "a dataclass with an InitVar": (Seeded(1, 2), Seeded, '{"a":1}'),
    "a dataclass that derives attributes": (Derived(1), Derived, '{"a":1}'),
    "a dataclass that equals nothing": (Unequal(1), Unequal, '{"a":1}'),
    "a NamedTuple": (Pair(1), Pair, '[1,"q"]'),
    "a TypedDict": ({"a": 1}, Typed, '{"a":1}'),
    "an Enum": (Color.GREEN, Color, '"g"'),
    "an IntEnum": (Level.LOW, Level, "1"),
    "a Flag of two": (Access.READ | Access.WRITE, Access, "3"),
    "a Decimal": (Decimal("1.10"), Decimal, '"1.10"'),
    "the negative zero of Decimal": (Decimal("-0.00"), Decimal, '"-0.00"'),
    "an aware datetime": (NOON, dt.datetime, '"2024-01-02T12:00:00.000005Z"'),
    "a datetime with an offset": (
        NOON.astimezone(dt.timezone(dt.timedelta(hours=-3))),
        dt.datetime,
        '"2024-01-02T09:00:00.000005-03:00"',
    ),
    "a naive datetime": (dt.datetime(2024, 1, 1), dt.datetime, '"2024-01-01T00:00:00"'),
    "a date": (dt.date(1, 1, 1), dt.date, '"0001-01-01"'),
    "an aware time": (dt.time(1, 2, tzinfo=UTC), dt.time, '"01:02:00Z"'),
    "the longest timedelta": (dt.timedelta.max, dt.timedelta, '"P2739726Y9DT23H59M59.999999S"'),
    "a negative timedelta": (dt.timedelta(days=-1, microseconds=3), dt.timedelta, '"-PT23H59M59.999997S"'),
    "a UUID": (uuid.UUID(int=7), uuid.UUID, '"00000000-0000-0000-0000-000000000007"'),
    "a Path": (pathlib.Path("/a"), pathlib.Path, '"/a"'),
    "a Fraction": (fractions.Fraction(1, 3), fractions.Fraction, '"1/3"'),
    "an address": (ipaddress.IPv6Address("::1"), ipaddress.IPv6Address, '"::1"'),
    "a Pattern": (re.compile("a"), re.Pattern[str], '"a"'),
    "a Sequence that is a list": ([1], Sequence[int], "[1]"),
    "an Iterable that is a list": ([1], Iterable[int], "[1]"),
    "a Mapping": ({"a": 1}, Mapping[str, int], '{"a":1}'),
    "a deque": (collections.deque([1]), collections.deque[int], "[1]"),
    "an OrderedDict": (
        collections.OrderedDict(b=1, a=2),
        collections.OrderedDict[str, int],
        '{"b":1,"a":2}',
    ),
    "a Counter": (collections.Counter("aab"), collections.Counter[str], '{"a":2,"b":1}'),
    "plain JSON of undeclared type": ({"a": [1, None, {"b": 1.5}]}, Any, '{"a":[1,null,{"b":1.5}]}'),
    "plain JSON of type object": ([1], object, "[1]"),
    "plain JSON of a type variable": ("a", T, '"a"'),
    "an unhashable type": (3, Annotated[int, []], "3"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "type_", "text"), list(KEPT.values()), ids=list(KEPT))
def test_a_value_comes_back_equal_and_of_the_same_type(value: object, type_: object, text: str) -> None:
    codec = Codec()
    written, loaded = codec.encode(value, type_)
    assert written.startswith(text)
    assert Equality().difference(value, loaded) is None
    assert Equality().difference(value, codec.decode(written, type_)) is None
    assert codec.encode(loaded, type_)[0] == written
    assert codec.check(type_, "value") is None
