"""Compressed bodies, both ways: what comes in may unfold to so many bytes and no more, however small it is."""

from __future__ import annotations

import asyncio
import zlib

from starlette.types import Receive, Scope

from edge.api.wire import BodyTooLarge, Header, UnknownEncoding, header, read_body
from precompute.errors import InvalidRequest

#: By name of the encoding: `wbits` of zlib. What HTTP calls deflate is zlib's format.
_WINDOWS = {b"gzip": 31, b"deflate": 15}
_RAW = -15
#: What is smaller is not worth a client's time.
_LEAST_BYTES = 256
#: zlib lets go of the interpreter: what takes it longer than a hand-over is done elsewhere.
_LARGE_BYTES = 16 << 10
#: Speed counts; the next level saves a few percent for half as much time again.
_LEVEL = 1


async def read_decoded(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body as it was before its `Content-Encoding`.

    Raises:
        BodyTooLarge: more than `limit` bytes, before or after.
        UnknownEncoding: neither gzip nor deflate.
        InvalidRequest: it is not what it says, or cut short.
    """
    body = await read_body(scope, receive, limit)
    encoding = (header(scope, b"content-encoding") or b"").strip().lower()
    if encoding in (b"", b"identity"):
        return body
    if encoding not in _WINDOWS:
        raise UnknownEncoding(f"Content-Encoding {encoding[:80]!r}: a body may be gzip, deflate or neither")
    if len(body) > _LARGE_BYTES:
        return await asyncio.to_thread(unfolded, body, encoding, limit)
    return unfolded(body, encoding, limit)


def unfolded(body: bytes, encoding: bytes, limit: int) -> bytes:
    """Decompresses; raises as `read_decoded` does."""
    window = _WINDOWS[encoding]
    if encoding == b"deflate" and not _is_zlib(body):
        window = _RAW  # As some clients understand the name.
    name = encoding.decode()
    engine = zlib.decompressobj(window)
    try:
        found = engine.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidRequest(f"the body is no {name}: {error}") from None
    if len(found) > limit:
        raise BodyTooLarge(f"the body unfolds to more than {limit:,} bytes")
    if not engine.eof:
        raise InvalidRequest(f"the {name} body is cut short")
    if engine.unused_data:
        raise InvalidRequest(f"the {name} body goes on behind its end")
    return found


def _is_zlib(body: bytes) -> bool:
    return len(body) >= 2 and body[0] & 15 == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0


async def folded(scope: Scope, body: bytes) -> tuple[bytes, list[Header]]:
    """A body as its client likes it best, and the headers that say so."""
    encoding = preferred(header(scope, b"accept-encoding") or b"") if len(body) >= _LEAST_BYTES else None
    if encoding is None:
        return body, []
    window = _WINDOWS[encoding]
    if len(body) > _LARGE_BYTES:
        body = await asyncio.to_thread(zlib.compress, body, _LEVEL, window)
    else:
        body = zlib.compress(body, _LEVEL, window)
    return body, [(b"content-encoding", encoding), (b"vary", b"accept-encoding")]


def preferred(accepted: bytes) -> bytes | None:
    """The encoding of ours that `Accept-Encoding` likes best; None if it likes none."""
    weights: dict[bytes, float] = {}
    for part in accepted.lower().split(b","):
        name, _, parameters = part.strip().partition(b";")
        weights[name.strip()] = _weight(parameters)
    best = max(_WINDOWS, key=lambda name: weights.get(name, 0.0))
    return best if weights.get(best, 0.0) > 0 else None


def _weight(parameters: bytes) -> float:
    name, _, value = parameters.strip().partition(b"=")
    if name.strip() != b"q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
