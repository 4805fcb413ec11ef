"""Connections that the client's own pool closes while an answer is waited for."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator

import httpcore
import httpx
import pytest

from edge.client.attempts import Patience
from edge.client.blocking import Client
from edge.client.errors import BudgetExceeded, Unreachable

MODELS = {"models": []}


def lost(number: int) -> httpx.ReadError:
    """As httpx raises it when a read fails in the system."""
    error, inner = httpx.ReadError("lost"), httpcore.ReadError("lost")
    error.__cause__, inner.__cause__ = inner, OSError(number, "lost")
    return error


def client(failures: Iterator[httpx.ReadError], patience: Patience) -> Client:
    """One whose requests fail so, one after the other, and are then answered."""

    def answer(request: httpx.Request) -> httpx.Response:
        for failure in failures:
            raise failure
        return httpx.Response(200, json=MODELS)

    it = Client(patience=patience)
    it._http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://edge")
    return it


def test_a_connection_that_was_taken_away_is_no_failed_attempt() -> None:
    """However often that happens; and it is counted."""
    with client((lost(errno.EBADF) for _ in range(5)), Patience(attempts=1)) as patient:
        assert patient.models() == []
        assert patient.retries == 5


def test_any_other_loss_is_one() -> None:
    """As many as there is patience for."""
    with client((lost(errno.ECONNRESET) for _ in range(5)), Patience(attempts=2)) as patient:
        with pytest.raises(Unreachable, match="GET /v1/models: ReadError lost"):
            patient.models()
        assert patient.retries == 1


def test_it_ends_with_the_time() -> None:
    """Nobody waits longer than they said, whatever happens to connections."""
    with client((lost(errno.EBADF) for _ in itertools.count()), Patience()) as patient, pytest.raises(BudgetExceeded):
        patient.models(deadline_s=0.05)
