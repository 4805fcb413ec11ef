"""Declared jobs: those of the project file, those added by command, and which of them are paused. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from precompute.errors import ManifestError
from precompute.keys import PAUSES, SCHEDULES
from precompute.manifest import Project, parse_job
from precompute.schedules import Schedule
from precompute.store import checked
from precompute.updates import Command, Reply

#: Asks for what `declarations` reads.
COMMANDS: tuple[Command, Command] = (("HGETALL", SCHEDULES), ("HGETALL", PAUSES))


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared job and what is known about it.

    Attributes:
        since_ms: fires before this are none of its; 0 where nobody has said.
    """

    schedule: Schedule
    origin: Literal["manifest", "command"]
    paused: bool = False
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class Declarations:
    """All declared jobs by name; `broken` ones, with the reason, no longer fit the project."""

    jobs: Mapping[str, Declared]
    broken: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Added:
    """What `jobs:schedules` holds of one job."""

    table: dict[str, Any]
    added_ms: int


@dataclass(frozen=True, slots=True)
class Pause:
    """What `jobs:pauses` holds of one job: the latest change."""

    paused: bool
    at_ms: int


def declarations(project: Project, added: Reply, pauses: Reply) -> Declarations:
    """Everything that is declared, from the replies to `COMMANDS`; the project file comes first."""
    paused = {name: msgspec.json.decode(raw, type=Pause) for name, raw in _pairs(checked(pauses))}
    jobs = {name: _declared(schedule, "manifest", 0, paused) for name, schedule in project.jobs.items()}
    broken: dict[str, str] = {}
    for name, raw in sorted(_pairs(checked(added))):
        if name in jobs:
            continue
        stored = msgspec.json.decode(raw, type=Added)
        try:
            schedule = parse_job(project, name, stored.table, "command")
        except ManifestError as error:
            broken[name] = "; ".join(problem.message for problem in error.problems)
        else:
            jobs[name] = _declared(schedule, "command", stored.added_ms, paused)
    return Declarations(jobs, broken)


def _declared(
    schedule: Schedule, origin: Literal["manifest", "command"], added_ms: int, pauses: Mapping[str, Pause]
) -> Declared:
    pause = pauses.get(schedule.name)
    if pause is None:
        return Declared(schedule, origin, since_ms=added_ms)
    return Declared(schedule, origin, pause.paused, added_ms if pause.paused else max(added_ms, pause.at_ms))


def _pairs(flat: Sequence[bytes]) -> list[tuple[str, bytes]]:
    return [(name.decode(), value) for name, value in zip(flat[::2], flat[1::2], strict=True)]
