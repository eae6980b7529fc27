"""Which member of a union a value belongs to, and the tag that is stored with it."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

if TYPE_CHECKING:
    from pydantic_core import SchemaSerializer, SchemaValidator

Schema: TypeAlias = dict[str, Any]
Tools: TypeAlias = Callable[[Schema], "tuple[SchemaSerializer, SchemaValidator]"]

TAG: Final = "$type"
VALUE: Final = "value"
NOT_A_MEMBER: Final = "not a member: "
"""Before the name of a type in a tag that nothing reads back: the value is of no member."""

TYPES: Final[Mapping[str, type]] = {
    "none": NoneType, "bool": bool, "int": int, "float": float, "str": str, "bytes": bytes, "complex": complex,
    "list": list, "generator": list, "tuple": tuple, "set": set, "frozenset": frozenset, "dict": dict,
    "typed-dict": dict, "decimal": decimal.Decimal, "uuid": uuid.UUID, "date": datetime.date, "time": datetime.time,
    "datetime": datetime.datetime, "timedelta": datetime.timedelta,
}  # fmt: skip
"""The exact type of the values of a node, for nodes that take values of one type."""

TOLD_APART: Final = (frozenset({"none", "bool", "int", "str"}), frozenset({"none", "bool", "int", "float"}))
"""Types whose values JSON keeps apart. Not float beside str: NaN is written as a string."""


def is_told_apart(choices: Sequence[Schema]) -> bool:
    """Tell whether JSON alone shows which member of a union a value belongs to."""
    kinds = {
        "str"
        if choice.get("type") == "literal" and all(type(value) is str for value in choice["expected"])
        else choice.get("type")
        for choice in choices
        if "serialization" not in choice
    }
    return len(kinds) == len(choices) and any(kinds <= apart for apart in TOLD_APART)


def _resolved(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    while node.get("type") == "definition-ref" and node["schema_ref"] in definitions:
        node = definitions[node["schema_ref"]]
    return node


def name_of(node: Schema, definitions: Mapping[str, Schema]) -> str:
    """Name a member of a union: its class, or the kind of value that it takes.

    >>> name_of({"type": "datetime"}, {})
    'datetime'
    """
    node = _resolved(node, definitions)
    cls = node.get("cls")
    if cls is not None:
        return str(getattr(cls, "__name__", cls))
    kind = str(node.get("type"))
    wrapped = {"lax-or-strict": "strict_schema", "json-or-python": "python_schema"}.get(kind, "schema")
    inner = node.get(wrapped)
    if isinstance(inner, dict) and kind.startswith(("function-", "default", "definitions", "lax-or", "json-or")):
        return name_of(cast("Schema", inner), definitions)
    return kind


def types_of(node: Schema, definitions: Mapping[str, Schema], inside: tuple[str, ...] = ()) -> frozenset[type] | None:
    """Return the exact types of the values that a node takes, or None when it cannot be told."""
    if node.get("type") == "definition-ref":
        reference = str(node["schema_ref"])
        if reference in inside or reference not in definitions:
            return None
        return types_of(definitions[reference], definitions, (*inside, reference))
    kind = str(node.get("type"))
    if kind in TYPES:
        return frozenset({TYPES[kind]})
    if kind in ("model", "dataclass", "named-tuple", "enum"):
        return frozenset({cast(type, node["cls"])})
    if kind == "literal":
        expected: list[object] = node["expected"]
        return frozenset(type(value) for value in expected)
    if kind == "nullable":
        inner = types_of(node["schema"], definitions, inside)
        return None if inner is None else inner | {NoneType}
    if kind in ("union", "tagged-union"):
        return _types_of_all(node, definitions, inside)
    return None


def _types_of_all(node: Schema, definitions: Mapping[str, Schema], inside: tuple[str, ...]) -> frozenset[type] | None:
    found: set[type] = set()
    for choice in choices_of(node):
        types = types_of(choice, definitions, inside)
        if types is None:
            return None
        found.update(types)
    return frozenset(found)


def choices_of(node: Schema) -> list[Schema]:
    """Return the schemas of the members of a union, tagged or not. Some come with a label, some are another's tag."""
    choices: Any = node["choices"]
    listed: list[Any] = list(choices.values()) if hasattr(choices, "values") else choices
    return [choice[0] if type(choice) is tuple else choice for choice in listed if type(choice) in (dict, tuple)]


class Member:
    """One member of a union.

    tag: what is stored to name it. types: the exact types of its values, None if unknown. schema: how they are stored.
    """

    def __init__(self, tag: str, types: frozenset[type] | None, schema: Schema, tools: Tools) -> None:
        self.tag = tag
        self.types = types
        self.schema = schema
        self._make_tools = tools
        self._tools: tuple[SchemaSerializer, SchemaValidator] | None = None

    def holds(self, value: object, same: Callable[[object, object], bool]) -> bool:
        """Tell whether a value that is stored as this member comes back as it is."""
        self._tools = self._tools or self._make_tools(self.schema)
        serializer, validator = self._tools
        try:
            text = serializer.to_json(value, round_trip=True, by_alias=False, warnings=False)
            return same(value, validator.validate_json(text, by_alias=False, by_name=True))
        except Exception:  # whatever a user's own serializer or validator raises: it does not take this value
            return False


class UnionChoice:
    """Chooses the member by the exact type of the value; where several are possible, the first that gives it back."""

    def __init__(self, members: Sequence[Member], same: Callable[[object, object], bool]) -> None:
        self._same = same
        self._open = [member for member in members if member.types is None]
        self._by_type: dict[type, list[Member]] = {}
        for kind in {kind for member in members for kind in member.types or ()}:
            self._by_type[kind] = [member for member in members if member.types is None or kind in member.types]

    def __call__(self, value: object) -> dict[str, object]:
        """Return the value with its tag. A value of no member gets the name of its type, which nothing reads back."""
        known = self._by_type.get(type(value))
        members = self._open if known is None else known
        if known is not None and len(known) == 1:
            return {TAG: known[0].tag, VALUE: value}
        for member in members:
            if member.holds(value, self._same):
                return {TAG: member.tag, VALUE: value}
        if known is not None:
            return {TAG: known[0].tag, VALUE: value}
        return {TAG: f"{NOT_A_MEMBER}{type(value).__name__}", VALUE: None}
