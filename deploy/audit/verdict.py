"""What one observed answer was worth. Pure.

An answer that says of itself that it is stale is honest. One presented as fresh is right if its outputs are those that
the primary's rows give, before or after it was asked for. If not, something must have changed that it does not know
of. Every body carries its as-of: the newest id of any log when its rows were read. A change with a later id was
therefore unknown to it, and one with an earlier id was not. The oldest change that it did not know of says for how
long it has been out of date: within the lag that the model's policy allows it was on its way, beyond that the answer
was *falsely fresh*.

Times are those of the primary's clock, which also gives out the ids of changes.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Batches of other sizes may sum in another order, so that outputs of the same rows differ in their last digits.
_RELATIVE = 1e-4
_ABSOLUTE = 1e-6

#: Outputs by name as parsed from JSON; None where the prediction cannot be computed.
Outputs = Mapping[str, object] | None


class Verdict(enum.StrEnum):
    """What an answer was worth; `VIOLATIONS` are those that must never be."""

    CORRECT = "correct"
    #: Out of date, for no longer than the model's `max_lag_s`.
    IN_FLIGHT = "in_flight"
    #: Says so.
    STALE = "honestly_stale"
    UNAVAILABLE = "unavailable"
    #: The primary could not be asked, or its history changed meanwhile.
    UNJUDGED = "unjudged"
    FALSELY_FRESH = "falsely_fresh"
    #: Not what the rows give, and no change explains it.
    WRONG = "wrong"
    #: Served, if only as stale, although a row behind it has been deleted.
    NOT_FORGOTTEN = "not_forgotten"


VIOLATIONS = (Verdict.FALSELY_FRESH, Verdict.WRONG, Verdict.NOT_FORGOTTEN)
#: Answers presented as fresh: what consistency is a share of.
FRESH = (Verdict.CORRECT, Verdict.IN_FLIGHT, Verdict.FALSELY_FRESH, Verdict.WRONG)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an edge said.

    Attributes:
        status: of HTTP; 0 if there was no answer.
        as_of_ms: what it claims to know of; None for a default or an error.
    """

    status: int
    version: int = 0
    outputs: Outputs = None
    stale: bool = False
    as_of_ms: int | None = None
    computed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A row behind the key changed, or was deleted."""

    ms: int
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that an answer is judged by.

    Attributes:
        asked_ms: not later than the moment the request began.
        before: what the primary's rows gave before the request.
        after: what they gave after the answer.
        changes: of the rows behind the key, up to a moment after the answer.
        max_lag_ms: for how long a change may be on its way.
        history_ms: when the primary's history is known to have begun; 0 if before the audit.
    """

    answer: Answer
    asked_ms: int
    before: Outputs
    after: Outputs
    changes: Sequence[Change] = ()
    max_lag_ms: int
    history_ms: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and for how long the answer had been out of date, in ms; None if it was not, or nobody knows."""

    verdict: Verdict
    behind_ms: int | None = None


def is_settled(answer: Answer, *truths: Outputs) -> bool:
    """Whether an answer needs no look at what has changed."""
    return answer.status != 200 or answer.as_of_ms is None or any(answer.outputs == truth for truth in truths)


def judge(evidence: Evidence) -> Finding:
    """The verdict on one answer."""
    answer = evidence.answer
    if answer.status != 200:
        refused = 400 <= answer.status < 500 and (evidence.before is None or evidence.after is None)
        return Finding(Verdict.CORRECT if refused else Verdict.UNAVAILABLE)
    if answer.stale:
        return _judge_stale(evidence)
    if answer.outputs in (evidence.before, evidence.after):
        return Finding(Verdict.CORRECT)
    return _judge_different(evidence)


def _judge_stale(evidence: Evidence) -> Finding:
    unknown = _unknown(evidence)
    behind_ms = _behind_ms(evidence, unknown)
    deleted = _behind_ms(evidence, [change for change in unknown if change.deleted])
    if deleted is not None and deleted > evidence.max_lag_ms:
        return Finding(Verdict.NOT_FORGOTTEN, deleted)
    return Finding(Verdict.STALE, behind_ms)


def _judge_different(evidence: Evidence) -> Finding:
    unknown = _unknown(evidence)
    if not unknown:
        if _close(evidence.answer.outputs, evidence.before) or _close(evidence.answer.outputs, evidence.after):
            return Finding(Verdict.CORRECT)
        # In the millisecond of its as-of: some of these it knew of, and at least one it did not.
        unknown = [change for change in evidence.changes if change.ms == evidence.answer.as_of_ms]
    behind_ms = _behind_ms(evidence, unknown)
    if behind_ms is not None:
        late = behind_ms > evidence.max_lag_ms
        return Finding(Verdict.FALSELY_FRESH if late else Verdict.IN_FLIGHT, behind_ms)
    # A primary that has come back without its last records: for a while edges know of rows that it does not.
    age_ms = evidence.asked_ms - evidence.history_ms
    return Finding(Verdict.IN_FLIGHT, max(0, age_ms)) if age_ms <= evidence.max_lag_ms else Finding(Verdict.WRONG)


def _unknown(evidence: Evidence) -> list[Change]:
    as_of_ms = evidence.answer.as_of_ms
    return [] if as_of_ms is None else [change for change in evidence.changes if change.ms > as_of_ms]


def _behind_ms(evidence: Evidence, changes: Sequence[Change]) -> int | None:
    """Since the oldest of the changes; 0 if the request began before it."""
    return max(0, evidence.asked_ms - min(change.ms for change in changes)) if changes else None


def _close(one: object, other: object) -> bool:
    """Whether two JSON values differ by rounding only."""
    if isinstance(one, float) or isinstance(other, float):
        return (
            isinstance(one, float | int)
            and isinstance(other, float | int)
            and math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
        )
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_close(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    return one == other
