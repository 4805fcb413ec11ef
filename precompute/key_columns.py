"""Many keys of one model that differ in a few columns: one user, a thousand items.

What all keys share is checked and spelled once. A value that makes no key is wrong for its own row only; what is wrong
with the columns themselves is wrong for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from precompute.context import canonical_context, parse_context
from precompute.errors import InvalidContext, InvalidKey, InvalidRequest
from precompute.key_text import MAX_KEY_BYTES, SEPARATOR, escape_part
from precompute.models import Key, Model
from precompute.views import Scalar

Columns = Mapping[str, Sequence[Scalar]]
#: A key, or what is wrong with its row.
Composed = Key | InvalidKey | InvalidContext


def compose_keys(
    model: Model, fixed: Mapping[str, str | int], columns: Columns, context: Mapping[str, object]
) -> list[Composed]:
    """The key of each row.

    Args:
        fixed: raw entity values that all keys share, by part.
        columns: raw entity values by part, and request-time features by name; all of one length.
        context: request-time features that all keys share.

    Raises:
        InvalidRequest: a column that the model does not know, or of another length than the rest.
        InvalidKey: a part is missing, unknown or given twice, or a shared one is empty.
        InvalidContext: a shared feature is wrong or given twice.
    """
    _check(model, fixed, columns, context)
    spelled = {part: escape_part(str(value)) for part, value in fixed.items()}
    varying = [field.name for field in model.context if field.name in columns]
    shared = None if varying else _spelled(model, context)
    keys: list[Composed] = []
    for row in _rows(columns):
        try:
            parts = tuple([spelled[p] if p in spelled else escape_part(str(row[p])) for p in model.key])
            values, suffix = shared or _spelled(model, {**context, **{name: row[name] for name in varying}})
            keys.append(Key(_joined(parts, suffix), parts, values))
        except (InvalidKey, InvalidContext) as error:
            keys.append(error)
    return keys


def _check(model: Model, fixed: Mapping[str, object], columns: Columns, context: Mapping[str, object]) -> None:
    features = {field.name for field in model.context}
    for name in columns:
        if name not in model.key and name not in features:
            known = ", ".join([*model.key, *sorted(features)])
            raise InvalidRequest(
                f"candidates {name!r:.80} is neither a part of the key nor context; there are: {known}"
            )
        if name in fixed:
            raise InvalidKey(f"{name!r} is given as part of the key and of the candidates; it can be one of them")
        if name in context and name in features:
            raise InvalidContext(f"context {name!r} is given twice, for all and for each candidate")
    for part in fixed:
        if part not in model.key:
            raise InvalidKey(f"{part!r:.80} is no part of the key; expected {model.shape()}")
    for part in model.key:
        if part not in fixed and part not in columns:
            raise InvalidKey(f"{part!r} is missing from the key and from the candidates; expected {model.shape()}")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InvalidRequest(f"the columns of the candidates differ in length: {shown}")


def _rows(columns: Columns) -> Iterator[dict[str, Scalar]]:
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _spelled(model: Model, given: Mapping[str, object]) -> tuple[tuple[Scalar, ...], str]:
    values = parse_context(model.context, "", given)
    return values, canonical_context(model.context, values)


def _joined(parts: tuple[str, ...], suffix: str) -> str:
    text = SEPARATOR.join(parts)
    if len(text.encode()) > MAX_KEY_BYTES:
        raise InvalidKey(f"key {text!r:.80} is longer than {MAX_KEY_BYTES} bytes")
    return f"{text}?{suffix}" if suffix else text
