"""A worker is killed in the middle of a large job."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest

from deploy.local.redis_pair import RedisPair
from precompute import manifest
from precompute.features import Features, Row
from precompute.keys import entry_prefix
from precompute.registry import Registry
from precompute.settings import Settings
from precompute.store import Store
from tests import onnx_models
from tests.processes import is_gone
from tests.roles import role
from tests.waiting import wait_until
from workers import tallies
from workers.jobs import Jobs
from workers.key_sources import AllKeys
from workers.task_queue import CeleryQueue, open_queue

pytestmark = pytest.mark.faults

KEYS = 500_000
MANIFEST = """
[project]
name = "users"
[views.user.fields]
x = "float32[32]"
[models.score]
key = ["user"]
inputs = { x = "user.x" }
"""


class Stage:
    """Half a million rows, a published model, and what starts jobs."""

    def __init__(self, directory: Path, primary_url: str) -> None:
        path = directory / "nearcast.toml"
        path.write_text(MANIFEST)
        self.settings = Settings(project=path, primary_url=primary_url)
        self.store = Store(primary_url)
        self.project = manifest.load(path)
        self.queue: CeleryQueue = open_queue(self.settings)
        self.jobs = Jobs(self.store, self.project, self.queue, chunk_keys=self.settings.chunk_keys, keep_s=600.0)
        Registry(self.store, self.project).publish("score", "default", onnx_models.mlp(), now_ms=1)

    def put_rows(self, count: int) -> None:
        features = Features(self.store, self.project)
        values = np.random.default_rng(0).normal(size=(1000, 32)).astype(np.float32)
        for at in range(0, count, 5000):
            features.put("user", [Row(f"u{i}", {"x": values[i % 1000]}, 1) for i in range(at, min(at + 5000, count))])

    def entries(self) -> int:
        """How many predictions there are, by walking over all of Redis' keys."""
        found: set[bytes] = set()
        cursor = b"0"
        while True:
            cursor, names = self.store.call("SCAN", cursor, "MATCH", entry_prefix("score", 1) + "*", "COUNT", 10_000)
            found.update(names)
            if cursor == b"0":
                return len(found)

    def done(self, job_id: str) -> int:
        return self.jobs.progress(job_id).done

    def close(self) -> None:
        self.queue.close()
        self.store.close()


@pytest.fixture
def stage(tmp_path: Path, clean_redis: RedisPair) -> Iterator[Stage]:
    """The stage, without rows."""
    built = Stage(tmp_path, clean_redis.primary_url)
    yield built
    built.close()


def test_another_worker_completes_the_job_of_a_killed_one(stage: Stage) -> None:
    """Every key of 500,000 is written, and nothing that was done is done again but the chunks at hand."""
    stage.put_rows(KEYS)
    with role("worker", stage.settings) as first:
        job = stage.jobs.start("score", AllKeys())
        wait_until(lambda: stage.done(job.id) > KEYS // 20, 60.0, "the first worker does not get going")
        first.process.kill()
        first.process.wait()
    before = stage.jobs.progress(job.id)

    with role("worker", stage.settings):
        seen = list(stage.jobs.watch(job.id, poll_s=0.1, stall_s=2.0))

    last = seen[-1]
    assert KEYS // 20 < before.done < KEYS
    assert all(p.done >= before.done for p in seen)
    assert (last.total, last.written, last.failed) == (KEYS, KEYS, 0)
    assert stage.entries() == KEYS
    assert last.attempts - last.chunks <= 2
    # Counted for people, and behind the chunk: who is killed in between takes one chunk's figure along.
    assert last.total / last.chunks >= KEYS - tallies.read(stage.store)["precomputed"] >= 0


def test_the_scheduler_completes_a_job_that_nobody_watches(stage: Stage) -> None:
    """It notices that the job stands still, and queues what the killed worker had in its hands."""
    stage.put_rows(50_000)
    with role("worker", stage.settings) as first:
        job = stage.jobs.start("score", AllKeys())
        wait_until(lambda: stage.done(job.id) > 0, 30.0)
        first.process.kill()
        first.process.wait()

    with role("worker", stage.settings), role("scheduler", stage.settings):
        wait_until(lambda: stage.jobs.progress(job.id).finished_ms, 40.0, "the job is never finished")

    assert stage.jobs.progress(job.id).written == 50_000


def test_the_pool_of_a_killed_worker_ends_with_it(stage: Stage) -> None:
    """Processes without a parent would go on computing for nobody."""
    stage.put_rows(10_000)
    with role("worker", stage.settings, 2) as worker:
        job = stage.jobs.start("score", AllKeys())
        *_, last = stage.jobs.watch(job.id, poll_s=0.05)
        children = [child.pid for child in psutil.Process(worker.process.pid).children()]
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait()

        wait_until(lambda: all(is_gone(pid) for pid in children), 10.0, "a pool process lives on")

    assert last.written == 10_000
    assert len(children) >= 2


def written_after_a_restart(directory: Path, pair: RedisPair) -> int:
    """What a job writes for 5,000 rows, once the primary is back without what it had."""
    pair.restart_primary()
    with closing(Stage(directory, pair.primary_url)) as stage:
        stage.put_rows(5000)
        *_, last = stage.jobs.watch(stage.jobs.start("score", AllKeys()).id, poll_s=0.1)
    return last.written


@pytest.mark.parametrize("processes", [1, 2])
def test_a_worker_that_gave_up_its_task_takes_tasks_again(
    tmp_path: Path, own_redis_pair: RedisPair, processes: int
) -> None:
    """It cannot even acknowledge what it had, and notices thereby that it has to connect anew."""
    with (
        closing(Stage(tmp_path, own_redis_pair.primary_url)) as stage,
        role("worker", stage.settings, processes) as worker,
    ):
        stage.put_rows(200_000)
        job = stage.jobs.start("score", AllKeys())
        wait_until(lambda: stage.done(job.id) > 0, 30.0)
        # Asked to end, it takes up to a second, in which two processes complete most of the job.
        own_redis_pair.primary.process.kill()
        wait_until(lambda: "undone" in worker.said and "Connection to broker lost" in worker.said, 30.0)
        written = written_after_a_restart(tmp_path, own_redis_pair)
        said = worker.said

    assert written == 5000
    assert "Traceback" not in said


def test_a_worker_takes_tasks_again_when_its_redis_is_back(tmp_path: Path, own_redis_pair: RedisPair) -> None:
    """It reconnects to the broker and to the store, and what is queued from then on is done."""
    with (
        closing(Stage(tmp_path, own_redis_pair.primary_url)) as stage,
        role("worker", stage.settings) as worker,
    ):
        own_redis_pair.primary.stop()
        wait_until(lambda: "Connection to broker lost" in worker.said, 20.0)
        written = written_after_a_restart(tmp_path, own_redis_pair)
        said = worker.said

    assert written == 5000
    assert "Traceback" not in said
