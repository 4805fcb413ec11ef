"""Exposures: who was answered by which arm of an experiment, and how; one record in a stream for each answer.

All records have the same fields, which Redis then stores once for many. Besides, answers are counted by arm and tier,
sampled or not, so that totals outlive the records, of which the oldest make room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

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


class Exposure(msgspec.Struct, frozen=True):
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


def write_commands(
    experiment: str, exposures: Sequence[Exposure], unrecorded: Counter[str], kept: int
) -> list[Command]:
    """Stores records of one experiment and counts its answers.

    Args:
        unrecorded: answers that are only counted, by `answer_name`.
        kept: how many records at least stay.
    """
    stream = exposures_key(experiment)
    commands: list[Command] = [
        (
            "XADD", stream, "MAXLEN", "~", kept, "*",
            "at", e.at_ms, "arm", e.arm, "unit", e.unit, "key", e.key, "version", e.version,
            "tier", e.tier, "us", e.took_us, "plan", e.plan, "override", int(e.override),
        )
        for e in exposures
    ]  # fmt: skip
    counts = unrecorded + Counter(answer_name(e.arm, e.tier, override=e.override) for e in exposures)
    counts[_RECORDS] = len(exposures)
    totals = answers_key(experiment)
    commands += [("HINCRBY", totals, name, count) for name, count in counts.items() if count]
    return [*commands, ("EXPIRE", stream, KEEP_S), ("EXPIRE", totals, KEEP_S)]


def answer_name(arm: str, tier: str, *, override: bool) -> str:
    """Under which name an answer is counted."""
    return f"{arm}:{_OVERRIDE if override else ''}{tier}"


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


def read_answers(store: Store, experiment: str) -> Answers:
    """What has been counted. Raises StoreUnavailable."""
    flat = store.call("HGETALL", answers_key(experiment))
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
        yield from _decoded(page)
        if len(page) < PAGE:
            return
        after = b"(" + page[-1][0]


def _decoded(page: Iterable[Reply]) -> Iterator[Exposure]:
    for _, flat in page:
        of = dict(zip(flat[::2], flat[1::2], strict=True))
        yield Exposure(
            int(of[b"at"]),
            of[b"arm"].decode(),
            of[b"unit"].decode(),
            of[b"key"].decode(),
            int(of[b"version"]),
            of[b"tier"].decode(),
            int(of[b"us"]),
            of[b"plan"].decode(),
            of[b"override"] == b"1",
        )
