"""Jobs in Redis: keys in compressed chunks, a bit for each chunk that is done, counters, and the first failures.

Tasks carry a job's id and a chunk's number, and the number of the leader that queued them if it was one; so a message
may be lost or delivered twice: whether a chunk is done is one bit, set by the script that counts it. Nothing of a
running job expires, because an expiry would let Redis evict it; everything of a finished one does. Nobody adds to a
job that is over, or starts one for a leader whose term is over: both are checked where they are written.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import msgspec
import orjson

from precompute.job_record import Failure, Job, Progress
from precompute.keys import JOBS, fence_key, job_key
from precompute.store import CommandFailed, Store, checked
from workers.errors import JobEnded, JobMissing
from workers.lease import LEASE

#: Failures kept by name; all are counted.
MAX_FAILURES = 1000
#: Jobs that a list shows, newest first.
MAX_LISTED = 200

_STEP = files("workers").joinpath("job_step.lua").read_text()
#: KEYS: record, progress, all jobs, last fence. ARGV: record, ms, id, fence if there is one.
_CREATE = """
if ARGV[4] and tonumber(redis.call('GET', KEYS[4]) or 0) > tonumber(ARGV[4]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'total', 0)
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[3])
return 1
"""
#: KEYS: record, progress, chunk. ARGV: packed keys, how many.
_ADD_CHUNK = """
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[2], 'finished_ms') == 1 then return 0 end
redis.call('SET', KEYS[3], ARGV[1])
redis.call('HINCRBY', KEYS[2], 'total', ARGV[2])
redis.call('HINCRBY', KEYS[2], 'chunks', 1)
return 1
"""
#: KEYS: record, progress, last fence. ARGV: now in ms, fence if there is one.
_CANCEL = """
if ARGV[2] and tonumber(redis.call('GET', KEYS[3]) or 0) > tonumber(ARGV[2]) then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HSETNX', KEYS[2], 'finished_ms', ARGV[1]) == 0 then return 0 end
return redis.call('HSET', KEYS[2], 'cancelled', 1)
"""
_STEP_SHA = hashlib.sha1(_STEP.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Part of a job, as a task finds it; `keys` is None where the list is gone.

    Attributes:
        attempts: how often it was begun, this time included.
    """

    job: Job
    number: int
    keys: list[str] | None
    attempts: int


