"""What both clients make of httpx: its pools, its limits, its responses and its failures."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

import httpx

from edge.client.attempts import WAY_S
from edge.client.calls import Call
from edge.client.errors import Unreachable
from edge.client.replies import Reply

#: A connection that takes longer to open leads to an edge that is not near, or not there.
_CONNECT_S = 1.0
#: An edge hangs up after 75 s without a request; we let go before that.
_KEEP_ALIVE_S = 60.0


def options(url: str, headers: Mapping[str, str] | None, most_connections: int) -> dict[str, Any]:
    """How httpx is to be set up."""
    limits = httpx.Limits(
        max_connections=most_connections, max_keepalive_connections=most_connections, keepalive_expiry=_KEEP_ALIVE_S
    )
    agent = {"user-agent": "nearcast-client", "accept": "application/json", **(headers or {})}
    return {"base_url": url, "headers": agent, "limits": limits, "follow_redirects": False}


def parameters(call: Call[Any], left_s: float, headers: Mapping[str, str] | None) -> dict[str, Any]:
    """How a call is put to httpx, when so much time is left."""
    timeout = httpx.Timeout(left_s + WAY_S, connect=min(left_s, _CONNECT_S), pool=left_s)
    content = call.content()
    named = dict(headers or {}) if content is None else {"content-type": "application/json", **(headers or {})}
    return {"method": call.method, "url": call.target, "timeout": timeout, "content": content, "headers": named}


def reply(response: httpx.Response) -> Reply:
    """A response that has been read."""
    return Reply(response.status_code, response.headers, response.content)


def unreachable(call: Call[Any], error: httpx.RequestError) -> Unreachable:
    """What to call a failure that is no answer."""
    return Unreachable(f"{call.method} {call.path}: {type(error).__name__} {error}".rstrip())


def was_taken_away(error: httpx.RequestError) -> bool:
    """Whether the connection was closed on our own side while an answer was waited for.

    httpcore's pool looks after idle connections on behalf of one thread while others begin to use them: an answer that
    has just come then looks like a server that hung up.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.errno == errno.EBADF
        cause = cause.__cause__
    return False
