"""Keys as an application has them, and as they are written in a request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from edge.contract.answers import Scalar

Context = Mapping[str, Scalar]
#: The text of a key, or its raw parts in declared order.
Key = str | Sequence[str | int]

#: As an edge writes them: what else stands in a part becomes `~XX`.
_UNSAFE = re.compile(r"[^A-Za-z0-9\-._+@,!*\u00a1-\ud7ff\ue000-\U0010ffff]")


class KeyedBy(Struct, frozen=True):
    """A key of several, with parts by name or with context of its own.

    Attributes:
        key: its text, its raw parts in declared order, or its raw parts by name.
        context: counts more than what is said for all keys.
    """

    key: Key | Mapping[str, str | int]
    context: Context = {}


def key_text(key: Key) -> str:
    """The text of a key; raw parts are escaped, a text is taken to be so already.

    Raises:
        ValueError: a part is empty.
    """
    return key if isinstance(key, str) else ":".join(_escaped(str(part)) for part in key)


def _escaped(part: str) -> str:
    if not part:
        raise ValueError("a part of the key is empty")
    return _UNSAFE.sub(lambda m: "".join(f"~{byte:02X}" for byte in m[0].encode()), part)


def key_in_path(key: Key) -> str:
    """A key as one segment of a path; a slash or a `?` in it stays inside."""
    return quote(key_text(key), safe=":~+@,!*")


def key_in_body(key: Key | KeyedBy) -> Any:
    """A key as an element of a request for many."""
    if not isinstance(key, KeyedBy):
        return key_text(key)
    what = dict(key.key) if isinstance(key.key, Mapping) else key_text(key.key)
    return {"key": what, "context": dict(key.context)}


def context_in_query(context: Context | None) -> dict[str, str]:
    """Request-time features as query parameters."""
    return {name: _text(value) for name, value in sorted((context or {}).items())}


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)
