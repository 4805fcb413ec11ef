"""Models as declared: what they are asked by, what they depend on, how inputs and answers are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from precompute.context import ContextField, canonical_context, parse_context
from precompute.errors import InvalidKey
from precompute.key_text import canonical_part, join_parts, split_parts
from precompute.keys import ORDERS
from precompute.outputs import OutputRule

#: Stands for the entity itself where a view lists keys.
ENTITY = "$entity"
#: Stands where a variant is named for whichever is the best that time allows.
AUTO = "auto"

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Feature:
    """One source of an input: a field of a view, or of the request (`view` is None)."""

    view: str | None
    field: str

    def __str__(self) -> str:
        return f"{self.view or 'context'}.{self.field}"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One ONNX input. Stacked features are joined to one row vector, a lone one keeps its shape."""

    name: str
    features: tuple[Feature, ...]
    stacked: bool


@dataclass(frozen=True, slots=True)
class Dependency:
    """A view the model reads, and how a key names the entity in it."""

    view: str
    template: str
    entity_of: Callable[[tuple[str, ...]], str] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class KeySource:
    """A view whose rows spell out all keys of a model: a field, or `$entity`, for each part."""

    view: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """One ONNX file of a model."""

    name: str
    quality: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long answers live and what may be served when there is nothing fresh."""

    ttl_s: float = 3600.0
    #: Share of the TTL by which expiry is spread, so that keys written together do not expire together.
    ttl_jitter: float = 0.1
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 0.0
    #: How long caches outside may keep an answer without asking; nobody tells them of a change, hence 0.
    max_age_s: float = 0.0
    #: An edge whose replica is further behind than this answers nothing as fresh.
    max_lag_s: float = 10.0
    #: How long an edge remembers that a key has no row, unless the row comes; 0 for not at all.
    negative_ttl_s: float = 1.0
    default: Mapping[str, object] | None = None
    refresh: Literal["value", "always", "never"] = "value"

    @property
    def keep_s(self) -> float:
        """How long an entry is worth storing: it may still be served stale after its TTL."""
        return self.ttl_s + max(self.stale_while_revalidate_s, self.stale_if_error_s)


class Key(msgspec.Struct, frozen=True):
    """What one prediction is asked by; made for every request, a tenth as long as a dataclass is.

    Attributes:
        text: the one spelling, context included: `UA1545:EWR:N14228?hour=3`.
        parts: canonical entity values in declared order.
        context: values of the declared request-time features, in declared order.
    """

    text: str
    parts: tuple[str, ...]
    context: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One declared model; everything a request or a worker needs to know about it."""

    name: str
    key: tuple[str, ...]
    dependencies: tuple[Dependency, ...]
    inputs: tuple[InputSpec, ...]
    variants: Mapping[str, Variant]
    default_variant: str
    context: tuple[ContextField, ...] = ()
    #: Empty: every output of the ONNX file under its own name.
    outputs: tuple[OutputRule, ...] = ()
    policy: Policy = Policy()
    all_keys: KeySource | None = None
    #: Keys as a client may write them, for descriptions of this model.
    examples: tuple[str, ...] = ()
    #: Whether requests that name no variant are answered by the best that time allows, as `variant=auto` is.
    is_routed: bool = False

    def parse_key(
        self,
        text: str,
        context: Mapping[str, object] | None = None,
        shared: Mapping[str, object] | None = None,
    ) -> Key:
        """Reads a key as a client wrote it; context may follow behind `?` or come as a mapping.

        Args:
            shared: context for whatever the key itself does not say, when several keys come together.

        Raises:
            InvalidKey: the text does not have the model's shape.
            InvalidContext: a context value is unknown, mistyped or out of range.
        """
        entity_text, mark, query = text.partition("?")
        parts = split_parts(entity_text, self.key)
        canonical = ":".join(parts)
        if not self.context and not mark and not context and not shared:
            return Key(canonical, parts)
        values = parse_context(self.context, query, context or {}, shared or {})
        suffix = canonical_context(self.context, values)
        return Key(f"{canonical}?{suffix}" if suffix else canonical, parts, values)

    def compose_key(self, values: Mapping[str, str | int]) -> str:
        """The key of these raw entity values by part, which need no escaping.

        Raises:
            InvalidKey: a part is missing, empty or unknown.
        """
        wrong = [part for part in values if part not in self.key] or [p for p in self.key if p not in values]
        if wrong:
            what = "is no part of the key" if wrong[0] in values else "is missing from the key"
            raise InvalidKey(f"{wrong[0]!r:.80} {what}; expected {self.shape()}")
        return join_parts([str(values[part]) for part in self.key])

    def entities(self, key: Key) -> tuple[str, ...]:
        """The entity of each dependency, in the order of `dependencies`."""
        parts = key.parts
        return tuple([d.entity_of(parts) for d in self.dependencies])

    @property
    def watched_views(self) -> tuple[str, ...]:
        """The logs whose records can make a prediction stale, one for each of `watched`."""
        return (*(d.view for d in self.dependencies), ORDERS, ORDERS)

    def watched(self, key: Key) -> tuple[str, ...]:
        """Whose changes make the prediction of this key stale: its entities, and orders for its model or itself."""
        return (*self.entities(key), self.name, ordered_key(self.name, key.text))

    def shape(self) -> str:
        """The key's shape, for people."""
        return ":".join(f"<{part}>" for part in self.key)


def ordered_key(model: str, key: str) -> str:
    """How a record of the orders log names one key of a model; a model alone stands for all its keys."""
    return f"{model}/{key}"


def dependency(view: str, template: str, key: tuple[str, ...]) -> Dependency:
    """Compiles an entity template such as `{origin}-{dest}`.

    Raises:
        InvalidKey: a placeholder names no part of the key, or there is none at all.
    """
    names = _PLACEHOLDER.findall(template)
    unknown = [name for name in names if name not in key]
    if unknown:
        raise InvalidKey(f"{template!r} uses {unknown[0]!r}, which is no part of the key ({', '.join(key)})")
    if not names:
        raise InvalidKey(f"{template!r} names no part of the key; write for example {{{key[0]}}}")
    if len(names) == 1 and template == f"{{{names[0]}}}":
        index = key.index(names[0])
        return Dependency(view, template, lambda parts: parts[index])
    # Parts arrive in their canonical spelling; what stands between them must be spelled the same way.
    pieces = [
        key.index(piece) if i % 2 else canonical_part(piece) if piece else ""
        for i, piece in enumerate(_PLACEHOLDER.split(template))
    ]
    return Dependency(view, template, lambda parts: "".join([parts[p] if isinstance(p, int) else p for p in pieces]))