class JobStore:
    """Reads and writes the jobs of one server."""

    def __init__(self, store: Store, keep_s: float) -> None:
        self._store = store
        self._keep_s = int(keep_s)

    def create(self, job: Job) -> None:
        """Makes a job known, without any keys yet.

        Raises:
            JobEnded: the leader that starts it leads no more.
        """
        keys = (job_key(job.id, "record"), job_key(job.id, "progress"), JOBS, fence_key(LEASE))
        fence = () if job.fence is None else (job.fence,)
        args = (msgspec.json.encode(job), job.created_ms, job.id, *fence)
        if not self._store.call("EVAL", _CREATE, len(keys), *keys, *args):
            raise JobEnded(job.id)

    def add_chunk(self, job: Job, number: int, keys: Sequence[str]) -> None:
        """Adds keys; the first chunk is number 0, and only the last may be short.

        Raises:
            JobEnded: the job is over.
        """
        packed = zlib.compress(orjson.dumps(keys), 1)
        names = [job_key(job.id, part) for part in ("record", "progress", f"chunk:{number}")]
        if not self._store.call("EVAL", _ADD_CHUNK, len(names), *names, packed, len(keys)):
            raise JobEnded(job.id)

    def refuse(self, job: Job, failures: Sequence[Failure]) -> None:
        """Counts what was listed but names no key."""
        progress, named = job_key(job.id, "progress"), job_key(job.id, "failures")
        counted = [("HINCRBY", progress, name, len(failures)) for name in ("total", "failed", "refused")]
        named_now = [("RPUSH", named, _failure(f)) for f in failures[:MAX_FAILURES]]
        self._store.atomically([*counted, *named_now, ("LTRIM", named, 0, MAX_FAILURES - 1)])

    def close_list(self, job: Job, now_ms: int) -> None:
        """All keys are listed; a job whose chunks are done by now is finished."""
        self._step(job.id, None, now_ms, [])

    def begin(self, job_id: str, number: int, now_ms: int) -> Chunk | None:
        """What a task has to do; None if the chunk is done or the job is over."""
        record, done, over, packed = self._store.run(
            [
                ("GET", job_key(job_id, "record")),
                ("GETBIT", job_key(job_id, "done"), number),
                ("HEXISTS", job_key(job_id, "progress"), "finished_ms"),
                ("GET", job_key(job_id, f"chunk:{number}")),
            ]
        )
        if checked(record) is None or checked(done) or checked(over):
            return None
        progress = job_key(job_id, "progress")
        attempts, *_ = self._store.atomically(
            [
                ("HINCRBY", job_key(job_id, "attempts"), number, 1),
                ("HINCRBY", progress, "attempts", 1),
                ("HSETNX", progress, "started_ms", now_ms),
                ("HSET", progress, "active_ms", now_ms),
            ]
        )
        job = msgspec.json.decode(record, type=Job)
        keys = None if checked(packed) is None else orjson.loads(zlib.decompress(packed))
        return Chunk(job, number, keys, attempts)

    def show_activity(self, job_id: str, now_ms: int) -> None:
        """Somebody is at work on the job; only tasks of an unfinished job may say so."""
        self._store.call("HSET", job_key(job_id, "progress"), "active_ms", now_ms)

    def finish(self, chunk: Chunk, written: int, failed: int, failures: Sequence[Failure], now_ms: int) -> bool:
        """Counts a chunk; False if another execution of the task was first."""
        args: list[int | bytes] = [chunk.number, written, failed, *map(_failure, failures[:MAX_FAILURES])]
        return self._step(chunk.job.id, chunk.number, now_ms, args) > 0

    def progress(self, job_id: str) -> Progress:
        """How far a job has come.

        Raises:
            JobMissing: no such job, or its record has expired.
        """
        (found,) = self.many([job_id])
        if found is None:
            raise JobMissing(job_id)
        return found

    def all(self) -> list[Progress]:
        """All jobs that can still be looked at, newest first; forgets the others."""
        ids = [name.decode() for name in self._store.call("ZREVRANGE", JOBS, 0, MAX_LISTED - 1)]
        found = self.many(ids)
        gone = [name for name, progress in zip(ids, found, strict=True) if progress is None]
        if gone:
            self._store.call("ZREM", JOBS, *gone)
        return [progress for progress in found if progress is not None]

    def failures(self, job_id: str) -> list[Failure]:
        """The first failures, with reasons."""
        texts = self._store.call("LRANGE", job_key(job_id, "failures"), 0, -1)
        return [Failure(*orjson.loads(text)) for text in texts]

    def undone(self, progress: Progress) -> Iterator[int]:
        """Numbers of the chunks that nobody has finished."""
        bits: bytes = self._store.call("GET", job_key(progress.job.id, "done")) or b""
        for number in range(progress.chunks):
            byte, bit = divmod(number, 8)
            if byte >= len(bits) or not bits[byte] & (0x80 >> bit):
                yield number

    def cancel(self, job_id: str, now_ms: int, fence: int | None = None) -> bool:
        """Ends a job; what a worker has in its hands is still written. Whether there was anything to end.

        Args:
            fence: of the leader that asks; once another one leads, it has no say.
        """
        names = (job_key(job_id, "record"), job_key(job_id, "progress"), fence_key(LEASE))
        if not self._store.call("EVAL", _CANCEL, len(names), *names, now_ms, *(() if fence is None else (fence,))):
            return False
        # From here on nobody adds a chunk, so these are all.
        self.abandon(self.progress(job_id))
        return True

    def abandon(self, progress: Progress) -> None:
        """Lets everything of an unfinished job expire."""
        parts = ["record", "progress", "done", "attempts", "failures"]
        parts += [f"chunk:{number}" for number in self.undone(progress)]
        self._store.run([("EXPIRE", job_key(progress.job.id, part), self._keep_s) for part in parts])

    def many(self, ids: Sequence[str]) -> list[Progress | None]:
        """How far jobs have come; None for what is not there."""
        if not ids:
            return []
        records = self._store.call("MGET", *(job_key(name, "record") for name in ids))
        counters = self._store.run([("HGETALL", job_key(name, "progress")) for name in ids])
        return [
            None if record is None else Progress.of(msgspec.json.decode(record, type=Job), _integers(checked(flat)))
            for record, flat in zip(records, counters, strict=True)
        ]

    def _step(self, job_id: str, number: int | None, now_ms: int, args: list[int | bytes]) -> int:
        parts = ["progress", "done", "failures", "record", "attempts"]
        if number is not None:
            parts.append(f"chunk:{number}")
        keys = [job_key(job_id, part) for part in parts]
        rest = (len(keys), *keys, now_ms, self._keep_s, MAX_FAILURES, *args)
        reply = self._store.run([("EVALSHA", _STEP_SHA, *rest)])[0]
        if isinstance(reply, CommandFailed) and str(reply).startswith("NOSCRIPT"):
            reply = self._store.call("EVAL", _STEP, *rest)
        return int(checked(reply))


def _failure(failure: Failure) -> bytes:
    return orjson.dumps([failure.key, failure.reason])


def _integers(flat: Sequence[bytes]) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
