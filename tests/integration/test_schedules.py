"""Declared jobs with a real Redis, real schedulers and real workers."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from precompute import manifest
from precompute.errors import ManifestError, UnknownJob
from precompute.job_record import Progress
from precompute.job_runs import Ledger, Run
from precompute.keys import fence_key
from tests import onnx_models
from tests.flights import Flights
from tests.roles import role
from tests.waiting import wait_until
from workers import tallies
from workers.errors import JobRefused
from workers.jobs import Jobs, Ticket
from workers.key_sources import AllKeys
from workers.lease import LEASE
from workers.schedule_ledger import Ledgers
from workers.schedule_runner import ScheduleRunner
from workers.schedule_store import ScheduleStore
from workers.task_queue import CeleryQueue, open_queue

pytestmark = pytest.mark.integration

QUICK = {"model": "late", "all": True, "every_s": 0.5, "overlap": "queue"}


@pytest.fixture
def flights(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Flights]:
    """A few flights; a leader that is gone is missed after one second."""
    published = Flights.publish(tmp_path, clean_redis.primary_url, lease_ttl_s=1.0, look_every_s=0.5)
    published.put(20)
    yield published
    published.store.close()


@pytest.fixture
def declared(flights: Flights) -> ScheduleStore:
    """What is declared."""
    return ScheduleStore(flights.store, flights.project)


@pytest.fixture
def ledgers(flights: Flights) -> Ledgers:
    """What is known of runs."""
    return Ledgers(flights.store)


@pytest.fixture
def queue(flights: Flights) -> Iterator[CeleryQueue]:
    """The task queue."""
    opened = open_queue(flights.settings)
    yield opened
    opened.close()


@pytest.fixture
def jobs(flights: Flights, queue: CeleryQueue) -> Jobs:
    """All jobs."""
    return Jobs(flights.store, flights.project, queue, chunk_keys=flights.settings.chunk_keys, keep_s=600.0)


def ended(ledgers: Ledgers, name: str, state: str, count: int = 1) -> list[Run]:
    """Waits for so many runs with that end; returns them, oldest first."""

    def found() -> list[Run] | None:
        runs = [run for run in ledgers.past(name) if run.state == state]
        return runs[::-1] if len(runs) >= count else None

    runs = wait_until(found, 30.0, f"{name} has no {count} runs that are {state}: {ledgers.past(name)}")
    assert runs is not None
    return runs


def ledger(ledgers: Ledgers, name: str) -> Ledger:
    """Where a job stands."""
    (known,) = ledgers.read([name])
    assert known.ledger is not None
    return known.ledger


def fires(ledgers: Ledgers, name: str) -> list[int]:
    """When all its runs were due, those at work included."""
    return sorted(run.fire_ms for run in [*ledgers.past(name), *ledger(ledgers, name).open])


def test_a_job_runs_whenever_it_is_due(flights: Flights, declared: ScheduleStore, ledgers: Ledgers) -> None:
    """It is taken up while the scheduler runs, and its keys are computed each time; the history has the figures."""
    with role("worker", flights.settings), role("scheduler", flights.settings) as scheduler:
        wait_until(lambda: "leading" in scheduler.said)
        declared.add("quick", QUICK)
        runs = ended(ledgers, "quick", "finished", 3)

    assert [run.fire_ms % 500 for run in runs] == [0] * len(runs)
    assert {run.total for run in runs} == {run.written for run in runs} == {20}
    assert all(run.ended_ms > run.started_ms >= run.fire_ms and run.keys_per_s > 0 for run in runs)
    assert len({run.id for run in runs}) == len(runs)


def test_a_job_of_the_project_file_runs_as_well(flights: Flights, ledgers: Ledgers) -> None:
    """For each of its variants; its key file lies beside the project file."""
    path = flights.settings.project
    path.with_name("some.txt").write_text("UA1:JFK\nUA2:LGA\n")
    job = '\n[jobs.listed]\nmodel = "late"\nkeys = "some.txt"\nvariants = ["default", "fast"]\nevery_s = 0.5\n'
    path.write_text(path.read_text() + job)

    with role("worker", flights.settings), role("scheduler", flights.settings):
        (run, *_) = ended(ledgers, "listed", "finished")

    assert (run.total, run.written) == (4, 4)
    for version in (1, 2):
        assert len(flights.entries(["UA1:JFK?hour=12.0", "UA2:LGA?hour=12.0"], version=version)) == 2


def test_keys_given_by_command_need_no_file_later(flights: Flights, declared: ScheduleStore, ledgers: Ledgers) -> None:
    """They are kept with the job."""
    declared.add("given", {"model": "late", "keys": "gone.txt", "every_s": 0.5}, ["UA1:JFK", "UA2:LGA"])

    with role("worker", flights.settings), role("scheduler", flights.settings):
        (run, *_) = ended(ledgers, "given", "finished")

    assert (run.total, run.written) == (2, 2)


def test_a_run_without_keys_is_refused_with_the_reason(
    flights: Flights, declared: ScheduleStore, ledgers: Ledgers
) -> None:
    """Nothing is hot here; and the next run tries again."""
    declared.add("hot", {"model": "late", "hot": 100, "every_s": 0.5})

    with role("scheduler", flights.settings):
        runs = ended(ledgers, "hot", "refused", 2)

    assert {run.reason for run in runs} == {"no keys: hot 100 of model 'late' is empty"}


def test_a_job_runs_when_its_model_is_published(flights: Flights, declared: ScheduleStore, ledgers: Ledgers) -> None:
    """For the version that was published, though it is not served; other variants are none of its business."""
    declared.add("fill", {"model": "late", "variants": ["fast"], "all": True, "on": "publish"})

    with role("worker", flights.settings), role("scheduler", flights.settings):
        wait_until(lambda: ledgers.read(["fill"])[0].ledger)
        for variant, seed in (("default", 7), ("fast", 8)):
            content = onnx_models.mlp((4, 8, 1), seed=seed)
            flights.registry.publish("late", variant, content, now_ms=1, activate=False)
        (run,) = ended(ledgers, "fill", "finished")

    assert (run.version, run.variants, run.written) == (4, ("fast",), 20)
    assert len(flights.entries([f"UA{i}:EWR?hour=12.0" for i in range(0, 20, 4)], version=4)) == 5


def test_a_job_runs_when_a_view_has_changed(flights: Flights, declared: ScheduleStore, ledgers: Ledgers) -> None:
    """But not more often than it says."""
    table = {"model": "late", "all": True, "on": "view-update", "view": "weather", "min_interval_s": 3600.0}
    declared.add("weather", table)

    with role("worker", flights.settings), role("scheduler", flights.settings):
        flights.weather(11.0, 2)
        (first,) = ended(ledgers, "weather", "finished")
        flights.weather(12.0, 3)
        declared.add("other", QUICK)
        ended(ledgers, "other", "finished", 3)

    assert first.written == 20
    assert fires(ledgers, "weather") == [first.fire_ms]


def test_a_run_that_takes_too_long_is_ended(
    flights: Flights, declared: ScheduleStore, ledgers: Ledgers, jobs: Jobs
) -> None:
    """Here because nobody works; its tasks do nothing when somebody does at last."""
    declared.add("slow", {"model": "late", "all": True, "every_s": 1.0, "time_limit_s": 0.2})
    with role("scheduler", flights.settings):
        (run, *_) = ended(ledgers, "slow", "timed out")
    declared.remove("slow")

    with role("worker", flights.settings):
        wait_until(lambda: jobs.many(run.jobs)[0])
        declared.add("quick", QUICK)
        with role("scheduler", flights.settings):
            ended(ledgers, "quick", "finished")

    assert jobs.progress(run.jobs[0]).state == "cancelled"
    assert jobs.progress(run.jobs[0]).written == 0


@pytest.mark.parametrize(("overlap", "state"), [("skip", "skipped"), ("replace", "replaced")])
def test_runs_that_overlap(
    overlap: str, state: str, flights: Flights, declared: ScheduleStore, ledgers: Ledgers, jobs: Jobs
) -> None:
    """Nobody works, so the first run stays at work until the next is due."""
    declared.add("busy", {**QUICK, "overlap": overlap})

    with role("scheduler", flights.settings):
        runs = ended(ledgers, "busy", state, 2)
        (running,) = ledger(ledgers, "busy").open
        if overlap == "skip":
            assert all(run.reason == f"run {running.id} was at work" for run in runs)
        else:
            wait_until(lambda: sum(progress.state == "cancelled" for progress in jobs.all()) >= 1)


def test_a_paused_job_does_not_run(flights: Flights, declared: ScheduleStore, ledgers: Ledgers) -> None:
    """And when it goes on, what it would have done meanwhile is not made up for."""
    declared.add("quick", {**QUICK, "overlap": "skip"})
    declared.add("other", QUICK)
    with role("worker", flights.settings), role("scheduler", flights.settings):
        ended(ledgers, "quick", "finished")
        declared.pause("quick")
        wait_until(lambda: not ledger(ledgers, "quick").open)
        before = len(ended(ledgers, "other", "finished"))
        ended(ledgers, "other", "finished", before + 3)
        paused = fires(ledgers, "quick")
        declared.resume("quick")
        ended(ledgers, "quick", "finished", len(paused) + 2)

    gaps = [b - a for a, b in zip(fires(ledgers, "quick"), fires(ledgers, "quick")[1:], strict=False)]
    assert Counter(gap == 500 for gap in gaps)[False] == 1


def test_every_fire_runs_exactly_once_though_leaders_are_killed(
    flights: Flights, declared: ScheduleStore, ledgers: Ledgers
) -> None:
    """Three leaders one after the other, and always another one stands by.

    A change of leaders has nine seconds and the queue holds ten runs of a second each, so that on a slow machine too
    no fire is missed for want of a leader or skipped for want of room.
    """
    settings = flights.settings.model_copy(update={"lease_ttl_s": 3.0})
    declared.add("quick", {**QUICK, "every_s": 1.0})
    with ExitStack() as running:
        running.enter_context(role("worker", settings))
        leader = running.enter_context(role("scheduler", settings))
        for term in (1, 2, 3):
            wait_until(lambda leader=leader, term=term: f"leading, term {term}" in leader.said)
            follower = running.enter_context(role("scheduler", settings))
            ended(ledgers, "quick", "finished", 2 * term)
            leader.process.send_signal(signal.SIGKILL)
            leader = follower
        wait_until(lambda: "leading, term 4" in leader.said)
        count = len(ended(ledgers, "quick", "finished"))
        ended(ledgers, "quick", "finished", count + 2)

    due = fires(ledgers, "quick")
    assert due == list(range(due[0], due[-1] + 1, 1000))
    assert {run.state for run in ledgers.past("quick")} == {"finished"}
    assert {(run.total, run.written) for run in ledgers.past("quick")} == {(20, 20)}


@pytest.mark.parametrize("missed", ["skip", "run-once"])
def test_runs_that_were_due_while_nobody_led(missed: str, flights: Flights, ledgers: Ledgers) -> None:
    """They are skipped, or made up for by one run; either way the history says so."""
    week_ms = 7 * 86_400_000
    latest_ms = time.time_ns() // 1_000_000 // week_ms * week_ms
    long_ago = ScheduleStore(flights.store, flights.project, lambda: latest_ms - 3 * week_ms)
    long_ago.add("weekly", {"model": "late", "all": True, "every_s": week_ms / 1000, "missed": missed})

    with role("worker", flights.settings), role("scheduler", flights.settings):
        (lost,) = ended(ledgers, "weekly", "missed")
        made_up_for = ended(ledgers, "weekly", "finished") if missed == "run-once" else []

    assert lost.reason == "nobody led when it was due"
    assert [run.fire_ms for run in made_up_for] == ([latest_ms] if missed == "run-once" else [])
    assert (lost.fires, lost.fire_ms) == ((2, latest_ms - week_ms) if missed == "run-once" else (3, latest_ms))


def test_tasks_of_a_leader_that_was_paused_are_refused(
    flights: Flights, declared: ScheduleStore, ledgers: Ledgers, jobs: Jobs, queue: CeleryQueue
) -> None:
    """Its successor has queued them anew; each is computed once, and every refusal is counted, one of them logged."""
    settings = flights.settings.model_copy(update={"chunk_keys": 2})
    declared.add("once", {"model": "late", "all": True, "on": "view-update", "view": "weather"})
    with role("scheduler", settings) as first:
        wait_until(lambda: ledgers.read(["once"])[0].ledger)
        flights.weather(11.0, 2)
        wait_until(lambda: any(progress.listed for progress in jobs.all()))
        first.process.send_signal(signal.SIGSTOP)
        with role("scheduler", settings) as second:
            wait_until(lambda: "taken over" in second.said)
            first.process.send_signal(signal.SIGCONT)
            wait_until(lambda: "no longer leading" in first.said)
            with role("worker", settings) as worker:
                (run,) = ended(ledgers, "once", "finished")
                wait_until(lambda: queue.waiting_chunks() == 0)
                said = worker.said

    counts = tallies.read(flights.store)
    assert (run.total, run.written, run.fence, run.attempt) == (20, 20, 2, 1)
    assert (counts["fenced"], counts["precomputed"]) == (10, 20)
    assert said.count("refusing tasks of scheduler term 1") == 1


def test_a_leader_that_wakes_up_while_it_lists_keys_adds_nothing(
    flights: Flights, declared: ScheduleStore, ledgers: Ledgers, jobs: Jobs
) -> None:
    """Its successor has listed them anew, for another job of the same run."""
    flights.put(5000, start=1000)
    settings = flights.settings.model_copy(update={"chunk_keys": 5})
    declared.add("once", {"model": "late", "all": True, "on": "view-update", "view": "weather"})

    def listing() -> Progress | None:
        return next((p for p in jobs.all() if p.total and not p.listed), None)

    with role("scheduler", settings) as first:
        wait_until(lambda: ledgers.read(["once"])[0].ledger)
        flights.weather(11.0, 2)
        assert wait_until(listing)
        first.process.send_signal(signal.SIGSTOP)
        with role("scheduler", settings) as second, role("worker", settings, 2):
            wait_until(lambda: second.said.count("started") == 1)
            first.process.send_signal(signal.SIGCONT)
            wait_until(lambda: "listed no further" in first.said or "put off" in first.said)
            (run,) = wait_until(lambda: ledgers.past("once"), 120.0)

    states = {progress.job.id: progress.state for progress in jobs.all()}
    assert (run.state, run.total, run.written, run.attempt) == ("finished", 5020, 5020, 2)
    assert states == {f"{run.id}.1.default": "cancelled", f"{run.id}.2.default": "finished"}


def test_a_scheduler_outlives_its_redis(tmp_path: Path, own_redis_pair: RedisPair) -> None:
    """It leads no more while Redis is away, and runs what is declared once it is back."""
    flights = Flights.publish(tmp_path, own_redis_pair.primary_url, lease_ttl_s=1.0, redis_timeout_s=0.5)
    with role("scheduler", flights.settings) as scheduler:
        wait_until(lambda: "leading, term 1" in scheduler.said)
        own_redis_pair.primary.stop()
        wait_until(lambda: "not leading" in scheduler.said)
        own_redis_pair.restart_primary()
        again = Flights.publish(tmp_path, own_redis_pair.primary_url, lease_ttl_s=1.0)
        again.put(20)
        ScheduleStore(again.store, again.project).add("quick", QUICK)
        with role("worker", flights.settings):
            runs = ended(Ledgers(again.store), "quick", "finished", 2)
        assert scheduler.process.poll() is None
    assert {run.written for run in runs} == {20}
    again.store.close()
    flights.store.close()


def test_high_priority_is_computed_before_low(flights: Flights, queue: CeleryQueue) -> None:
    """Though it was queued later; each chunk of the one comes before any of the other."""
    jobs = Jobs(flights.store, flights.project, queue, chunk_keys=1, keep_s=600.0)
    low, high = (
        jobs.start("late", AllKeys(), ticket=Ticket(id=priority, priority=priority)) for priority in ("low", "high")
    )

    with role("worker", flights.settings):
        wait_until(lambda: jobs.progress(low.id).finished_ms)

    assert 0 < jobs.progress(high.id).finished_ms <= jobs.progress(low.id).started_ms


def runner(flights: Flights, jobs: Jobs, fence: Callable[[], int | None], clock: Callable[[], int]) -> ScheduleRunner:
    """A runner whose listings are done at once."""
    return ScheduleRunner(
        flights.store,
        ScheduleStore(flights.store, flights.project, lambda: 1),
        jobs,
        fence,
        lambda action, _: action(),
        grace_ms=3000,
        directory=flights.settings.project.parent,
        clock_ms=clock,
    )


def test_a_deposed_leader_commits_nothing(flights: Flights, declared: ScheduleStore, jobs: Jobs) -> None:
    """Even if it has not noticed yet."""
    ScheduleStore(flights.store, flights.project, lambda: 1000).add("quick", QUICK)
    flights.store.call("SET", fence_key(LEASE), 2)

    runner(flights, jobs, lambda: 1, lambda: 1600).look()
    before = jobs.all()
    runner(flights, jobs, lambda: 2, lambda: 1600).look()

    assert before == []
    assert [progress.job.id for progress in jobs.all()] == ["quick.1500.1.default"]


def test_a_job_that_no_longer_fits_the_project_is_not_run_and_says_so(
    flights: Flights, declared: ScheduleStore
) -> None:
    """The others go on."""
    declared.add("old", {**QUICK, "variants": ["fast"]})
    declared.add("good", QUICK)
    text = flights.settings.project.read_text().replace(", fast = { quality = 0.6 }", "")
    smaller = ScheduleStore(flights.store, manifest.parse(text))

    found = smaller.all()

    assert found.jobs.keys() == {"good"}
    assert found.broken == {"old": "no variant 'fast'; model 'late' has: default"}
    with pytest.raises(JobRefused, match="no longer fits the project: no variant 'fast'"):
        smaller.get("old")
    smaller.remove("old")
    assert smaller.all().broken == {}


def test_what_cannot_be_declared(flights: Flights, declared: ScheduleStore) -> None:
    """Is refused as a whole, with every reason; nothing is stored."""
    with pytest.raises(ManifestError, match="no model 'none'"):
        declared.add("bad", {**QUICK, "model": "none"})
    with pytest.raises(JobRefused, match="the key file names no keys"):
        declared.add("bad", {"model": "late", "keys": "x", "every_s": 1}, [])
    with pytest.raises(JobRefused, match=r"5 of 6 keys are wrong: key 'UA1': .*; and 2 more"):
        declared.add("bad", {"model": "late", "keys": "x", "every_s": 1}, ["UA1"] * 5 + ["UA1:EWR"])
    declared.add("taken", QUICK)
    with pytest.raises(JobRefused, match="exists already; remove it first, or say --replace"):
        declared.add("taken", QUICK)

    assert declared.all().jobs.keys() == {"taken"}


def test_jobs_of_the_project_file_can_only_be_paused(flights: Flights) -> None:
    """Everything else about them stands in the file."""
    text = flights.settings.project.read_text() + '[jobs.file]\nmodel = "late"\nhot = 1\nevery_s = 60\n'
    declared = ScheduleStore(flights.store, manifest.parse(text))

    with pytest.raises(JobRefused, match="declared in the project file; change it there"):
        declared.add("file", QUICK, replace=True)
    with pytest.raises(JobRefused, match="remove it there, or pause it"):
        declared.remove("file")
    declared.pause("file")
    paused = declared.get("file").paused
    declared.resume("file")

    assert (paused, declared.get("file").paused) == (True, False)
    with pytest.raises(UnknownJob, match="no declared job 'none'; there are: file"):
        declared.pause("none")
