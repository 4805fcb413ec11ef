"""The outermost layer."""

from __future__ import annotations

import orjson
import pytest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.api.guard import MAX_HEADER_BYTES, MAX_PATH_BYTES, Guard


async def asked(app: ASGIApp, **more: object) -> list[Message]:
    """What a guarded application sends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing should be read")

    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": [], **more}
    await Guard(app)(scope, receive, send)
    return sent


async def fine(_: Scope, receive: Receive, send: Send) -> None:
    """Answers everything."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    """Has a bug."""
    raise ZeroDivisionError("secret")


async def broken_halfway(scope: Scope, receive: Receive, send: Send) -> None:
    """Has a bug behind its first message."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ZeroDivisionError


def status(sent: list[Message]) -> int:
    """The status of a complete problem document, or of another answer."""
    document = sent[1]["body"]
    assert not document or orjson.loads(document)["status"] == sent[0]["status"]
    found: int = sent[0]["status"]
    return found


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"headers": [(b"x", b"y" * (MAX_HEADER_BYTES - 1))]}, 204),
        ({"headers": [(b"x", b"y" * MAX_HEADER_BYTES)]}, 431),
        ({"headers": [(b"x" * 100, b"y" * 100)] * 100}, 431),
        ({"raw_path": b"/" * MAX_PATH_BYTES}, 204),
        ({"raw_path": b"/" * MAX_PATH_BYTES, "query_string": b"a"}, 414),
    ],
)
async def test_what_a_request_may_weigh_is_bounded(more: dict[str, object], wanted: int) -> None:
    """Headers and address, before anybody looks at them."""
    assert status(await asked(fine, **more)) == wanted


async def test_a_bug_is_a_problem_document_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Without a traceback for the caller."""
    sent = await asked(broken)

    assert status(sent) == 500
    assert b"secret" not in sent[1]["body"]
    assert "secret" in caplog.text


async def test_a_bug_behind_the_first_message_breaks_the_connection() -> None:
    """A second start would be nonsense, and a short body must not look complete."""
    with pytest.raises(ZeroDivisionError):
        await asked(broken_halfway)


async def test_a_refusal_keeps_its_headers() -> None:
    """405 must say what is allowed."""

    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        raise HTTPException(405, headers={"Allow": "GET"})

    sent = await asked(refuses)

    assert status(sent) == 405
    assert (b"allow", b"GET") in sent[0]["headers"]


@pytest.mark.parametrize("path", ["/v2", "/v2/models/late/infer", "/v1/models/late:predict"])
async def test_clients_of_open_inference_get_errors_as_they_read_them(path: str) -> None:
    """A text under `error`, whoever refuses."""
    sent = await asked(fine, path=path, raw_path=b"/" * (MAX_PATH_BYTES + 1))

    assert sent[0]["status"] == 414
    assert dict(sent[0]["headers"])[b"content-type"] == b"application/json"
    assert list(orjson.loads(sent[1]["body"])) == ["error"]
