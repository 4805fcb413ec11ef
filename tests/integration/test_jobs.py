"""Precompute jobs over a real Redis, with and without real Celery workers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from precompute import manifest
from precompute.errors import InvalidRequest, StoreUnavailable, VersionMissing
from precompute.features import Features, Row
from precompute.hot_counter import HotCounter
from precompute.hotkeys import MergeRule, flush_commands, merge
from precompute.job_record import Progress
from precompute.keys import active_key, blob_key, fence_key, hot_key, job_key
from tests.flights import MANIFEST, Flights
from tests.roles import role
from tests.waiting import wait_until
from workers import tallies
from workers.app import run_worker
from workers.chunks import MAX_ATTEMPTS, compute_chunk
from workers.errors import JobEnded, JobMissing, JobRefused
from workers.job_store import MAX_FAILURES, JobStore
from workers.jobs import Jobs, Ticket
from workers.key_sources import AllKeys, DependentKeys, GivenKeys, HotKeys, KeysFile, Source
from workers.lease import LEASE
from workers.task_queue import open_queue
from workers.workplace import Workplace, open_workplace

pytestmark = pytest.mark.integration


class InlineQueue:
    """Runs a task the moment it is queued; forgets the first `lost` of them."""

    def __init__(self, flights: Flights, lost: int = 0) -> None:
        self.place = open_workplace(flights.settings, flights.project)
        self.jobs = JobStore(self.place.store, 60.0)
        self.lost = lost
        self.run: list[int] = []

    def precompute_chunk(self, job_id: str, number: int, **_: object) -> None:
        if self.lost:
            self.lost -= 1
            return
        self.run.append(number)
        compute_chunk(self.place, self.jobs, job_id, number)

    def waiting_chunks(self) -> int:
        return 0


@pytest.fixture
def flights(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Flights]:
    """The project, published on the test's Redis."""
    published = Flights.publish(tmp_path, clean_redis.primary_url)
    yield published
    published.store.close()


def inline(flights: Flights, queue: InlineQueue | None = None, chunk_keys: int = 100) -> Jobs:
    """Jobs that are done by the time they are started."""
    chosen = queue or InlineQueue(flights)
    return Jobs(flights.store, flights.project, chosen, chunk_keys=chunk_keys, keep_s=60.0)


def finished(jobs: Jobs, job_id: str) -> Progress:
    """The progress of a job that must be over."""
    progress = jobs.progress(job_id)
    assert progress.state == "finished"
    return progress


def test_all_keys_of_a_model_are_computed(flights: Flights) -> None:
    """Parts are escaped, context takes its defaults, and every entry can be read back."""
    keys = flights.put(250)
    jobs = inline(flights)

    progress = finished(jobs, jobs.start("late", AllKeys()).id)

    assert (progress.total, progress.written, progress.failed, progress.chunks) == (250, 250, 0, 3)
    assert len(flights.entries(keys)) == 250


def test_keys_of_a_model_of_one_view_need_no_declaration(flights: Flights) -> None:
    """The rows' names are the keys."""
    flights.put(4)
    jobs = inline(flights)

    progress = finished(jobs, jobs.start("fixed", AllKeys()).id)

    assert progress.written == 4
    assert len(flights.entries(["EWR", "New~20York~2F3"], "fixed")) == 2


def test_every_key_of_a_file_is_computed_or_has_a_reason(flights: Flights, tmp_path: Path) -> None:
    """Lines that are no keys, keys of another shape and keys without rows cost the others nothing."""
    flights.put(10)
    path = tmp_path / "keys.txt"
    path.write_bytes(b"UA1:JFK\nUA2:LGA?hour=3\nUA1\nUA77:EWR\nUA3:EWR?hour=soon\n\xff\n")
    jobs = inline(flights)

    job = jobs.start("late", KeysFile(path))

    progress = finished(jobs, job.id)
    reasons = {failure.key: failure.reason for failure in jobs.failures(job.id)}
    assert (progress.total, progress.written, progress.failed) == (6, 2, 4)
    assert reasons.keys() == {"UA1", "UA77:EWR?hour=12.0", "UA3:EWR?hour=soon", "line 6"}
    assert "expected <flight>:<origin>" in reasons["UA1"]
    assert "no row for flight 'UA77'" in reasons["UA77:EWR?hour=12.0"]
    assert len(flights.entries(["UA1:JFK?hour=12.0", "UA2:LGA?hour=3.0"])) == 2


