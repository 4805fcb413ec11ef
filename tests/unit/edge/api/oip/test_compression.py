"""Compressed bodies."""

from __future__ import annotations

import gzip
import zlib

import pytest
from starlette.types import Message, Scope

from edge.api.oip.compression import folded, preferred, read_decoded, unfolded
from edge.api.wire import BodyTooLarge, UnknownEncoding
from precompute.errors import InvalidRequest

TEXT = b"abc " * 1000
RAW = zlib.compressobj(wbits=-15)
FOLDED = {
    "gzip": (b"gzip", gzip.compress(TEXT, mtime=0)),
    "deflate": (b"deflate", zlib.compress(TEXT)),
    "deflate without a header": (b"deflate", RAW.compress(TEXT) + RAW.flush()),
}


async def read(body: bytes, *headers: tuple[bytes, bytes], limit: int = 10_000) -> bytes:
    """A body that came with some headers."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return await read_decoded({"type": "http", "headers": headers}, receive, limit)


@pytest.mark.parametrize(("encoding", "body"), FOLDED.values(), ids=FOLDED)
async def test_a_body_is_read_as_it_was(encoding: bytes, body: bytes) -> None:
    """Deflate in both of its meanings."""
    assert await read(body, (b"content-encoding", encoding)) == TEXT


@pytest.mark.parametrize("headers", [[], [(b"content-encoding", b"identity")]])
async def test_a_plain_body_stays_as_it_is(headers: list[tuple[bytes, bytes]]) -> None:
    """Without the header, and with one that says nothing."""
    assert await read(TEXT, *headers) == TEXT


@pytest.mark.parametrize("name", FOLDED)
def test_a_bomb_goes_off_no_further_than_the_limit(name: str) -> None:
    """Four thousand bytes are one more than what may be."""
    encoding, body = FOLDED[name]

    with pytest.raises(BodyTooLarge, match="unfolds to more than 3,999 bytes"):
        unfolded(body, encoding, 3_999)
    assert unfolded(body, encoding, 4_000) == TEXT


def test_a_real_bomb_costs_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gigabyte in a megabyte: zlib is never asked for more than a byte above the limit."""
    asked: list[int] = []
    real = zlib.decompressobj

    class Watched:
        def __init__(self, window: int) -> None:
            self._engine = real(window)

        def decompress(self, body: bytes, most: int) -> bytes:
            asked.append(most)
            return self._engine.decompress(body, most)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([packer.compress(bytes(1 << 20)) for _ in range(64)]) + packer.flush()

    with pytest.raises(BodyTooLarge):
        unfolded(bomb, b"gzip", 1000)

    assert asked == [1001]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "cut short"),
        (b"not at all", "is no gzip"),
        (gzip.compress(TEXT, mtime=0)[:-5], "cut short"),
        (gzip.compress(TEXT, mtime=0) + b"x", "goes on behind its end"),
        (gzip.compress(TEXT, mtime=0)[:-8] + b"\0" * 8, "is no gzip"),
    ],
)
def test_what_is_not_what_it_says_is_refused(body: bytes, says: str) -> None:
    """Nothing, something else, a part, too much, and one whose sum is wrong."""
    with pytest.raises(InvalidRequest, match=says):
        unfolded(body, b"gzip", 10_000)


async def test_other_encodings_are_refused_by_name() -> None:
    """And the body before it is folded is bounded as well."""
    with pytest.raises(UnknownEncoding, match="gzip, deflate or neither"):
        await read(TEXT, (b"content-encoding", b"br"))
    with pytest.raises(BodyTooLarge):
        await read(bytes(20_000), (b"content-encoding", b"gzip"))


@pytest.mark.parametrize(
    ("accepted", "best"),
    [
        (b"", None),
        (b"br", None),
        (b"identity", None),
        (b"gzip", b"gzip"),
        (b"deflate", b"deflate"),
        (b"GZIP, deflate, br", b"gzip"),
        (b"gzip;q=0.1, deflate;q=0.9", b"deflate"),
        (b"gzip;q=0", None),
        (b"gzip;q=x", None),
    ],
)
def test_a_client_gets_what_it_likes_best(accepted: bytes, best: bytes | None) -> None:
    """As far as we have it."""
    assert preferred(accepted) == best


@pytest.mark.parametrize(("name", "unfold"), [(b"gzip", gzip.decompress), (b"deflate", zlib.decompress)])
async def test_an_answer_is_folded_where_that_is_worth_it(name: bytes, unfold: object) -> None:
    """Caches are told what it depends on; what is short stays as it is."""
    scope: Scope = {"type": "http", "headers": [(b"accept-encoding", name)]}

    body, headers = await folded(scope, TEXT)
    short, none = await folded(scope, b"short")

    assert unfold(body) == TEXT  # type: ignore[operator]
    assert headers == [(b"content-encoding", name), (b"vary", b"accept-encoding")]
    assert (short, none) == (b"short", [])


async def test_large_bodies_go_both_ways() -> None:
    """Those that another thread folds and unfolds."""
    noise = bytes(range(256)) * 1024
    body = gzip.compress(noise, 0)

    assert len(body) > 1 << 17
    assert await read(body, (b"content-encoding", b"gzip"), limit=1 << 20) == noise
    scope: Scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip")]}
    assert gzip.decompress((await folded(scope, noise))[0]) == noise
