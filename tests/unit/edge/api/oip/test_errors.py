"""Errors as the protocol's clients read them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from edge.api.authority import WrongToken
from edge.api.oip.errors import send_error
from edge.api.oip.reply import NotReady
from precompute.errors import (
    DeadlineExceeded,
    FeatureMissing,
    InvalidRequest,
    NearcastError,
    Overloaded,
    UnknownVersion,
    Withdrawn,
)


async def told(error: Exception) -> tuple[int, dict[bytes, bytes], dict[str, Any]]:
    """The status, the headers and the document."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await send_error(send, error)
    return sent[0]["status"], dict(sent[0]["headers"]), orjson.loads(sent[1]["body"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("what to send"), 400),
        (UnknownVersion("none"), 404),
        (FeatureMissing("weather", "EWR"), 422),
        (Overloaded("full", 7), 503),
        (Withdrawn("out"), 503),
        (NotReady("not yet"), 503),
        (DeadlineExceeded("late"), 504),
    ],
)
async def test_each_error_is_one_text(error: NearcastError, status: int) -> None:
    """Under `error`, as JSON."""
    found, headers, document = await told(error)

    assert (found, document) == (status, {"error": str(error)})
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"cache-control"] == b"no-store"


async def test_what_may_work_later_says_when() -> None:
    """And who needs a token is told so."""
    _, overloaded, _ = await told(Overloaded("full", 7))
    _, wrong, _ = await told(WrongToken("no"))

    assert overloaded[b"retry-after"] == b"7"
    assert wrong[b"www-authenticate"].startswith(b"Bearer")


async def test_a_bug_s_text_stays_here(caplog: pytest.LogCaptureFixture) -> None:
    """It may hold anything; the log has it."""
    status, _, document = await told(ZeroDivisionError("secret"))

    assert (status, document) == (500, {"error": "the edge failed; its log says more"})
    assert "secret" in caplog.text


async def test_paths_and_methods_are_told_likewise() -> None:
    """With the headers that belong to them."""
    status, headers, document = await told(HTTPException(405, "takes POST", {"Allow": "POST"}))

    assert (status, headers[b"allow"], document) == (405, b"POST", {"error": "takes POST"})


async def test_text_that_no_utf_8_holds_does_not_end_in_a_failure() -> None:
    """A lone surrogate of a client's is written as a question mark."""
    assert (await told(InvalidRequest("\ud800 x")))[2] == {"error": "? x"}