def test_the_hottest_keys_can_be_computed_alone(flights: Flights) -> None:
    """As counted by the edges."""
    keys = flights.put(20)
    counter = HotCounter()
    for i, key in enumerate(keys):
        for _ in range(i + 1):
            counter.hit(key)
    flights.store.run(flush_commands("late", counter.drain() or b""))
    merge(flights.store, "late", MergeRule(half_life_s=600.0, keep=100), 1)
    jobs = inline(flights)

    progress = finished(jobs, jobs.start("late", HotKeys(5)).id)

    assert progress.written == 5
    assert len(flights.entries(keys)) == len(flights.entries(keys[-5:])) == 5


def test_failures_beyond_the_list_are_counted_exactly(flights: Flights) -> None:
    """What is named is bounded."""
    jobs = inline(flights, chunk_keys=700)

    job = jobs.start("late", GivenKeys([f"UA{i}:EWR" for i in range(2500)]))

    assert finished(jobs, job.id).failed == 2500
    assert len(jobs.failures(job.id)) == MAX_FAILURES


def test_a_variant_that_is_not_the_default_can_be_chosen(flights: Flights) -> None:
    """By name, or by its version."""
    keys = flights.put(3)
    jobs = inline(flights)

    by_name = jobs.start("late", AllKeys(), variant="fast")
    by_version = jobs.start("late", AllKeys(), version=2)

    assert (by_name.variant, by_name.version) == (by_version.variant, by_version.version) == ("fast", 2)
    assert len(flights.entries(keys, version=2)) == 3
    assert flights.entries(keys, version=1) == []


def test_a_job_that_makes_no_sense_is_refused(flights: Flights) -> None:
    """With a reason, and without leaving anything behind."""
    jobs = inline(flights)

    with pytest.raises(InvalidRequest, match="no variant 'slow'; it has: default, fast"):
        jobs.start("late", AllKeys(), variant="slow")
    with pytest.raises(InvalidRequest, match="version 1 of 'late' is of variant 'default'"):
        jobs.start("late", AllKeys(), variant="fast", version=1)
    with pytest.raises(JobRefused, match="no keys: all keys of model 'late' is empty"):
        jobs.start("late", AllKeys())
    flights.store.call("DEL", active_key("late"))
    with pytest.raises(VersionMissing, match="publish one first"):
        jobs.start("late", GivenKeys(["UA1:EWR"]))
    assert jobs.all() == []


def test_a_chunk_that_is_computed_twice_is_counted_once(flights: Flights) -> None:
    """Messages may be delivered again, before and after the job is over."""
    flights.put(150)
    queue = InlineQueue(flights)
    jobs = inline(flights, queue)
    job = jobs.start("late", AllKeys())
    early = JobStore(flights.store, 60.0).begin(job.id, 0, 1)

    queue.precompute_chunk(job.id, 0)
    queue.precompute_chunk(job.id, 1)

    assert early is None
    assert finished(jobs, job.id).written == 150
    assert tallies.read(flights.store) == {"precomputed": 150}


def test_two_workers_at_the_same_chunk_count_it_once(flights: Flights) -> None:
    """Both began before either was done."""
    flights.put(50)
    lost = InlineQueue(flights, lost=1)
    job = inline(flights, lost).start("late", AllKeys())
    store = JobStore(flights.store, 60.0)
    one, two = store.begin(job.id, 0, 1), store.begin(job.id, 0, 1)
    assert one is not None
    assert two is not None

    counted = [store.finish(one, 50, 0, [], 2), store.finish(two, 50, 0, [], 3)]

    assert counted == [True, False]
    assert store.progress(job.id).written == 50


