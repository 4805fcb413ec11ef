"""What is known of a model that is described: its declaration, the version that answers, and keys that it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.openapi.outputs import Outputs
from edge.openapi.schemas import Schema, context_schema, key_schema, one_of, record
from precompute.key_text import unescape_part
from precompute.models import AUTO, Key, Model
from precompute.views import Scalar


@dataclass(frozen=True, slots=True)
class Described:
    """One model.

    Attributes:
        outputs: of the default variant's version; None while there is none.
        keys: some that have an answer.
        tier_header: the request header that says the user tier; empty if there are none.
    """

    model: Model
    outputs: Outputs | None = None
    keys: Sequence[Key] = ()
    tier_header: str = ""

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    def key(self) -> Schema:
        """A key as text."""
        return key_schema(self.model) | ({"examples": [entity(key) for key in self.keys]} if self.keys else {})

    def parts(self) -> Schema:
        """A key as raw parts by name."""
        return record({part: {"type": ["string", "integer"]} for part in self.model.key}, additionalProperties=False)

    def context(self) -> Schema:
        """Request-time features by name."""
        fields = {field.name: context_schema(field) for field in self.model.context}
        return record(fields, (), additionalProperties=False)

    def variant(self) -> Schema:
        """One of the variants, or the one that suits the budget."""
        usual = AUTO if self.model.is_routed else self.model.default_variant
        return one_of([*self.model.variants, AUTO], default=usual)

    def prediction(self) -> Schema:
        """What is special about this model's predictions."""
        outputs = self.outputs.schema() if self.outputs else {"type": "object"}
        return record({"model": {"const": self.name}, "outputs": outputs})

    def many_example(self) -> Schema | None:
        """A body that is answered with predictions."""
        if not self.keys:
            return None
        first = self.keys[0]
        long = {"key": self._raw(first), "context": self.values(first)}
        return {"keys": [*[key.text for key in self.keys], long if self.model.context else {"key": self._raw(first)}]}

    def rank_example(self) -> Schema | None:
        """A body that is answered with a ranking: the part in which the keys differ most, for the rest of the first."""
        score = self.outputs.score() if self.outputs else None
        if not self.keys or score is None:
            return None
        raw = [self._raw(key) for key in self.keys]
        columns = {part: list(dict.fromkeys(key[part] for key in raw)) for part in self.model.key}
        candidate = max(columns, key=lambda part: len(columns[part]))
        shared = {part: value for part, value in raw[0].items() if part != candidate}
        body: Schema = {"key": shared, "candidates": {candidate: columns[candidate]}, "k": 3, "output": score.output}
        if self.model.context:
            body["context"] = self.values(self.keys[0])
        return body if score.pick is None else body | {"pick": score.pick}

    def _raw(self, key: Key) -> dict[str, str]:
        return {part: unescape_part(value) for part, value in zip(self.model.key, key.parts, strict=True)}

    def values(self, key: Key) -> dict[str, Scalar]:
        """The request-time features of a key, by name."""
        values = zip(self.model.context, key.context, strict=True)
        return {field.name: value for field, value in values if isinstance(value, Scalar)}


def entity(key: Key) -> str:
    """The text of a key without its context."""
    return key.text.partition("?")[0]
