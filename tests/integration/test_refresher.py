"""A feature changes, and the hot predictions behind it are recomputed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from precompute import dead_letters
from precompute.keys import hot_key, log_key
from precompute.updates import as_of_id
from tests.flights import Flights
from tests.roles import role
from tests.waiting import wait_until
from workers import plan_notes, tallies
from workers.change_reader import GROUP
from workers.refresher import Refresher

pytestmark = pytest.mark.integration


class Recorder:
    """A queue that only remembers."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.waiting = 0

    def refresh(self, model: str, keys: Sequence[str], changed_ms: Sequence[int] = ()) -> None:
        self.keys += [f"{model}/{key}" for key in keys]

    def waiting_refreshes(self) -> int:
        return self.waiting


@pytest.fixture
def flights(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Flights]:
    """The project, published on the test's Redis."""
    published = Flights.publish(tmp_path, clean_redis.primary_url)
    yield published
    published.store.close()


def make_hot(flights: Flights, keys: list[str], model: str = "late") -> None:
    """As if edges had counted them; the first is the hottest."""
    for rank, key in enumerate(keys):
        flights.store.call("ZADD", hot_key(model), 100.0 - rank, key)


def refresher(flights: Flights, queue: Recorder) -> Refresher:
    """One that has looked at what is hot, and at where the logs end."""
    settings = flights.settings.model_copy(update={"coalesce_ms": 1.0})
    built = Refresher(flights.store, flights.project, queue, settings)
    built.turn()
    return built


def turn_until(built: Refresher, queue: Recorder, count: int) -> None:
    """Turns until so many keys are queued; a turn ends by itself."""

    def enough() -> bool:
        built.turn()
        return len(queue.keys) >= count

    wait_until(enough)


def test_hot_predictions_know_of_a_change_before_anyone_asks(flights: Flights) -> None:
    """All that depend on it, through a real worker; the others stay as they are."""
    keys = flights.put(40)
    make_hot(flights, keys)

    with role("worker", flights.settings), role("refresher", flights.settings):

        def change(temp: float) -> int:
            flights.weather(temp, event_ms=int(temp))
            info = flights.store.call("XREVRANGE", log_key("weather"), "+", "-", "COUNT", 1)
            return as_of_id(info[0][0])

        def all_know(change_id: int) -> bool:
            entries = flights.entries(keys)
            return len(entries) == 40 and min(entry.as_of[1] for entry in entries) >= change_id

        first = change(20.0)
        wait_until(lambda: all_know(first), 20.0, "not refreshed")
        second = change(21.0)
        wait_until(lambda: all_know(second), 20.0, "not refreshed again")

    assert tallies.read(flights.store)["refreshed"] >= 80


def test_only_what_depends_on_the_change_is_refreshed(flights: Flights) -> None:
    """The hottest first; a model that is never refreshed is left alone."""
    keys = flights.put(8)
    make_hot(flights, keys)
    make_hot(flights, ["EWR"], "fixed")
    queue = Recorder()
    built = refresher(flights, queue)

    flights.features.delete("weather", ["EWR"])
    turn_until(built, queue, 2)

    assert queue.keys == ["late/UA0:EWR?hour=12.0", "late/UA4:EWR?hour=12.0"]


def test_changes_from_before_the_start_are_not_refreshed(flights: Flights) -> None:
    """The scheduler finds what is missing; the edges judge what is fresh."""
    make_hot(flights, flights.put(8))
    queue = Recorder()
    built = refresher(flights, queue)

    flights.features.delete("flight", ["UA1"])
    turn_until(built, queue, 1)

    assert queue.keys == ["late/UA1:JFK?hour=12.0"]


def test_a_poisoned_record_is_set_aside_and_stops_nobody(flights: Flights) -> None:
    """It is kept with its bytes, counted, and acknowledged; what comes behind it is refreshed."""
    make_hot(flights, flights.put(8))
    queue = Recorder()
    built = refresher(flights, queue)
    flights.store.call("XADD", log_key("flight"), "*", "strange", b"\x00")

    flights.features.delete("flight", ["UA1"])
    turn_until(built, queue, 1)

    assert queue.keys == ["late/UA1:JFK?hour=12.0"]
    assert [letter.content for letter in dead_letters.recent(flights.store)] == [(b"strange", b"\x00")]
    assert tallies.read(flights.store)["unreadable"] == 1
    assert flights.store.call("XPENDING", log_key("flight"), GROUP)[0] == 0


def test_nothing_is_acknowledged_before_it_is_queued(flights: Flights) -> None:
    """A queue without room keeps the record pending, for whoever comes after us."""
    make_hot(flights, flights.put(8))
    queue = Recorder()
    built = refresher(flights, queue)
    queue.waiting = 1000

    flights.features.delete("flight", ["UA1"])
    wait_until(lambda: (built.turn(), flights.store.call("XPENDING", log_key("flight"), GROUP)[0])[1] == 1)
    for _ in range(5):
        built.turn()
    before = flights.store.call("XPENDING", log_key("flight"), GROUP)[0]
    queue.waiting = 0
    turn_until(built, queue, 1)

    assert before == 1
    assert flights.store.call("XPENDING", log_key("flight"), GROUP)[0] == 0


def test_two_refreshers_share_the_changes(flights: Flights) -> None:
    """Each change is seen to once."""
    keys = flights.put(40)
    make_hot(flights, keys)
    queues = Recorder(), Recorder()
    both = [refresher(flights, queue) for queue in queues]

    for number in range(40):
        flights.features.delete("flight", [f"UA{number}"])
        both[number % 2].turn()

    def all_queued() -> bool:
        for built in both:
            built.turn()
        return len(queues[0].keys + queues[1].keys) >= 40

    wait_until(all_queued)
    assert all(queue.keys for queue in queues)
    assert sorted(queues[0].keys + queues[1].keys) == sorted(f"late/{key}" for key in keys)


def test_a_plan_can_be_read_by_people(flights: Flights) -> None:
    """Which hot keys are refreshed, and what that takes."""
    keys = flights.put(8)
    make_hot(flights, keys)

    refresher(flights, Recorder())
    note, never = plan_notes.read(flights.store, "late"), plan_notes.read(flights.store, "fixed")

    assert note is not None
    assert (note.hot, note.refreshed, list(note.keys)) == (8, 8, keys)
    assert never is not None
    assert (never.refreshed, never.least_chance) == (0, None)


def test_a_refresher_outlives_its_redis(tmp_path: Path, own_redis_pair: RedisPair) -> None:
    """It waits, and goes on; asked to end, it ends with status 0."""
    flights = Flights.publish(tmp_path, own_redis_pair.primary_url)

    with role("refresher", flights.settings) as running:
        own_redis_pair.primary.stop()
        wait_until(lambda: "waiting for Redis" in running.said)
        own_redis_pair.restart_primary()
        flights = Flights.publish(tmp_path, own_redis_pair.primary_url)
        keys = flights.put(4)
        make_hot(flights, keys)
        with role("worker", flights.settings):

            def refreshed() -> bool:
                flights.weather(flights.store.call("TIME")[1][0], event_ms=int(flights.store.call("TIME")[0]))
                return len(flights.entries(keys)) == 4

            wait_until(refreshed, 20.0, "does not go on")
        status = running.stop()

    flights.store.close()
    assert status == 0
