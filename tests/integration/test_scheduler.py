"""The scheduler with a real Redis and real workers: hot keys, expiry, jobs, and who leads."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from precompute.hot_counter import HotCounter
from precompute.hotkeys import flush_commands, top
from precompute.keys import HEARTBEAT, fence_key, hot_key, lease_key
from precompute.store import Store
from tests.flights import Flights
from tests.roles import role
from tests.waiting import wait_until
from workers import tallies
from workers.allowance import Allowance
from workers.lease import LEASE, Lease
from workers.refresh_sender import RefreshSender
from workers.task_queue import CeleryQueue, open_queue
from workers.upkeep import ExpiryRefresh

pytestmark = pytest.mark.integration


@pytest.fixture
def flights(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Flights]:
    """Everything happens within seconds here: entries live for eight, and a leader that is gone is missed after one."""
    published = Flights.publish(
        tmp_path, clean_redis.primary_url, ttl_s=8.0, hot_flush_s=0.2, look_every_s=1.0, lease_ttl_s=1.0
    )
    yield published
    published.store.close()


@pytest.fixture
def queue(flights: Flights) -> Iterator[CeleryQueue]:
    """The task queue."""
    opened = open_queue(flights.settings)
    yield opened
    opened.close()


def make_hot(store: Store, keys: list[str], model: str = "late") -> None:
    """As if edges had counted them and a scheduler had merged the counts."""
    for key in keys:
        store.call("ZADD", hot_key(model), 1.0, key)


def test_what_edges_count_is_computed_and_kept_fresh(flights: Flights) -> None:
    """From counts to predictions, and to new predictions before these expire; there is never a gap."""
    keys = flights.put(30)
    counter = HotCounter()
    for key in keys:
        counter.hit(key)
    flights.store.run(flush_commands("late", counter.drain() or b""))

    with role("worker", flights.settings), role("scheduler", flights.settings):
        wait_until(lambda: len(flights.entries(keys)) == 30, message="hot keys are not computed")
        first = max(entry.computed_ms for entry in flights.entries(keys))

        def all_newer() -> bool:
            entries = flights.entries(keys)
            assert len(entries) == 30
            return min(entry.computed_ms for entry in entries) > first

        wait_until(all_newer, 15.0, "hot keys are not refreshed")

    assert len(top(flights.store, "late", 100)) == 30
    assert tallies.read(flights.store)["refreshed"] >= 60


def test_the_heartbeat_shows_the_time_of_the_leader(flights: Flights) -> None:
    """In ms since 1970, and moving."""
    with role("scheduler", flights.settings):
        first = wait_until(lambda: flights.store.call("GET", HEARTBEAT))
        wait_until(lambda: flights.store.call("GET", HEARTBEAT) != first)

    assert abs(int(first) - time.time() * 1000) < 60_000


def test_the_next_scheduler_leads_when_the_leader_is_killed(flights: Flights) -> None:
    """With a higher fencing number."""
    with role("scheduler", flights.settings) as first:
        wait_until(lambda: "leading, term 1" in first.said)
        with role("scheduler", flights.settings) as second:
            first.process.send_signal(signal.SIGKILL)
            wait_until(lambda: "leading, term 2" in second.said, message="nobody leads")

    assert flights.store.call("GET", fence_key(LEASE)) == b"2"


def test_a_scheduler_that_ends_gives_the_lead_away(flights: Flights) -> None:
    """Without making anybody wait for the lease to expire."""
    with role("scheduler", flights.settings) as one:
        wait_until(lambda: "leading, term 1" in one.said)

        status, said = one.stop(), one.said

    assert status == 0
    assert said.split("\n")[-2] == "stopped"
    assert flights.store.call("EXISTS", lease_key(LEASE)) == 0


def test_a_leader_that_was_frozen_does_not_go_on_leading(flights: Flights) -> None:
    """When it wakes up, another one leads, and it says so."""
    with role("scheduler", flights.settings) as first:
        wait_until(lambda: "leading, term 1" in first.said)
        first.process.send_signal(signal.SIGSTOP)
        with role("scheduler", flights.settings) as second:
            wait_until(lambda: "leading, term 2" in second.said)
            first.process.send_signal(signal.SIGCONT)
            wait_until(lambda: "no longer leading" in first.said)

            assert "no longer leading" not in second.said


def test_a_lease_has_one_owner(clean_redis: RedisPair) -> None:
    """Who does not own it can neither renew nor release it."""
    store = Store(clean_redis.primary_url)
    one, two = Lease(store, "test", 60_000), Lease(store, "test", 60_000)

    first, taken = one.take(), two.take()
    stolen = two.renew()
    two.release()
    kept = one.renew()
    one.release()
    second = two.take()

    assert (first, taken, stolen, kept, second) == (1, None, False, True, 2)
    assert one.renew() is False
    store.close()


def test_without_workers_the_queue_stays_short(flights: Flights, queue: CeleryQueue) -> None:
    """What is due waits where it is known, not in the queue."""
    make_hot(flights.store, [f"UA{i}:EWR?hour=12.0" for i in range(9000)])
    sender = RefreshSender(queue, 4, Allowance(1e6))
    expiry = ExpiryRefresh(flights.store, flights.project, sender, flights.settings)

    for _ in range(5):
        expiry.look()

    assert 4 <= queue.waiting_refreshes() <= 8


def test_a_model_that_is_never_refreshed_is_left_alone(flights: Flights, queue: CeleryQueue) -> None:
    """However hot it is; and so is one that serves nothing."""
    make_hot(flights.store, ["EWR"], "fixed")
    sender = RefreshSender(queue, 4, Allowance(1e6))

    ExpiryRefresh(flights.store, flights.project, sender, flights.settings).look()

    assert queue.waiting_refreshes() == 0


def test_a_new_version_is_computed_for_all_hot_keys(flights: Flights, queue: CeleryQueue) -> None:
    """Its entries are other entries, whatever is known of the old ones."""
    keys = flights.put(10)
    make_hot(flights.store, keys)
    flights.registry.activate("late", 1)
    sender = RefreshSender(queue, 100, Allowance(1e6))
    expiry = ExpiryRefresh(flights.store, flights.project, sender, flights.settings)
    expiry.look()
    expiry.look()
    before = queue.waiting_refreshes()

    flights.store.call("HSET", "model:late:active", "default", 2)
    expiry.look()

    assert (before, queue.waiting_refreshes()) == (1, 2)
