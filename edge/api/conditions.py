"""What a request makes its answer depend on besides the key: what the client has already, and what it will not have."""

from __future__ import annotations

from starlette.types import Scope

from edge.api.wire import header
from edge.ask import Answer
from edge.stats import Tier


def wants_revalidation(scope: Scope) -> bool:
    """Whether nothing from memory will do."""
    return b"no-cache" in (header(scope, b"cache-control") or b"")


def matches(scope: Scope, answer: Answer) -> bool:
    """Whether the client already has exactly this (RFC 9110: weak comparison)."""
    if answer.held is None or answer.tier is Tier.STALE:
        return False
    given = header(scope, b"if-none-match")
    if given is None:
        return False
    return given.strip() == b"*" or any(
        tag.strip().removeprefix(b"W/") == answer.held.etag for tag in given.split(b",")
    )
