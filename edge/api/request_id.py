"""Names of requests, so that what a client saw and what a log says can be brought together.

A client may give one in `X-Request-Id`, and gets it back; every error has one. Memory hits have none, nor do other
answers that went well where the client gave none: nothing is written about them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from edge.api.wire import Header
from precompute.logs import REQUEST_ID

NAME = b"x-request-id"
#: What may stand in a log and in a header as it is; anything else counts as not given.
_SANE = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")


def given(headers: Iterable[Header]) -> str:
    """What the client calls its request; empty if it does not say, or not sanely."""
    found = next((value for name, value in headers if name == NAME), b"")
    return found.decode() if _SANE.fullmatch(found) else ""


def begin(headers: Iterable[Header]) -> str:
    """Names the request that this task answers from now on; what the client calls it, else empty."""
    name = given(headers)
    REQUEST_ID.set(name or secrets.token_hex(8))
    return name


def current() -> str:
    """The name of the request at hand; a new one if it has none yet."""
    name = REQUEST_ID.get()
    if not name:
        REQUEST_ID.set(name := secrets.token_hex(8))
    return name
