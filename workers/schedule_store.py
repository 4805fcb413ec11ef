"""Declared jobs: those of the project file, those added by command, and which of them are paused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from precompute.declared_jobs import COMMANDS, Added, Declarations, Declared, Pause, declarations
from precompute.errors import PermanentError, UnknownJob
from precompute.keys import PAUSES, SCHEDULES, schedule_key
from precompute.manifest import Project, parse_job
from precompute.models import Model
from precompute.store import Store
from workers.chunks import now_ms
from workers.errors import JobRefused
from workers.key_listing import pack_keys

#: Keys that a job added by command may bring along; they are kept in Redis.
MAX_KEYS = 1_000_000
#: Wrong keys that a refusal names.
_NAMED = 3


class ScheduleStore:
    """Reads and changes the declared jobs of one server and project."""

    def __init__(self, store: Store, project: Project, clock_ms: Callable[[], int] = now_ms) -> None:
        self._store = store
        self._project = project
        self._clock_ms = clock_ms

    def all(self) -> Declarations:
        """Everything that is declared; the project file comes first. Raises StoreUnavailable."""
        return declarations(self._project, *self._store.run(COMMANDS))

    def get(self, name: str) -> Declared:
        """One job.

        Raises:
            UnknownJob: its text lists what is declared.
            JobRefused: it no longer fits the project.
        """
        found = self.all()
        if name in found.broken:
            raise JobRefused(f"declared job {name!r} no longer fits the project: {found.broken[name]}")
        if name not in found.jobs:
            raise UnknownJob(name, sorted({*found.jobs, *found.broken}))
        return found.jobs[name]

    def add(self, name: str, table: Mapping[str, Any], keys: Sequence[str] = (), *, replace: bool = False) -> Declared:
        """Declares a job, once all of it is right.

        Args:
            table: as in `[jobs.NAME]`.
            keys: what the key file that it names holds.
            replace: whether it may take the place of one that was added before.

        Raises:
            ManifestError: every mistake in it.
            JobRefused: the name is taken, or the keys are wrong.
        """
        if name in self._project.jobs:
            raise JobRefused(f"job {name!r} is declared in the project file; change it there")
        schedule = parse_job(self._project, name, table, "jobs add")
        if "keys" in schedule.keys:
            _check_keys(self._project.model(schedule.model), keys)
        now = self._clock_ms()
        raw = msgspec.json.encode(Added(dict(table), now))
        if not replace and self._store.call("HEXISTS", SCHEDULES, name):
            raise JobRefused(f"job {name!r} exists already; remove it first, or say --replace")
        packed = ("SET", schedule_key(name, "keys"), pack_keys(keys)) if keys else ("DEL", schedule_key(name, "keys"))
        self._store.atomically([packed, ("HSET", SCHEDULES, name, raw)])
        return Declared(schedule, "command", since_ms=now)

    def remove(self, name: str) -> None:
        """Forgets a job and its history; a run at work goes on.

        Raises:
            UnknownJob: there is none.
            JobRefused: it is declared in the project file.
        """
        if name in self._project.jobs:
            raise JobRefused(f"job {name!r} is declared in the project file; remove it there, or pause it")
        if not self._store.call("HEXISTS", SCHEDULES, name):
            found = self.all()
            raise UnknownJob(name, sorted({*found.jobs, *found.broken}))
        parts = [schedule_key(name, part) for part in ("ledger", "past", "keys")]
        self._store.atomically([("HDEL", SCHEDULES, name), ("HDEL", PAUSES, name), ("DEL", *parts)])

    def pause(self, name: str) -> None:
        """No run of it begins from now on; one at work goes on. Raises UnknownJob, JobRefused."""
        self._set_paused(name, paused=True)

    def resume(self, name: str) -> None:
        """Runs begin again; what was due in between is not made up for. Raises UnknownJob, JobRefused."""
        self._set_paused(name, paused=False)

    def _set_paused(self, name: str, *, paused: bool) -> None:
        if self.get(name).paused != paused:
            self._store.call("HSET", PAUSES, name, msgspec.json.encode(Pause(paused, self._clock_ms())))


def _check_keys(model: Model, keys: Sequence[str]) -> None:
    if not keys:
        raise JobRefused("the key file names no keys")
    if len(keys) > MAX_KEYS:
        raise JobRefused(f"the key file names {len(keys):,} keys; a job added by command keeps {MAX_KEYS:,} at most")
    wrong = []
    for key in keys:
        try:
            model.parse_key(key)
        except PermanentError as error:
            wrong.append(str(error))
    if wrong:
        more = f"; and {len(wrong) - _NAMED:,} more" if len(wrong) > _NAMED else ""
        raise JobRefused(f"{len(wrong):,} of {len(keys):,} keys are wrong: {'; '.join(wrong[:_NAMED])}{more}")
