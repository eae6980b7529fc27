"""The pydantic core schema by which values of a type are stored: its own, changed where JSON would lose something.

Pydantic's schema of a type is a tree of nodes. `StoredSchema` rewrites it once per type:
  union       {"$type": TAG, "value": ...}, the tag chosen by the value's exact type; none where JSON shows the member
  set         sorted, so that the text is the same in every process
  bytes       base64, so that they need not be UTF-8; NaN and infinities are strings, so that the text is always JSON
  dict        [[key, value], ...] when its keys have no text of their own (unions, tuples, models)
  undeclared  plain JSON as it is, registered types with their tag
  iterable    as a list
  dataclass   with the fields that its __init__ does not take, and read with them
Models and dataclasses inside are rewritten too, whatever their own configuration says about the form of JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from milepost.engine.union import TAG, VALUE, Member, Schema, UnionChoice, choices_of, is_told_apart, name_of, types_of

if TYPE_CHECKING:
    from pydantic_core import SchemaSerializer, SchemaValidator

Tools: TypeAlias = "tuple[SchemaSerializer, SchemaValidator]"
"""What writes and what reads values."""
CONFIG: Final = {
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "ser_json_inf_nan": "strings",
    "ser_json_timedelta": "iso8601",
    "ser_json_temporal": "iso8601",
}
CHILDREN: Final = (
    "schema", "choices", "fields", "definitions", "steps", "items_schema", "keys_schema", "values_schema",
    "extras_schema", "extras_keys_schema", "json_schema", "python_schema", "lax_schema", "strict_schema",
    "arguments_schema", "var_args_schema", "var_kwargs_schema", "return_schema",
)  # fmt: skip
"""Where a node of a core schema keeps other nodes: one, a list or a dict of them. Nothing else is looked into."""

KEYS_WITHOUT_TEXT: Final = frozenset({
    "union", "tagged-union", "nullable", "none", "bytes", "tuple", "named-tuple", "call", "frozenset",
    "model", "dataclass",
})  # fmt: skip


class StoredSchema:
    """Rewrites the core schema of one type.

    pack, unpack: what is done to a value of undeclared type before it is written and after it is read.
    same: whether a value equals what came back for it; asked where several members of a union could take a value.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        pack: Callable[[object], object],
        unpack: Callable[[object], object],
        same: Callable[[object, object], bool],
    ) -> None:
        self._pack = pack
        self._unpack = unpack
        self._same = same
        self._untouched = False
        self._definitions: dict[str, Schema] = {}
        self._stored: list[Schema] = []
        self.root = self._rewritten(schema)

    def tools(self) -> Tools:
        """Return what writes and what reads a value of the type."""
        return self._tools_of(self.root)

    def _tools_of(self, schema: Schema) -> Tools:
        from pydantic_core import CoreConfig, CoreSchema, SchemaSerializer, SchemaValidator

        node, config = cast("CoreSchema", schema), cast("CoreConfig", CONFIG)
        # Not prebuilt: else pydantic takes what a model class made for itself in the place of its rewritten node.
        return SchemaSerializer(node, config, False), SchemaValidator(node, config, False)

    def tools_of_part(self, schema: Schema) -> Tools:
        """Return what writes and what reads a part of a value."""
        if self._stored:
            schema = {"type": "definitions", "schema": schema, "definitions": self._stored}
        return self._tools_of(schema)

    def _rewritten(self, node: Schema) -> Schema:
        kind = node.get("type")
        if kind == "definitions":
            self._definitions.update((definition["ref"], definition) for definition in node["definitions"])
            result = self._with_children(node)
            self._stored.extend(result["definitions"])
            return result
        if not self._untouched and _reads_its_own_way(node):
            return self._left(node)
        if "serialization" not in node and not self._untouched:
            if kind == "union":
                return self._union(node)
            if kind == "any":
                return self._undeclared(node)
            if kind == "dict" and self._keys_have_no_text(node):
                return self._pairs(node)
        result = self._with_children(node)
        if kind in ("set", "frozenset") and "serialization" not in node:
            result["serialization"] = _sorted_form(kind, result.get("items_schema", self._undeclared({"type": "any"})))
        elif kind == "generator":
            result["type"] = "list"
        elif kind == "dataclass-args" and not self._untouched:
            result["fields"] = [{**member, "init": True} for member in result["fields"]]
        elif (kind in ("model", "dataclass", "typed-dict") or "config" in node) and not self._untouched:
            result["config"] = {**node.get("config", {}), **CONFIG}
        return result

    def _left(self, node: Schema) -> Schema:
        """Return a node that is written as pydantic writes it; only its sets are sorted, which changes no form."""
        outside, self._untouched = self._untouched, True
        try:
            return self._rewritten(node)
        finally:
            self._untouched = outside

    def _with_children(self, node: Schema) -> Schema:
        result = dict(node)
        for key in CHILDREN:
            if key in node:
                result[key] = self._child(node[key])
        if "serialization" in node:
            result["serialization"] = self._own_writing(node["serialization"])
        return result

    def _own_writing(self, serialization: Schema) -> Schema:
        """Return the way of writing with a user's function. What it returns is read by pydantic: only sets change."""
        handed_on = {key: part for key, part in serialization.items() if key != "return_schema"}
        returned: Schema = serialization.get("return_schema", {"type": "any"})
        if returned.get("type") == "any":
            return _in_order(self._with_children(handed_on))
        return {**self._with_children(handed_on), "return_schema": self._left(returned)}

    def _child(self, child: Any) -> Any:
        if isinstance(child, dict):
            nodes = cast("Schema", child)
            if isinstance(nodes.get("type"), str):
                return self._rewritten(nodes)
            if isinstance(nodes.get("name"), str):
                return self._with_children(nodes)  # the parameter of a call
            return {name: self._child(node) for name, node in nodes.items()}
        if isinstance(child, list | tuple):
            parts = cast("list[Any]", child)
            return type(parts)(self._child(part) for part in parts)
        return child  # the name of a field, a label

    def _union(self, node: Schema) -> Schema:
        choices = choices_of(node)
        if is_told_apart(choices):
            return node
        members: list[Member] = []
        names: list[str] = []
        for choice in choices:
            name = name_of(choice, self._definitions)
            count = names.count(name)
            names.append(name)
            types = types_of(choice, self._definitions)
            tag = f"{name}#{count + 1}" if count else name
            members.append(Member(tag, types, self._child(choice), self.tools_of_part))
        tagged: Schema = {
            "type": "tagged-union",
            "discriminator": TAG,
            "choices": {member.tag: _tagged(member) for member in members},
        }
        return _with_reference(node, _converted(itemgetter(VALUE), tagged, UnionChoice(members, self._same), tagged))

    def _undeclared(self, node: Schema) -> Schema:
        return _with_reference(node, _converted(self._unpack, {"type": "any"}, self._pack, {"type": "any"}))

    def _keys_have_no_text(self, node: Schema) -> bool:
        keys: Schema = node.get("keys_schema", {"type": "any"})
        while keys.get("type") == "definition-ref" and keys["schema_ref"] in self._definitions:
            keys = self._definitions[keys["schema_ref"]]
        kind = keys.get("type")
        if kind in ("literal", "enum"):
            values = [getattr(value, "value", value) for value in keys.get("expected") or keys.get("members") or ()]
            return not all(type(value) is str for value in values)
        return kind in KEYS_WITHOUT_TEXT

    def _pairs(self, node: Schema) -> Schema:
        pair = [self._child(node["keys_schema"]), self._child(node.get("values_schema", {"type": "any"}))]
        pairs: Schema = {"type": "list", "items_schema": {"type": "tuple", "items_schema": pair}}
        limits: Schema = {key: node[key] for key in ("min_length", "max_length") if key in node}
        return _with_reference(node, _converted(dict, {**pairs, **limits}, _pairs_of, pairs))


