"""What is answered when all goes well."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edge.api.wire import JSON, Header
from edge.stats import Tier
from precompute.errors import TransientError

NO_STORE: Header = (b"cache-control", b"no-store")


class NotReady(TransientError):
    """The server has not started yet, or is about to stop."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response with status 200, which to clients of this protocol alone means success."""

    headers: list[Header]
    body: bytes


def json_reply(document: object) -> Reply:
    """One document."""
    return Reply([(b"content-type", JSON), NO_STORE], msgspec.json.encode(document))


def timing(tier: Tier, took_s: float) -> Header:
    """Which tier answered, and how long that took."""
    return (b"server-timing", b"%s;dur=%.3f" % (tier.encode(), took_s * 1000))
