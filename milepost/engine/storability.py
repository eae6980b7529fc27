"""Whether any value of a type can be stored: what is known from its schema alone, before there is a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast

from milepost.engine.union import Schema, choices_of

Obstacle: TypeAlias = "tuple[str, str]"
"""The rest of the path, and the reason, a sentence."""

WAY_OUT: Final = "Store what it is made from, a name or plain data, and make it in the node or take it from the deps."

LIVE: Final[Mapping[str, str]] = {
    "callable": "a callable has no JSON form",
    "is-instance": "a {name} has no JSON form",
    "is-subclass": "a class has no JSON form",
}
"""Nodes whose values only live in a process."""

WRAPPERS: Final = (
    "function-before",
    "function-after",
    "function-wrap",
    "model",
    "dataclass",
    "definitions",
    "model-field",
    "dataclass-field",
)


def obstacle(schema: Schema) -> Obstacle | None:
    """Return what no value of a type can do without and cannot be stored, or None."""
    return Search({}).obstacle(schema)


class Search:
    """Looks through a core schema, along what every value must have: required fields and items of fixed tuples."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions
        self._inside: set[str] = set()

    def obstacle(self, node: Schema) -> Obstacle | None:
        """Return the obstacle in a node. A field with a default, a list and an optional value may do without theirs."""
        kind = str(node.get("type"))
        if kind in LIVE and "serialization" not in node:
            name = getattr(node.get("cls"), "__qualname__", str(node.get("cls")))
            return "", f"{LIVE[kind].format(name=name)}. {WAY_OUT}"
        if kind == "definitions":
            self._definitions.update((definition["ref"], definition) for definition in node["definitions"])
        if kind == "definition-ref":
            return self._referred(str(node["schema_ref"]))
        if kind in ("model-fields", "typed-dict", "dataclass-args"):
            return self._fields(node)
        if kind == "tuple" and "variadic_item_index" not in node:
            return self._items(node["items_schema"])
        if kind == "union":
            found = [self.obstacle(choice) for choice in choices_of(node)]
            return found[0] if None not in found else None
        inner = {"json-or-python": "json_schema", "lax-or-strict": "lax_schema"}.get(
            kind, "schema" if kind in WRAPPERS else ""
        )
        return self.obstacle(node[inner]) if inner else None

    def _referred(self, reference: str) -> Obstacle | None:
        if reference in self._inside or reference not in self._definitions:
            return None
        self._inside.add(reference)
        try:
            return self.obstacle(self._definitions[reference])
        finally:
            self._inside.discard(reference)

    def _items(self, items: list[Schema]) -> Obstacle | None:
        for index, item in enumerate(items):
            found = self.obstacle(item)
            if found is not None:
                return f"[{index}]{found[0]}", found[1]
        return None

    def _fields(self, node: Schema) -> Obstacle | None:
        fields: Any = node["fields"]
        named = cast(
            "dict[str, Schema]", fields if isinstance(fields, dict) else {field["name"]: field for field in fields}
        )
        for name, field in named.items():
            schema: Schema = field["schema"]
            if schema.get("type") == "default" or field.get("required") is False or field.get("init") is False:
                continue
            if field.get("serialization_exclude"):
                return (
                    f".{name}",
                    "the field is required, and is excluded from what is written. Give it a default or include it.",
                )
            found = self.obstacle(schema)
            if found is not None:
                return f".{name}{found[0]}", found[1]
        return None
