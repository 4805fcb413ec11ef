"""Who may change things over HTTP."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from edge.api.authority import NoAuthority, WrongToken, caller, require_admin

TOKEN = SecretStr("s3cret")


def request(*headers: tuple[bytes, bytes]) -> dict[str, object]:
    """An ASGI scope."""
    return {"type": "http", "headers": list(headers), "client": ("10.0.0.7", 4711)}


@pytest.mark.parametrize("value", [b"Bearer s3cret", b"bearer s3cret", b"BEARER  s3cret "])
def test_the_token_opens(value: bytes) -> None:
    """The scheme's case does not matter (RFC 9110)."""
    require_admin(request((b"authorization", value)), TOKEN)


@pytest.mark.parametrize(
    "value", [b"", b"s3cret", b"Bearer", b"Bearer s3cre", b"Bearer s3cret2", b"Basic s3cret", b"\xff"]
)
def test_anything_else_does_not(value: bytes) -> None:
    """And the refusal does not say what was wrong with it."""
    with pytest.raises(WrongToken, match="needs the admin token"):
        require_admin(request((b"authorization", value)), TOKEN)


def test_no_header_is_no_token() -> None:
    """The same refusal."""
    with pytest.raises(WrongToken):
        require_admin(request(), TOKEN)


@pytest.mark.parametrize("token", [None, SecretStr("")])
def test_without_a_configured_token_nobody_may(token: SecretStr | None) -> None:
    """An empty token is none; otherwise anybody would have it."""
    with pytest.raises(NoAuthority, match="NEARCAST_ADMIN_TOKEN"):
        require_admin(request((b"authorization", b"Bearer ")), token)


def test_a_caller_is_known_by_address() -> None:
    """That is all an edge can know."""
    assert caller(request()) == "admin token from 10.0.0.7"
    assert caller({"type": "http"}) == "admin token"
