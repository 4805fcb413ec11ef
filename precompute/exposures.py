"""Exposures: who was answered by which arm of an experiment, and how; one record in a stream for each answer.

A record has one field, `e`: a JSON array of the attributes of `Exposure` in their order, which takes a third of the
time and the room of fields with names. Besides, answers are counted by arm and tier, sampled or not, so that totals
outlive the records, of which the oldest make room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from precompute.keys import answers_key, exposures_key
from precompute.store import Store, checked
from precompute.updates import Command, Reply

#: Records of one read.
PAGE = 5_000
#: What nobody adds to for so long is forgotten. It has an expiry besides, so that a server which is full gives it up
#: rather than features; while an experiment runs its stream is used too often to be chosen.
KEEP_S = 90 * 86_400
#: What stands in front of the tier of answers that somebody has asked for by name.
_OVERRIDE = "override:"
#: Counts records beside the answers; those that are no longer in the stream have made room.
_RECORDS = "records"


_FIELD = b"e"


class Exposure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One answer.

    Attributes:
        at_ms: when, by the clock of the edge.
        took_us: from the request to the answer, in µs.
        plan: `Experiment.fingerprint` of how units were assigned then.
        override: whether somebody had asked for this arm.
    """

    at_ms: int
    arm: str
    unit: str
    key: str
    version: int
    tier: str
    took_us: int
    plan: str
    override: bool = False


_ENCODE = msgspec.json.Encoder().encode
_DECODER = msgspec.json.Decoder(Exposure)

#: What is counted of an answer: its arm, its tier, and whether somebody had asked for the arm.
Counted = tuple[str, str, bool]


def record_command(experiment: str, exposure: Exposure, kept: int) -> Command:
    """Stores one record; at least `kept` records stay."""
    return ("XADD", exposures_key(experiment), "MAXLEN", "~", kept, "*", _FIELD, _ENCODE(exposure))


def count_commands(experiment: str, answers: Mapping[Counted, int], records: int) -> list[Command]:
    """Counts answers, and how many records were stored."""
    totals = answers_key(experiment)
    counts = {f"{arm}:{_OVERRIDE if override else ''}{tier}": n for (arm, tier, override), n in answers.items()}
    commands: list[Command] = [("HINCRBY", totals, name, n) for name, n in {**counts, _RECORDS: records}.items() if n]
    return [*commands, ("EXPIRE", totals, KEEP_S), ("EXPIRE", exposures_key(experiment), KEEP_S)]


class Answers(msgspec.Struct, frozen=True):
    """All answers of an experiment, sampled or not.

    Attributes:
        by_arm: by arm and tier; not those that were asked for.
        overrides: those, by arm.
        records: how many were recorded, those that have made room included.
    """

    by_arm: Mapping[tuple[str, str], int]
    overrides: Mapping[str, int]
    records: int


def answers_command(experiment: str) -> Command:
    """Asks for what `parse_answers` reads."""
    return ("HGETALL", answers_key(experiment))


def read_answers(store: Store, experiment: str) -> Answers:
    """What has been counted. Raises StoreUnavailable."""
    return parse_answers(store.call(*answers_command(experiment)))


def parse_answers(reply: Reply) -> Answers:
    """What has been counted, from the reply to `answers_command`."""
    flat = checked(reply)
    by_arm: dict[tuple[str, str], int] = {}
    overrides: Counter[str] = Counter()
    records = 0
    for name, count in zip(flat[::2], flat[1::2], strict=True):
        arm, _, tier = name.decode().partition(":")
        if not tier:
            records = int(count)
        elif tier.startswith(_OVERRIDE):
            overrides[arm] += int(count)
        else:
            by_arm[arm, tier] = int(count)
    return Answers(by_arm, overrides, records)


def read_exposures(store: Store, experiment: str) -> Iterator[Exposure]:
    """All records that are kept, oldest first, page by page. Raises StoreUnavailable."""
    after = b"-"
    while True:
        page = checked(store.run([("XRANGE", exposures_key(experiment), after, "+", "COUNT", PAGE)])[0])
        yield from parse_exposures(page)
        if len(page) < PAGE:
            return
        after = b"(" + page[-1][0]


def latest_command(experiment: str, before: str, count: int) -> Command:
    """Asks for the latest records before an id (`+`: of all), newest first."""
    return ("XREVRANGE", exposures_key(experiment), before, "-", "COUNT", count)


def parse_exposures(page: Iterable[Reply]) -> Iterator[Exposure]:
    """Records as a stream has them."""
    for _, flat in page:
        try:
            yield _DECODER.decode(dict(zip(flat[::2], flat[1::2], strict=True))[_FIELD])
        except (KeyError, msgspec.MsgspecError):
            # Not one of ours; whoever put it there has cost nobody else a report.
            continue
