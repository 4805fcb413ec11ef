"""Errors as RFC 9457 problem documents; the one place that decides which failure is which status."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.types import Send

from edge.api import request_id
from edge.api.authority import NoAuthority, WrongToken
from edge.api.wire import BodyTooLarge, Header, UnknownEncoding, reason, send_response
from precompute import errors

PROBLEM_JSON = b"application/problem+json"

#: First match wins, so special cases stand before their bases.
STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.UnknownModel, 404, "unknown-model"),
    (errors.UnknownJob, 404, "unknown-job"),
    (errors.InvalidKey, 404, "invalid-key"),
    (errors.InvalidContext, 400, "invalid-context"),
    (errors.FeatureMissing, 422, "feature-missing"),
    (errors.UnknownVersion, 404, "unknown-version"),
    (errors.Withdrawn, 503, "withdrawn"),
    (errors.VersionMissing, 503, "nothing-published"),
    (NoAuthority, 403, "no-admin-token"),
    (WrongToken, 401, "wrong-token"),
    (BodyTooLarge, 413, "body-too-large"),
    (UnknownEncoding, 415, "unknown-encoding"),
    (errors.InvalidRequest, 400, "invalid-request"),
    (errors.PermanentError, 422, "cannot-compute"),
    (errors.Overloaded, 503, "overloaded"),
    (errors.ModelUnavailable, 503, "model-unavailable"),
    (errors.ModelStuck, 503, "model-unavailable"),
    (errors.DeadlineExceeded, 504, "budget-exceeded"),
    (errors.TransientError, 503, "unavailable"),
)


def status_of(error: Exception) -> int:
    """The HTTP status that says what happened; 500 for anything that is not ours."""
    return next((status for kind, status, _ in STATUSES if isinstance(error, kind)), 500)


def problem(error: Exception) -> dict[str, object]:
    """The problem document."""
    status = status_of(error)
    name = next((name for kind, _, name in STATUSES if isinstance(error, kind)), "internal-error")
    detail = str(error) if status != 500 else "the edge failed; its log says more"
    document: dict[str, object] = {
        "type": f"urn:nearcast:problem:{name}",
        "title": reason(status),
        "status": status,
        "detail": detail,
    }
    document.update(_extras(error))
    return document


def _extras(error: Exception) -> Mapping[str, object]:
    match error:
        case errors.UnknownModel():
            return {"models": error.known}
        case errors.FeatureMissing():
            extras = {"view": error.view, "entity": error.entity}
            return extras | ({"field": error.field} if error.field else {})
        case _:
            return {}


def retry_after(error: Exception) -> list[Header]:
    """When to come back, for what may work later."""
    if not isinstance(error, errors.TransientError | errors.VersionMissing):
        return []
    after_s = error.retry_after_s if isinstance(error, errors.Overloaded) else 1
    return [(b"retry-after", b"%d" % after_s)]


async def send_problem(send: Send, error: Exception, *, head: bool = False, extra: tuple[Header, ...] = ()) -> None:
    """Answers with the problem document of an error."""
    name = request_id.current()
    headers: list[Header] = [(b"content-type", PROBLEM_JSON), (b"cache-control", b"no-store"), *extra]
    headers.append((request_id.NAME, name.encode()))
    headers += retry_after(error)
    body = orjson.dumps({**problem(error), "request_id": name})
    await send_response(send, status_of(error), headers, body, head=head)
