"""What requests are called."""

from __future__ import annotations

import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from edge.api import request_id
from edge.api.guard import Guard
from precompute.errors import UnknownModel
from precompute.logs import REQUEST_ID


async def asked(*headers: tuple[bytes, bytes], error: Exception | None = None) -> tuple[dict[bytes, bytes], str, bytes]:
    """Headers of the answer, what the request was called meanwhile, and the body; an application that may fail."""
    sent: list[Message] = []
    called = ""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal called
        called = REQUEST_ID.get()
        if error:
            raise error
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing should be read")

    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": headers}
    await Guard(app)(scope, receive, send)
    return dict(sent[0]["headers"]), called, sent[1]["body"]


async def test_a_name_that_was_given_is_used_and_given_back() -> None:
    """So that a client finds its request in our log."""
    headers, called, _ = await asked((b"x-request-id", b"abc-123"))

    assert (headers[request_id.NAME], called) == (b"abc-123", "abc-123")


async def test_an_answer_to_nobody_in_particular_carries_no_name() -> None:
    """What is logged meanwhile has one."""
    headers, called, _ = await asked()

    assert request_id.NAME not in headers
    assert len(called) == 16


@pytest.mark.parametrize("given", [b"", b"a b", b"a\\r\\nset-cookie: x", b"<script>", b"x" * 129, "é".encode()])
async def test_a_name_that_is_no_name_counts_as_not_given(given: bytes) -> None:
    """It would stand in logs and headers."""
    headers, called, _ = await asked((b"x-request-id", given))

    assert request_id.NAME not in headers
    assert called.encode() != given


@pytest.mark.parametrize("error", [UnknownModel("late", []), ZeroDivisionError()])
async def test_every_error_has_a_name(error: Exception) -> None:
    """In a header and in the document, given or not."""
    headers, called, body = await asked(error=error)
    with_name, _, named_body = await asked((b"x-request-id", b"mine"), error=error)

    assert headers[request_id.NAME].decode() == json.loads(body)["request_id"] == called
    assert with_name[request_id.NAME].decode() == json.loads(named_body)["request_id"] == "mine"
