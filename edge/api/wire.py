"""Requests in and responses out, at the level of ASGI messages: bounded bodies, strict paths, exact headers."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

import orjson
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.types import Receive, Scope, Send

from precompute.errors import InvalidRequest

Header = tuple[bytes, bytes]

JSON = b"application/json"


class _Rest(PathConvertor):
    regex = "(?s:.*)"


# Starlette's own `path` ends at a line break, which may stand in a key like anything else.
register_url_convertor("rest", _Rest())
#: The rest of a route's path, whatever it is.
REST = "{rest:rest}"


class BodyTooLarge(InvalidRequest):
    """The request's body exceeds the limit."""


class UnknownEncoding(InvalidRequest):
    """Names the encodings of a body that are understood."""


async def send_response(send: Send, status: int, headers: Iterable[Header], body: bytes, *, head: bool = False) -> None:
    """One complete response; for HEAD the body is left out and its length kept."""
    lengthy = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": lengthy})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def send_json(send: Send, status: int, document: object) -> None:
    """One JSON response that nobody should keep."""
    headers = [(b"content-type", JSON), (b"cache-control", b"no-store")]
    await send_response(send, status, headers, orjson.dumps(document))


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: more than `limit` bytes, declared or sent.
        InvalidRequest: the client left in the middle.
    """
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge(f"the body has {int(declared):,} bytes; the limit is {limit:,}")
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the client left before its body was complete")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(f"the body is longer than {limit:,} bytes")
        parts.append(chunk)
        if not message.get("more_body"):
            return b"".join(parts)


def header(scope: Scope, name: bytes) -> bytes | None:
    """A request header's first value; `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


def path_segments(scope: Scope, prefix: str) -> list[str]:
    """The decoded segments of the path behind `prefix`; an encoded slash stays inside its segment.

    Raises:
        InvalidRequest: a percent sign that encodes nothing, or bytes that are not UTF-8.
    """
    raw = scope.get("raw_path") or scope["path"].encode()
    path = decode_utf8(raw.split(b"?", 1)[0])
    return [decode_percent(segment) for segment in path.removeprefix(prefix).split("/")]


def decode_percent(text: str) -> str:
    """Undoes percent-encoding strictly; raises as `path_segments` does."""
    if "%" not in text:
        return text
    for piece in text.split("%")[1:]:
        if len(piece) < 2 or not all(c in "0123456789abcdefABCDEF" for c in piece[:2]):
            raise InvalidRequest(f"bad percent-encoding in {text[:80]!r}: write %XX with two hex digits")
    return decode_utf8(unquote_to_bytes(text))


def decode_utf8(raw: bytes) -> str:
    """Text from bytes; raises as `path_segments` does."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{raw[:80]!r} is not UTF-8") from None


def reason(status: int) -> str:
    """The standard phrase of a status."""
    return HTTPStatus(status).phrase