def test_lost_tasks_are_queued_again_by_whoever_watches(flights: Flights) -> None:
    """And only those that are not done."""
    flights.put(500)
    queue = InlineQueue(flights, lost=2)
    jobs = inline(flights, queue)
    job = jobs.start("late", AllKeys())
    clock = itertools.count(0.0, 4.0)

    seen = list(jobs.watch(job.id, stall_s=5.0, sleep=lambda _: None, clock_s=lambda: next(clock)))

    assert [p.chunks_done for p in seen] == [3, 3, 3, 5]
    assert queue.run == [2, 3, 4, 0, 1]
    assert seen[-1].written == 500


def test_a_job_is_resumed_at_once_if_somebody_says_so(flights: Flights) -> None:
    """Without waiting for it to look stalled."""
    flights.put(300)
    jobs = inline(flights, InlineQueue(flights, lost=1))
    job = jobs.start("late", AllKeys())

    before = jobs.resume(job.id)

    assert before.chunks_done == 2
    assert finished(jobs, job.id).written == 300


def interrupted(flights: Flights, source: Source) -> Progress:
    """A job whose keys somebody began to list, and did not end."""

    class Interrupted(InlineQueue):
        def precompute_chunk(self, job_id: str, number: int, **_: object) -> None:
            if number == 2:
                raise KeyboardInterrupt
            super().precompute_chunk(job_id, number)

    jobs = inline(flights, Interrupted(flights))
    with pytest.raises(KeyboardInterrupt):
        jobs.start("late", source, variant="fast")
    (left,) = jobs.all()
    return left


def test_a_job_whose_keys_were_not_listed_to_the_end_is_started_again_by_resuming_it(flights: Flights) -> None:
    """With the same version, under another ID; of the old one nothing is left to do, and nobody can add to it."""
    keys = flights.put(2500)
    left = interrupted(flights, AllKeys())
    jobs = inline(flights)

    again = jobs.resume(left.job.id)

    assert (left.state, left.written) == ("listing", 200)
    assert jobs.progress(left.job.id).state == "cancelled"
    assert (again.job.variant, finished(jobs, again.job.id).written) == ("fast", 2500)
    assert len(flights.entries(keys, version=2)) == 2500
    with pytest.raises(JobEnded):
        JobStore(flights.store, 60.0).add_chunk(left.job, 3, ["UA1:JFK"])


def test_keys_that_were_named_one_by_one_cannot_be_listed_again(flights: Flights) -> None:
    """Whoever named them has taken the list with him."""
    left = interrupted(flights, GivenKeys([f"UA{i}:EWR" for i in range(2500)]))

    with pytest.raises(JobRefused, match="start it anew"):
        inline(flights).resume(left.job.id)


def test_a_cancelled_job_does_nothing_more_and_expires(flights: Flights) -> None:
    """Its tasks are idle, and what a worker had in its hands leaves nothing behind that stays."""
    flights.put(300)
    queue = InlineQueue(flights, lost=3)
    jobs = inline(flights, queue)
    job = jobs.start("late", AllKeys())
    store = JobStore(flights.store, 60.0)
    in_hand = store.begin(job.id, 0, 1)
    assert in_hand is not None

    cancelled = [jobs.cancel(job.id), jobs.cancel(job.id)]
    queue.precompute_chunk(job.id, 1)
    store.finish(in_hand, 100, 0, [], 2)

    progress = jobs.progress(job.id)
    lives = [flights.store.call("TTL", name) for name in flights.store.call("KEYS", job_key(job.id, "*"))]
    assert cancelled == [True, False]
    assert (progress.state, progress.written, progress.attempts) == ("cancelled", 100, 1)
    assert all(0 < ttl <= 60 for ttl in lives)


