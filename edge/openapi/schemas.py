"""JSON Schemas: of the types that requests and answers are read into, and of what the project declares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from precompute.context import ContextField
from precompute.key_text import MAX_KEY_BYTES, SEPARATOR
from precompute.models import Model

Schema = dict[str, Any]

#: Where a schema of that name stands in the document.
REF = "#/components/schemas/{name}"
#: A line of an `Attributes:` section.
_ATTRIBUTE = re.compile(r"^\s*([a-z][\w, ]*): (.+)$", re.MULTILINE)
_INTEGERS = {"uint8": (0, 2**8 - 1), "int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": REF.format(name=name)}


def of_types(types: Iterable[type], prefix: str = "") -> dict[str, Schema]:
    """Schemas of these types and of all that they are made of, by name; `prefix` keeps equal names apart."""
    _, found = msgspec.json.schema_components(types, ref_template=REF.format(name=prefix + "{name}"))
    return {prefix + name: _described(schema) for name, schema in found.items()}


def _described(schema: Schema) -> Schema:
    """A type's schema with what its docstring says of each attribute moved to where that is described."""
    about, _, attributes = schema.get("description", "").partition("Attributes:")
    properties = schema.get("properties", {})
    for names, text in _ATTRIBUTE.findall(attributes):
        for name in names.split(", "):
            properties[name] = {"description": text, **properties[name]}
    return {**schema, "description": about.strip()}


def one_of(values: Iterable[object], **more: object) -> Schema:
    """A value out of a few."""
    few = list(values)
    # Of one type, it is told as well: not everybody who reads a schema infers it.
    kind = {"type": "string"} if all(isinstance(value, str) for value in few) else {}
    return {**kind, "enum": few, **more}


def record(properties: Mapping[str, Schema], required: Sequence[str] | None = None, **more: object) -> Schema:
    """An object with these members, all of them required unless said otherwise, and perhaps others."""
    names = list(properties) if required is None else list(required)
    needed = {"required": names} if names else {}
    return {"type": "object", "properties": dict(properties), **needed, **more}


def key_schema(model: Model) -> Schema:
    """A key as text; what stands between its separators is any text, escaped. Context may follow behind `?`."""
    part = f"[^{SEPARATOR}?]+"
    return {
        "type": "string",
        "minLength": 2 * len(model.key) - 1,
        "maxLength": MAX_KEY_BYTES,
        "pattern": f"^{SEPARATOR.join([part] * len(model.key))}(\\?.*)?$",
    }


def context_schema(field: ContextField) -> Schema:
    """A request-time feature: its type, range, choices and default."""
    schema: Schema = {"type": "string", "minLength": 1}
    if field.kind == "bool":
        schema = {"type": "boolean"}
    elif field.kind in _INTEGERS:
        low, high = _INTEGERS[field.kind]
        schema = {"type": "integer", "minimum": low, "maximum": high}
    elif field.kind != "string":
        schema = {"type": "number"}
    bounds = {"minimum": field.min, "maximum": field.max}
    schema |= {name: _plain(bound) for name, bound in bounds.items() if bound is not None}
    if field.choices:
        schema = one_of(field.choices)
    return schema if field.default is None else schema | {"default": field.default}


def _plain(bound: float) -> float:
    return int(bound) if bound == int(bound) else bound
