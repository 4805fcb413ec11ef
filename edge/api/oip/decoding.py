"""JSON that others have written, decoded into a shape."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from precompute.errors import InvalidRequest

T = TypeVar("T")

#: What decoding may end with: another shape, no JSON, no UTF-8, or brackets within brackets without an end.
REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decoded(decoder: msgspec.json.Decoder[T], text: bytes, wanted: str) -> T:
    """The document.

    Args:
        wanted: what it should have been, for the text of the error.

    Raises:
        InvalidRequest: it is none of that shape.
    """
    try:
        return decoder.decode(text)
    except REFUSED as error:
        raise InvalidRequest(f"{wanted}: {error}") from None
