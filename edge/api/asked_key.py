"""How a key stands in the body of a request: as its text, or with parts by name and context of its own."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from precompute.models import Key, Model

#: A request-time feature as JSON; the manifest says what each must be.
Context = dict[str, str | int | float | bool]


class AskedKey(msgspec.Struct, forbid_unknown_fields=True):
    """One key of a body, in the long form.

    Attributes:
        key: its text, or raw entity values by part: `{"flight": "UA1545", "origin": "EWR"}`.
        context: counts more than what the request says for all its keys.
    """

    key: str | dict[str, str | int]
    context: Context = {}


def read_key(model: Model, asked: str | AskedKey, shared: Mapping[str, object]) -> Key:
    """The key that is meant.

    Args:
        shared: context that holds for all keys of the request.

    Raises:
        InvalidKey, InvalidContext: as `Model.parse_key`.
    """
    if isinstance(asked, str):
        return model.parse_key(asked, None, shared)
    text = asked.key if isinstance(asked.key, str) else model.compose_key(asked.key)
    return model.parse_key(text, asked.context, shared)


def shown(asked: str | AskedKey) -> object:
    """What to call a key in an answer that has none: what the client called it."""
    return asked if isinstance(asked, str) else asked.key