def test_the_hot_keys_behind_a_row_can_be_computed_alone(flights: Flights) -> None:
    """However its entity is written in the key."""
    keys = flights.put(40)
    flights.store.call("ZADD", hot_key("late"), *[piece for key in [*keys, "nonsense"] for piece in (1.0, key)])
    jobs = inline(flights)

    progress = finished(jobs, jobs.start("late", DependentKeys("weather", "New~20York~2F3")).id)

    assert progress.written == 10
    assert len(flights.entries(keys)) == len(flights.entries(keys[3::4])) == 10


def test_a_deposed_leader_can_neither_start_nor_cancel_a_job(flights: Flights) -> None:
    """The last number that the lease gave out decides, at the moment of writing."""
    flights.put(10)
    flights.store.call("SET", fence_key(LEASE), 3)
    jobs = inline(flights, InlineQueue(flights, lost=1))
    job = jobs.start("late", AllKeys(), ticket=Ticket(id="x.1", fence=3))

    flights.store.call("SET", fence_key(LEASE), 4)
    cancelled = jobs.cancel(job.id, 3)
    with pytest.raises(JobEnded):
        jobs.start("late", AllKeys(), ticket=Ticket(id="x.2", fence=3))

    assert not cancelled
    assert [progress.job.id for progress in jobs.all()] == ["x.1"]


def test_only_a_finished_job_expires(flights: Flights) -> None:
    """What expires may be evicted, and an evicted chunk is lost; of a finished job nothing stays for ever."""
    flights.put(300)
    queue = InlineQueue(flights, lost=1)
    jobs = inline(flights, queue)
    job = jobs.start("late", AllKeys())

    def lives() -> dict[str, int]:
        names = [name.decode() for name in flights.store.call("KEYS", job_key(job.id, "*"))]
        return {name: flights.store.call("TTL", name) for name in names}

    during = lives()
    jobs.resume(job.id)

    assert set(during.values()) == {-1}
    assert job_key(job.id, "chunk:0") in during
    assert lives().keys() == {job_key(job.id, part) for part in ("record", "progress", "done", "attempts")}
    assert all(0 < ttl <= 60 for ttl in lives().values())


def test_a_forgotten_job_is_not_listed(flights: Flights) -> None:
    """Nor found."""
    flights.put(1)
    jobs = inline(flights)
    old, new = jobs.start("late", AllKeys()), jobs.start("late", AllKeys())
    flights.store.call("DEL", job_key(old.id, "record"))

    assert [p.job.id for p in jobs.all()] == [new.id]
    with pytest.raises(JobMissing, match=old.id):
        jobs.progress(old.id)


def test_a_chunk_whose_keys_are_gone_ends_as_failed(flights: Flights) -> None:
    """The job comes to its end, and its figures add up."""
    flights.put(250)
    queue = InlineQueue(flights, lost=3)
    jobs = inline(flights, queue)
    job = jobs.start("late", AllKeys())
    flights.store.call("DEL", job_key(job.id, "chunk:2"))

    jobs.resume(job.id)

    progress = finished(jobs, job.id)
    assert (progress.written, progress.failed) == (200, 50)
    assert [f.reason for f in jobs.failures(job.id)] == ["its list of keys is gone from Redis"]


def test_a_chunk_that_never_comes_to_its_end_is_given_up(flights: Flights) -> None:
    """A model that kills its worker must not kill workers for ever."""
    flights.put(50)
    queue = InlineQueue(flights, lost=1)
    jobs = inline(flights, queue)
    job = jobs.start("late", AllKeys())
    for _ in range(MAX_ATTEMPTS):
        queue.jobs.begin(job.id, 0, 1)

    queue.precompute_chunk(job.id, 0)

    assert finished(jobs, job.id).failed == 50
    assert "never finished" in jobs.failures(job.id)[0].reason


def test_a_version_that_is_gone_fails_every_key_with_the_reason(flights: Flights) -> None:
    """Rather than the task, again and again."""
    flights.put(50)
    sha256 = flights.registry.version("late", 1).sha256
    flights.store.call("DEL", blob_key(sha256))
    jobs = inline(flights)

    job = jobs.start("late", AllKeys())

    assert finished(jobs, job.id).failed == 50
    assert "file is not in this Redis" in jobs.failures(job.id)[0].reason


