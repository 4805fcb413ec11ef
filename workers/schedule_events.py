"""What declared jobs run on besides the clock: publishes, and changed views, read from logs of the primary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from precompute.keys import REGISTRY_LOG, log_key
from precompute.schedules import OnPublish, OnViewUpdate, Schedule
from precompute.store import Store, checked
from precompute.updates import Command, LogState, Reply, change_id, stream_id

#: Registry records of one look; the others follow with the next.
READ_RECORDS = 100


@dataclass(frozen=True, slots=True)
class Event:
    """Something in a log that a job runs on; `version` and `variant` for a publish."""

    id: int
    version: int | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a log holds after a job's cursor; `read_to` is how far it was read."""

    events: Sequence[Event] = ()
    read_to: int = 0


def read_events(store: Store, cursors: Sequence[tuple[Schedule, int]]) -> dict[str, Seen]:
    """What has happened for each job that runs on events, by name. Raises StoreUnavailable."""
    asked = [(schedule, cursor) for schedule, cursor in cursors if not schedule.timed]
    replies = store.run([_command(schedule, cursor) for schedule, cursor in asked]) if asked else []
    return {
        schedule.name: _seen(schedule, cursor, reply) for (schedule, cursor), reply in zip(asked, replies, strict=True)
    }


def _command(schedule: Schedule, cursor: int) -> Command:
    if isinstance(schedule.when, OnViewUpdate):
        return ("XINFO", "STREAM", log_key(schedule.when.view))
    return ("XRANGE", REGISTRY_LOG, f"({stream_id(cursor)}", "+", "COUNT", READ_RECORDS)


def _seen(schedule: Schedule, cursor: int, reply: Reply) -> Seen:
    if isinstance(schedule.when, OnPublish):
        records = [(change_id(name), _fields(flat)) for name, flat in checked(reply)]
        found = [_publish(at, fields) for at, fields in records if _concerns(schedule, fields)]
        return Seen(found, records[-1][0] if records else 0)
    last = LogState.parse(reply).last
    return Seen([Event(last)] if last > cursor else [])


def _concerns(schedule: Schedule, fields: Mapping[str, str]) -> bool:
    return (
        fields.get("event") == "publish"
        and fields.get("model") == schedule.model
        and fields.get("variant") in schedule.variants
    )


def _publish(at: int, fields: Mapping[str, str]) -> Event:
    return Event(at, int(fields["version"]), fields["variant"])


def _fields(flat: Sequence[bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
