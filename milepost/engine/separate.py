"""Which fields of a state can be written and read each by itself, as nothing depends on two of them.

Told from pydantic's schema of its type: a dataclass, a model or a TypedDict that says nothing but what its fields are.
Whatever else it says, like a validator or a setting of its own, may look at the whole, and then nothing is separate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from milepost.engine.fields import ENDING
from milepost.engine.union import Schema

ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "dataclass": frozenset({"type", "cls", "schema", "fields", "config", "ref", "metadata", "frozen"}),
    "dataclass-args": frozenset({"type", "dataclass_name", "fields"}),
    "dataclass-field": frozenset({"type", "name", "schema", "kw_only", "init", "metadata"}),
    "model": frozenset({"type", "cls", "schema", "config", "ref", "metadata", "frozen"}),
    "model-fields": frozenset({"type", "fields", "model_name", "extra_behavior"}),
    "model-field": frozenset({"type", "schema", "metadata"}),
    "typed-dict": frozenset({"type", "cls", "fields", "config", "ref", "metadata", "extra_behavior"}),
    "typed-dict-field": frozenset({"type", "schema", "required", "metadata"}),
}
"""What a node may say; what says no, or nothing, may be there in any case."""
PLAIN_LIST: Final = frozenset({"type", "items_schema", "metadata"})
PLAIN_ITEM: Final = frozenset({"type", "metadata"})
SIMPLE: Final[Mapping[str, type]] = {"str": str, "int": int, "bool": bool}


def separate_fields(schema: Schema) -> tuple[type, dict[str, Schema]] | None:
    """Return the class of a state and the schemas of its fields by name, None when they are not separate.

    The class is dict for a TypedDict. A schema that was changed for storing gives the same fields, changed.
    """
    node: Schema = schema["schema"] if schema.get("type") == "definitions" else schema
    if not _says_only(node, "dataclass", "model", "typed-dict") or set(node.get("config", {})) - {"title"}:
        return None
    args = node if node["type"] == "typed-dict" else node["schema"]
    if not _says_only(args, "dataclass-args", "model-fields", "typed-dict"):
        return None
    if has_functions(schema):
        return None
    fields = named(args)
    if not fields or not all(map(key_of_itself, fields)):
        return None
    if not all(_says_only(one, f"{node['type']}-field") for one in fields.values()):
        return None
    kind = dict if node["type"] == "typed-dict" else cast(type, node["cls"])
    if any("__new__" in vars(base) for base in kind.__mro__[:-1] if kind is not dict):
        return None
    return kind, {name: one["schema"] for name, one in fields.items()}


def field_schemas(schema: Schema) -> dict[str, Schema]:
    """Return the schemas of fields that are known to be separate, from a schema that was changed for storing."""
    node: Schema = schema["schema"] if schema["type"] == "definitions" else schema
    return {
        name: one["schema"] for name, one in named(node if node["type"] == "typed-dict" else node["schema"]).items()
    }


def named(args: Schema) -> dict[str, Schema]:
    """Return the nodes of the fields by name."""
    fields: list[Schema] | dict[str, Schema] = args["fields"]
    return {one["name"]: one for one in fields} if isinstance(fields, list) else fields


def key_of_itself(name: str) -> bool:
    """Tell whether a key is also the name of its field."""
    return bool(name.strip(ENDING))


def grows_by(schema: Schema) -> type | None:
    """Return the type of the items of a field that is a list of simple values and says nothing else about them."""
    while schema.get("type") == "default":
        schema = schema["schema"]
    items: Schema = schema.get("items_schema", {})
    if schema.get("type") != "list" or set(schema) - PLAIN_LIST or set(items) - PLAIN_ITEM:
        return None
    return SIMPLE.get(items.get("type", ""))


def has_functions(part: object) -> bool:
    """Tell whether a schema calls code that pydantic did not write, which might look at anything."""
    if isinstance(part, dict):
        node = cast("dict[str, object]", part)
        kind = node.get("type")
        if isinstance(kind, str) and kind.startswith("function"):
            return True
        return any(has_functions(one) for name, one in node.items() if name not in ("metadata", "default"))
    return isinstance(part, list | tuple) and any(map(has_functions, cast("list[object]", part)))


def _says_only(node: Schema, *kinds: str) -> bool:
    kind = node.get("type")
    if kind not in kinds:
        return False
    said = {name for name, one in node.items() if one not in (False, None, [])}
    return not said - ALLOWED[kind] and node.get("extra_behavior", "ignore") == "ignore"
