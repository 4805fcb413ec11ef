"""Hot predictions from before the primary was replaced: edges cannot judge them, so somebody must recompute them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from precompute.entry import EPOCH_RANGE
from precompute.keys import entry_key, hot_key
from precompute.sweep import sweep
from tests.flights import Flights
from workers.allowance import Allowance
from workers.refresh_sender import RefreshSender
from workers.upkeep import ExpiryRefresh
from workers.workplace import Workplace

pytestmark = pytest.mark.integration


class Queued:
    """Stands in for the broker: remembers what is queued."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def refresh(self, model: str, keys: Sequence[str], changed_ms: Sequence[int] = ()) -> None:
        """Remembers."""
        assert model == "late"
        self.keys += keys

    def waiting_refreshes(self) -> int:
        """Everything is taken at once."""
        return 0

    def take(self) -> set[str]:
        """What has been queued since the last time."""
        taken, self.keys = self.keys, []
        return set(taken)


@pytest.fixture
def flights(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Flights]:
    """Entries that have an hour to live."""
    published = Flights.publish(tmp_path, clean_redis.primary_url)
    yield published
    published.store.close()


def test_hot_entries_of_an_earlier_history_are_recomputed_at_once(flights: Flights) -> None:
    """Their time to live says nothing; those of the present history are left alone."""
    texts = flights.put(20)
    predictor = Workplace(flights.store, flights.project).active("late")
    model = predictor.servable.model
    sweep(flights.store, predictor, [model.parse_key(text) for text in texts], lambda: 1_700_000_000_000)
    for text in texts:
        flights.store.call("ZADD", hot_key("late"), 1.0, text)
    queued = Queued()
    sender = RefreshSender(queued, 16, Allowance(1000.0))
    expiry = ExpiryRefresh(flights.store, flights.project, sender, flights.settings)

    expiry.look()
    at_first = queued.take()
    for text in texts[:5]:
        flights.store.call("SETRANGE", entry_key("late", 1, text), EPOCH_RANGE[0], b"\0\0\0\0")
    # A scheduler that has only begun to lead looks at everything.
    ExpiryRefresh(flights.store, flights.project, sender, flights.settings).look()

    assert at_first == set()
    assert queued.take() == set(texts[:5])
    assert len(flights.entries(texts)) == 20


def test_a_new_history_makes_the_scheduler_look_at_everything_again(
    tmp_path: Path, own_redis_pair: RedisPair, free_port: int
) -> None:
    """Keys that it had no reason to look at for half a minute may all be unknown to edges now."""
    flights = Flights.publish(tmp_path, own_redis_pair.primary_url)
    texts = flights.put(20)
    predictor = Workplace(flights.store, flights.project).active("late")
    model = predictor.servable.model
    sweep(flights.store, predictor, [model.parse_key(text) for text in texts], lambda: 1_700_000_000_000)
    for text in texts:
        flights.store.call("ZADD", hot_key("late"), 1.0, text)
    queued = Queued()
    expiry = ExpiryRefresh(
        flights.store, flights.project, RefreshSender(queued, 16, Allowance(1000.0)), flights.settings
    )
    expiry.look()
    before = queued.take()

    # What a promotion does: the same data in another history.
    flights.store.call("REPLICAOF", "127.0.0.1", free_port)
    flights.store.call("REPLICAOF", "NO", "ONE")
    expiry.look()

    flights.store.close()
    assert before == set()
    assert queued.take() == set(texts)
