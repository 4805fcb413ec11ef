"""Workers, schedulers and refreshers show what they do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import LOOPBACK
from deploy.local.redis_pair import RedisPair
from precompute import audit_note, dead_letters
from precompute.audit_note import AuditNote
from precompute.errors import ConfigError
from precompute.keys import hot_key
from precompute.settings import Settings
from tests.flights import Flights
from tests.prometheus import lint, samples, total, value
from tests.roles import Role, role
from tests.waiting import wait_until
from workers.exporter import exported, new_registry
from workers.jobs import Jobs
from workers.key_sources import AllKeys
from workers.messages import PRECOMPUTE_QUEUE, REFRESH_QUEUE
from workers.task_queue import open_queue

pytestmark = pytest.mark.integration


@pytest.fixture
def flights(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Flights]:
    """The project, published on the test's Redis; parts show metrics at any free port."""
    published = Flights.publish(tmp_path, clean_redis.primary_url, metrics_port=0, look_every_s=0.1, coalesce_ms=1.0)
    yield published
    published.store.close()


def metrics_of(running: Role) -> str:
    """Where a part says that it shows its metrics."""
    return running.said.split("metrics at ", 1)[1].split()[0]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_worker_shows_what_all_its_processes_have_done(flights: Flights, concurrency: int) -> None:
    """Rows, tasks, their time, and when it last got on; names as Prometheus wants them."""
    flights.put(2000)
    queue = open_queue(flights.settings)
    jobs = Jobs(flights.store, flights.project, queue, chunk_keys=100, keep_s=60.0)

    with role("worker", flights.settings, concurrency) as worker:
        url = metrics_of(worker)
        job = jobs.start("late", AllKeys())
        *_, last = jobs.watch(job.id, poll_s=0.02)
        queue.refresh("late", ["UA1:nowhere", "nonsense"])
        wait_until(lambda: value(url, "nearcast_worker_tasks_total", task="refresh", outcome="done") == 1)
        text = httpx.get(url).text
        found = samples(url)

    queue.close()
    assert lint(text) == []
    assert last.written == total(found, "nearcast_worker_rows_total", model="late", result="computed") == 2000
    assert total(found, "nearcast_worker_rows_total", model="late", result="failed") == 2
    assert total(found, "nearcast_worker_tasks_total", task="precompute", outcome="done") == 20
    assert total(found, "nearcast_worker_task_duration_seconds_count", task="precompute") == 20
    assert total(found, "nearcast_worker_task_duration_seconds_sum", task="precompute") > 0
    assert total(found, "nearcast_worker_last_progress_timestamp_seconds") > 1e9
    assert total(found, "nearcast_worker_processes") == concurrency
    assert total(found, "nearcast_build_info", role="worker") == 1


def test_the_time_from_a_change_to_its_refreshed_predictions_is_shown(flights: Flights) -> None:
    """Counted by the worker for each hot key behind the change; what was due for another reason does not count."""
    keys = flights.put(40)
    for rank, key in enumerate(keys):
        flights.store.call("ZADD", hot_key("late"), 100.0 - rank, key)

    with role("worker", flights.settings) as worker, role("refresher", flights.settings) as refresher:
        shown, behind = metrics_of(worker), metrics_of(refresher)
        wait_until(lambda: value(behind, "nearcast_refresher_last_progress_timestamp_seconds") > 0)
        flights.weather(20.0, event_ms=20)
        wait_until(lambda: value(shown, "nearcast_update_to_refreshed_seconds_count", model="late") == 40, 20.0)
        wait_until(lambda: value(behind, "nearcast_refresher_keys_queued_total") == 40)
        wait_until(lambda: value(behind, "nearcast_refresher_unacknowledged_records") == 0)
        found, other = samples(shown), samples(behind)
        complaints = lint(httpx.get(behind).text)

    assert complaints == []
    assert 0 < total(found, "nearcast_update_to_refreshed_seconds_sum") < 40 * 20.0
    assert total(other, "nearcast_refresher_changes_total") >= 4
    assert total(other, "nearcast_refresher_pending_keys") == 0
    assert total(other, "nearcast_refresher_budget_keys") > 0


def test_a_scheduler_shows_who_leads_what_waits_and_what_was_set_aside(flights: Flights) -> None:
    """Queues by name with the age of their oldest task, from any scheduler."""
    flights.put(10)
    letter = dead_letters.Letter("updates", "u:{weather}", "1-0", "names no entity", 1, (b"x", b"y"))
    dead_letters.add(flights.store, letter)
    audit_note.write(flights.store, AuditNote(at_ms=9_000, checked=400, falsely_fresh=2))
    queue = open_queue(flights.settings)
    jobs = Jobs(flights.store, flights.project, queue, chunk_keys=5, keep_s=60.0)

    with role("scheduler", flights.settings) as scheduler:
        url = metrics_of(scheduler)
        jobs.start("late", AllKeys())
        wait_until(lambda: value(url, "nearcast_scheduler_leading") == 1)
        wait_until(lambda: value(url, "nearcast_scheduler_last_look_timestamp_seconds") > 0)
        wait_until(lambda: value(url, "nearcast_queue_oldest_seconds", queue=PRECOMPUTE_QUEUE) > 0)
        text, found = httpx.get(url).text, samples(url)

    queue.close()
    assert lint(text) == []
    assert total(found, "nearcast_queue_tasks", queue=PRECOMPUTE_QUEUE) == 2
    assert total(found, "nearcast_queue_tasks", queue=REFRESH_QUEUE) == 0
    assert total(found, "nearcast_scheduler_term") == 1
    assert total(found, "nearcast_dead_letters", kind="updates") == 1
    assert total(found, "nearcast_scheduler_looks_put_off_total") == 0
    assert total(found, "nearcast_audit_checked_answers") == 400
    assert total(found, "nearcast_audit_falsely_fresh_answers") == 2
    assert total(found, "nearcast_audit_timestamp_seconds") == 9
    assert total(found, "nearcast_store_memory_bytes") > 1 << 20


def test_without_a_port_nothing_is_shown(flights: Flights) -> None:
    """Nobody listens unless somebody asked for it."""
    settings = Settings(project=flights.settings.project, primary_url=flights.settings.primary_url)

    with role("refresher", settings) as refresher:
        said = refresher.said

    assert "metrics at" not in said


def test_a_taken_port_is_told(flights: Flights) -> None:
    """With the way out."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        settings = flights.settings.model_copy(update={"metrics_port": taken.getsockname()[1]})

        with (
            pytest.raises(ConfigError, match="choose another with --metrics-port"),
            exported(settings, new_registry("worker")),
        ):
            pass
