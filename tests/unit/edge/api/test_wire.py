"""Requests in and responses out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Scope

from edge.api.wire import BodyTooLarge, decode_percent, header, path_segments, read_body, send_response
from precompute.errors import InvalidRequest

PREFIX = "/v1/predict/"


def scope(raw_path: bytes = b"/", headers: Iterable[tuple[bytes, bytes]] = ()) -> Scope:
    """As uvicorn makes it."""
    return {"type": "http", "raw_path": raw_path, "path": "?", "headers": list(headers)}


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        (b"/v1/predict/late/UA1:EWR", ["late", "UA1:EWR"]),
        (b"/v1/predict/late/UA1%3AEWR", ["late", "UA1:EWR"]),
        (b"/v1/predict/late/a%2Fb", ["late", "a/b"]),
        (b"/v1/predict/late/a/b", ["late", "a", "b"]),
        (b"/v1/predict/late/", ["late", ""]),
        (b"/v1/predict/late/z%C3%BCrich", ["late", "zürich"]),
        (b"/v1/predict/late/UA1%3Fhour=3", ["late", "UA1?hour=3"]),
        (b"/v1/predict/late/a+b", ["late", "a+b"]),
        (b"/v1/predict/late/a%25b", ["late", "a%b"]),
    ],
)
def test_a_path_is_split_before_it_is_decoded(raw: bytes, segments: list[str]) -> None:
    """So that an encoded slash stays inside its segment, and `+` is a plus."""
    assert path_segments(scope(raw), PREFIX) == segments


@pytest.mark.parametrize("text", ["%", "%z", "%zz", "a%2", "%%20", "%C3", "%FF%FE", "%ED%A0%80"])
def test_percent_signs_that_encode_nothing_are_refused(text: str) -> None:
    """Guessing what was meant could find another key's answer."""
    with pytest.raises(InvalidRequest):
        decode_percent(text)


@given(st.text())
def test_whatever_is_encoded_comes_back(text: str) -> None:
    """Every text that UTF-8 can carry."""
    encoded = "".join(f"%{byte:02x}" for byte in text.encode())

    assert decode_percent(encoded) == text


async def body_of(parts: list[Message], limit: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """What is read from a client that sends these messages."""
    messages = iter(parts)

    async def receive() -> Message:
        return next(messages)

    return await read_body(scope(headers=headers), receive, limit)


def part(body: bytes, *, more: bool = False) -> Message:
    """One piece of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_arrives_in_pieces() -> None:
    """Up to the limit exactly."""
    assert await body_of([part(b"ab", more=True), part(b"cd")], 4) == b"abcd"


async def test_a_body_that_is_announced_too_large_is_not_even_read() -> None:
    """Nothing is received, so nothing is held."""
    with pytest.raises(BodyTooLarge, match="the body has 5 bytes; the limit is 4"):
        await body_of([], 4, [(b"content-length", b"5")])


async def test_a_body_that_turns_out_too_large_is_read_no_further() -> None:
    """A chunked body announces nothing."""
    with pytest.raises(BodyTooLarge):
        await body_of([part(b"abc", more=True), part(b"de", more=True)], 4)


async def test_a_client_that_leaves_in_the_middle_is_noticed() -> None:
    """Half a body is no request."""
    with pytest.raises(InvalidRequest, match="left"):
        await body_of([part(b"ab", more=True), {"type": "http.disconnect"}], 4)


def test_the_first_of_several_headers_counts() -> None:
    """And one that is not there is None."""
    request = scope(headers=[(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])

    assert (header(request, b"a"), header(request, b"c")) == (b"1", None)


@pytest.mark.parametrize(("head", "body"), [(False, b"abc"), (True, b"")])
async def test_a_response_says_its_length(head: bool, body: bytes) -> None:
    """The answer to HEAD says the length that GET would have had."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await send_response(send, 200, [(b"x", b"y")], b"abc", head=head)

    assert sent[0]["headers"] == [(b"x", b"y"), (b"content-length", b"3")]
    assert sent[1]["body"] == body