def _reads_its_own_way(node: Schema) -> bool:
    """Tell whether a node reads or writes what is inside with code of its own, which knows only pydantic's form of it.

    A model with its own __init__ reads so, a path or a type with a plain serializer writes so.
    """
    writes = node.get("serialization", {}).get("type")
    return bool(node.get("custom_init")) or writes in ("function-plain", "to-string", "format")


def _converted(
    read: Callable[[Any], object], stored: Schema, write: Callable[[Any], object], written: Schema
) -> Schema:
    """Return a node that writes `write(value)` by one schema and gives `read(...)` of what it reads by another."""
    return {
        "type": "function-after",
        "function": {"type": "no-info", "function": read},
        "schema": stored,
        "serialization": {"type": "function-plain", "function": write, "return_schema": written},
    }


def _with_reference(node: Schema, result: Schema) -> Schema:
    return {**result, "ref": node["ref"]} if "ref" in node else result


def _tagged(member: Member) -> Schema:
    literal: Schema = {"type": "literal", "expected": [member.tag]}
    return {
        "type": "typed-dict",
        "config": CONFIG,
        "fields": {
            TAG: {"type": "typed-dict-field", "schema": literal, "required": True},
            VALUE: {"type": "typed-dict-field", "schema": member.schema, "required": True},
        },
    }


def _pairs_of(value: object) -> object:
    return list(cast("dict[object, object]", value).items()) if isinstance(value, dict) else value


def _sorted_form(kind: str, items: Schema) -> Schema:
    as_it_comes: Schema = {"type": kind, "items_schema": items}
    in_order: Schema = {"type": "list", "items_schema": items}
    return {"type": "function-wrap", "function": _sorted_items, "schema": as_it_comes, "return_schema": in_order}


def _in_order(serialization: Schema) -> Schema:
    """Return the way of writing with a user's function, such that a set in what the function returns is sorted too."""
    write: Any = serialization.get("function")
    is_of_pydantic = str(getattr(write, "__module__", "")).startswith("pydantic.")
    if write is None or is_of_pydantic:
        return serialization

    def in_order(*given: object) -> object:
        return _settled(write(*given))

    return {**serialization, "function": in_order}


def _settled(written: object) -> object:
    if type(written) is dict:
        return {key: _settled(part) for key, part in cast("dict[object, object]", written).items()}
    if type(written) in (list, tuple):
        return [_settled(part) for part in cast("list[object]", written)]
    if isinstance(written, set | frozenset):
        return _sorted_items(cast(object, written), lambda items: [_settled(item) for item in cast("Any", items)])
    return written


def _sorted_items(value: object, write: Callable[[object], object]) -> object:
    """Return the items of a set ordered by value when they are all texts or all whole numbers, else by their JSON."""
    from pydantic_core import to_json

    if not isinstance(value, set | frozenset):
        return value
    items = list(cast("frozenset[Any]", value))
    if any(all(type(item) is kind for item in items) for kind in (str, int)):
        return sorted(items)
    keys = [to_json(part) for part in cast("list[object]", write(cast(object, value)))]
    return [items[index] for index in sorted(range(len(items)), key=keys.__getitem__)]
