"""A refresher dies with changes in its hands, and another one sees to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from precompute.keys import hot_key, hot_plan_key, log_key
from precompute.store import Store
from precompute.updates import as_of_id
from tests.flights import Flights
from tests.roles import role
from tests.waiting import wait_until
from workers import tallies
from workers.change_reader import GROUP
from workers.messages import REFRESH_QUEUE

pytestmark = [pytest.mark.integration, pytest.mark.faults]


def owed(flights: Flights) -> int:
    """Records of the weather that somebody was given and has not acknowledged."""
    return int(flights.store.call("XPENDING", log_key("weather"), GROUP)[0])


def last_change(flights: Flights) -> int:
    """When the weather changed last."""
    return as_of_id(flights.store.call("XREVRANGE", log_key("weather"), "+", "-", "COUNT", 1)[0][0])


def test_what_a_killed_refresher_has_read_is_refreshed_by_another(tmp_path: Path, clean_redis: RedisPair) -> None:
    """It was killed between reading and queueing, as its queue was full; no later change helps."""
    flights = Flights.publish(tmp_path, clean_redis.primary_url, max_refresh_tasks=1)
    keys = flights.put(8)
    for rank, key in enumerate(keys):
        flights.store.call("ZADD", hot_key("late"), 100.0 - rank, key)
    broker = Store(flights.settings.queue_url)
    broker.call("LPUSH", REFRESH_QUEUE, "a task that nobody takes")

    with role("refresher", flights.settings) as doomed:
        # Turns once before the change: a first refresher begins where the logs end.
        wait_until(lambda: flights.store.call("EXISTS", hot_plan_key("late")))
        flights.weather(20.0, event_ms=20)
        wait_until(lambda: owed(flights) == 4, message="the changes were not read")
        doomed.process.kill()
        doomed.process.wait(10.0)
    still_owed = owed(flights)
    broker.call("DEL", REFRESH_QUEUE)
    with role("worker", flights.settings), role("refresher", flights.settings):

        def all_know() -> bool:
            entries = flights.entries(keys)
            return len(entries) == 8 and min(entry.as_of[1] for entry in entries) >= last_change(flights)

        wait_until(all_know, 15.0, "not refreshed by another")
        wait_until(lambda: owed(flights) == 0, message="not acknowledged")
    claimed = tallies.read(flights.store)["claimed"]
    broker.close()
    flights.store.close()

    assert still_owed == 4
    assert claimed == 4
