"""Errors as problem documents."""

from __future__ import annotations

import inspect

import orjson
import pytest
from starlette.types import Message

from edge.api.problems import STATUSES, problem, send_problem, status_of
from edge.api.wire import BodyTooLarge, UnknownEncoding
from precompute import errors
from precompute.errors import FeatureMissing, NearcastError, Overloaded, StoreUnavailable, UnknownModel, VersionMissing

WANTED = {
    errors.UnknownModel: 404,
    errors.UnknownView: 422,
    errors.UnknownJob: 404,
    # Edges never look one up by its name.
    errors.UnknownExperiment: 422,
    errors.ExperimentRefused: 422,
    errors.InvalidKey: 404,
    errors.InvalidContext: 400,
    errors.FeatureMissing: 422,
    errors.FeatureUnfit: 422,
    errors.RowRejected: 422,
    errors.ModelRejected: 422,
    errors.ModelFailed: 422,
    errors.ModelUnavailable: 503,
    errors.ModelStuck: 503,
    errors.VersionMissing: 503,
    errors.Withdrawn: 503,
    errors.UnknownVersion: 404,
    errors.EntryCorrupt: 422,
    errors.InvalidRequest: 400,
    errors.PermanentError: 422,
    errors.StoreUnavailable: 503,
    errors.Overloaded: 503,
    errors.DeadlineExceeded: 504,
    errors.TransientError: 503,
    BodyTooLarge: 413,
    UnknownEncoding: 415,
    # These end a process; should one ever reach a request, it is our fault.
    errors.ConfigError: 500,
    errors.ManifestError: 500,
    errors.NearcastError: 500,
}


def made(kind: type[Exception]) -> Exception:
    """An instance, whatever its arguments."""
    samples = {
        "UnknownModel": ("m", ["a"]),
        "UnknownView": ("v", ["a"]),
        "UnknownJob": ("j", ["a"]),
        "UnknownExperiment": ("e", ["a"]),
        "FeatureMissing": ("view", "entity"),
    }
    more = {"FeatureUnfit": ("x", 1, "int32"), "ManifestError": ([],)}
    return kind(*{**samples, **more}.get(kind.__name__, ("text",)))


def test_no_error_of_ours_has_been_forgotten() -> None:
    """A new class must be given a status here, knowingly."""
    ours = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, NearcastError)]

    assert set(ours) | {BodyTooLarge, UnknownEncoding} == set(WANTED)


@pytest.mark.parametrize(("kind", "status"), WANTED.items(), ids=lambda value: getattr(value, "__name__", str(value)))
def test_each_error_has_its_status(kind: type[Exception], status: int) -> None:
    """The document says the same as the status line, and has a type unless it is our fault."""
    error = made(kind)

    document = problem(error)

    assert status_of(error) == document["status"] == status
    assert document["detail"] == (str(error) if status != 500 else "the edge failed; its log says more")
    assert str(document["type"]).startswith("urn:nearcast:problem:")


def test_special_cases_stand_before_their_bases() -> None:
    """The first match wins; a base in front would hide everything below it."""
    kinds = [kind for kind, _, _ in STATUSES]

    hidden = [(a, b) for i, a in enumerate(kinds) for b in kinds[i + 1 :] if issubclass(b, a)]

    assert hidden == []


def test_what_is_not_ours_gives_nothing_away() -> None:
    """A bug's text may hold anything."""
    assert problem(ValueError("secret")) == {
        "type": "urn:nearcast:problem:internal-error",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "the edge failed; its log says more",
    }


def test_programs_find_what_people_read() -> None:
    """The models there are, and what is missing where."""
    assert problem(UnknownModel("x", ["late", "early"]))["models"] == ["late", "early"]
    missing = problem(FeatureMissing("weather", "EWR"))
    field = problem(FeatureMissing("weather", "EWR", "temp"))
    assert (missing["view"], missing["entity"], "field" in missing) == ("weather", "EWR", False)
    assert field["field"] == "temp"


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (Overloaded("full", 7), b"7"),
        (StoreUnavailable("away"), b"1"),
        (VersionMissing("none"), b"1"),
        (ValueError(), None),
    ],
)
async def test_what_may_work_later_says_when_to_come_back(error: Exception, after: bytes | None) -> None:
    """`Retry-After` goes with everything that is not the caller's fault or ours for ever."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await send_problem(send, error)

    headers = dict(sent[0]["headers"])
    assert headers.get(b"retry-after") == after
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"cache-control"] == b"no-store"
    assert orjson.loads(sent[1]["body"])["status"] == sent[0]["status"]
