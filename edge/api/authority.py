"""Who may change things over HTTP: whoever has the admin token."""

from __future__ import annotations

import hmac

from pydantic import SecretStr
from starlette.types import Scope

from edge.api.wire import header
from precompute.errors import PermanentError

_SCHEME = b"bearer "


class NoAuthority(PermanentError):
    """Nobody may, over HTTP: no token has been configured."""


class WrongToken(PermanentError):
    """The request does not carry the token."""


def require_admin(scope: Scope, token: SecretStr | None) -> None:
    """Lets a request pass that carries `Authorization: Bearer` with the admin token.

    Raises:
        NoAuthority: there is no token.
        WrongToken: it carries another one, or none.
    """
    if token is None or not token.get_secret_value():
        raise NoAuthority("this edge changes nothing over HTTP: it was started without NEARCAST_ADMIN_TOKEN")
    given = header(scope, b"authorization") or b""
    presented = given[len(_SCHEME) :].strip() if given[: len(_SCHEME)].lower() == _SCHEME else b""
    # Compared in constant time: how long it takes must not tell how much of a guess was right.
    if not hmac.compare_digest(presented, token.get_secret_value().encode()):
        raise WrongToken("this needs the admin token: Authorization: Bearer <token>")


def caller(scope: Scope) -> str:
    """Who that was, as far as an edge can know."""
    client = scope.get("client")
    return f"admin token from {client[0]}" if client else "admin token"