def test_rows_of_an_earlier_declaration_still_name_their_keys(flights: Flights, tmp_path: Path) -> None:
    """A row without the field that spells a part is named as a failure."""
    before = manifest.parse(MANIFEST.replace("TTL_S", "9").replace('slack = "float32"\n', "").replace(
        '"flight.slack"', '"flight.distance"'))  # fmt: skip
    Features(flights.store, before).put("flight", [Row("OLD1", {"origin": "EWR", "distance": 1.0}, 1)])
    without = before.view("flight")
    nameless = manifest.parse('[project]\nname = "x"\n[views.flight.fields]\ndistance = "float32"\n', "nearcast.toml")
    Features(flights.store, nameless).put("flight", [Row("OLD2", {"distance": 1.0}, 1)])
    jobs = inline(flights)

    job = jobs.start("late", AllKeys())

    reasons = {f.key: f.reason for f in jobs.failures(job.id)}
    assert without.field("slack") is None
    assert reasons.keys() == {"OLD1:EWR?hour=12.0", "OLD2"}
    assert reasons["OLD2"] == "the row of flight 'OLD2' has no origin"


def test_a_store_that_is_away_for_a_moment_costs_a_retry(flights: Flights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, and invisible otherwise."""
    flights.put(50)
    queue = InlineQueue(flights)
    real: Callable[[str, int], object] = queue.place.predictor
    troubles = iter([StoreUnavailable("away"), StoreUnavailable("away")])

    def troubled(_: Workplace, model: str, version: int) -> object:
        for trouble in troubles:
            raise trouble
        return real(model, version)

    monkeypatch.setattr(Workplace, "predictor", troubled)
    monkeypatch.setattr("workers.retrying.FIRST_PAUSE_S", 0.0)
    jobs = inline(flights, queue)

    job = jobs.start("late", AllKeys())

    assert finished(jobs, job.id).written == 50
    assert tallies.read(flights.store) == {"precomputed": 50, "retried": 2}


@pytest.mark.parametrize("concurrency", [1, 2])
def test_celery_workers_do_jobs(flights: Flights, concurrency: int) -> None:
    """A real worker takes the tasks from a real broker, and ends with status 0 when asked to."""
    keys = flights.put(2000)
    queue = open_queue(flights.settings)
    jobs = Jobs(flights.store, flights.project, queue, chunk_keys=100, keep_s=60.0)

    with role("worker", flights.settings, concurrency) as worker:
        job = jobs.start("late", AllKeys())
        *_, last = jobs.watch(job.id, poll_s=0.02)
        status, said = worker.stop(), worker.said

    queue.close()
    assert (last.written, last.failed, last.attempts) == (2000, 0, 20)
    assert len(flights.entries(keys)) == 2000
    assert status == 0
    assert said.split("\n")[-2] == "stopped"


def test_a_worker_refreshes_what_is_served(flights: Flights) -> None:
    """Keys that cannot be computed are counted; a model that serves nothing is no trouble."""
    keys = flights.put(10)
    queue = open_queue(flights.settings)
    flights.store.call("DEL", active_key("fixed"))

    with role("worker", flights.settings):
        queue.refresh("fixed", ["EWR"])
        queue.refresh("late", [*keys, "UA99:EWR", "nonsense"])
        wait_until(lambda: len(flights.entries(keys)) == 10, message="not refreshed")
        wait_until(lambda: tallies.read(flights.store).get("failed") == 3, message="not counted")

    queue.close()
    assert tallies.read(flights.store)["refreshed"] == 10


def test_a_worker_without_redis_says_so_in_one_line(tmp_path: Path, free_port: int, flights: Flights) -> None:
    """And does not wait for ever."""
    settings = flights.settings.model_copy(update={"primary_url": f"redis://127.0.0.1:{free_port}/0"})

    with pytest.raises(StoreUnavailable, match=rf"redis://127.0.0.1:{free_port}/0"):
        run_worker(settings)
