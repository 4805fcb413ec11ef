"""Tests of what an answer is worth."""

from __future__ import annotations

import pytest

from deploy.audit.verdict import Answer, Change, Evidence, Finding, Outputs, Verdict, is_settled, judge

AS_OF = 1_000_000
ASKED = AS_OF + 60_000
OLD: Outputs = {"late": 0.2}
NEW: Outputs = {"late": 0.7}


def fresh(outputs: Outputs = OLD, *, as_of_ms: int = AS_OF) -> Answer:
    """An answer presented as fresh."""
    return Answer(200, 1, outputs, False, as_of_ms, as_of_ms + 1)


def stale(outputs: Outputs = OLD) -> Answer:
    """An answer that says that it is stale."""
    return Answer(200, 1, outputs, True, AS_OF, AS_OF + 1)


def judged(
    answer: Answer,
    *changes: Change,
    before: Outputs = NEW,
    after: Outputs = NEW,
    history_ms: int = 0,
) -> Finding:
    """The finding on an answer, the model allowing a lag of ten seconds."""
    return judge(
        Evidence(
            answer=answer,
            asked_ms=ASKED,
            before=before,
            after=after,
            changes=changes,
            max_lag_ms=10_000,
            history_ms=history_ms,
        )
    )


def test_outputs_as_before_the_request_are_correct() -> None:
    """Bit for bit what the primary's rows gave, however old the answer is."""
    found = judged(fresh(NEW), Change(AS_OF + 5), after={"late": 0.9})

    assert found == Finding(Verdict.CORRECT)


def test_outputs_as_after_the_answer_are_correct() -> None:
    """A change during the request counts for the edge."""
    assert judged(fresh(NEW), before=OLD).verdict is Verdict.CORRECT


def test_a_change_within_the_allowed_lag_is_on_its_way() -> None:
    """The answer is out of date, and the policy allows for that."""
    assert judged(fresh(), Change(ASKED - 10_000)) == Finding(Verdict.IN_FLIGHT, 10_000)


def test_a_change_before_the_allowed_lag_makes_the_answer_falsely_fresh() -> None:
    """What a row had become before the request began, less the lag, had to be known."""
    assert judged(fresh(), Change(ASKED - 10_001)) == Finding(Verdict.FALSELY_FRESH, 10_001)


def test_the_oldest_unknown_change_decides() -> None:
    """A row that changes all the time does not hide that an edge has slept through the first of its changes."""
    changes = Change(ASKED - 30_000), Change(ASKED - 2)

    assert judged(fresh(), *changes) == Finding(Verdict.FALSELY_FRESH, 30_000)


def test_a_change_that_the_answer_knows_of_does_not_count() -> None:
    """Only what came after its as-of can be news to it."""
    changes = Change(AS_OF - 1), Change(AS_OF), Change(ASKED - 3)

    assert judged(fresh(), *changes) == Finding(Verdict.IN_FLIGHT, 3)


def test_a_change_in_the_millisecond_of_the_as_of_counts_if_nothing_else_explains_the_answer() -> None:
    """Bodies carry milliseconds, and two changes may share one."""
    assert judged(fresh(), Change(AS_OF)) == Finding(Verdict.FALSELY_FRESH, 60_000)


def test_a_change_after_the_request_began_is_on_its_way() -> None:
    """Rows may change twice during a request, so that the answer fits neither look."""
    assert judged(fresh(), Change(ASKED + 4), before={"late": 0.1}) == Finding(Verdict.IN_FLIGHT, 0)


def test_rounding_without_a_change_is_correct() -> None:
    """A batch of another size may sum in another order."""
    answer = fresh({"late": 0.7000001, "scores": [0.1, 2], "label": "yes"})

    found = judged(answer, before={"late": 0.7, "scores": [0.1, 2.0], "label": "yes"})

    assert found.verdict is Verdict.CORRECT


@pytest.mark.parametrize("outputs", [{"late": 0.70001, "x": 1.0}, {"late": "0.7"}, {"late": [0.7]}, {"late": 0.71}])
def test_other_outputs_without_a_change_are_wrong(outputs: Outputs) -> None:
    """A prediction of another key, version or code is no matter of time."""
    assert judged(fresh(outputs)).verdict is Verdict.WRONG


def test_rounding_does_not_excuse_an_unknown_change() -> None:
    """That the change moved the outputs by little only makes it hard to see."""
    found = judged(fresh({"late": 0.7000001}), Change(ASKED - 20_000))

    assert found.verdict is Verdict.FALSELY_FRESH


def test_a_row_of_a_history_that_is_gone_is_on_its_way_out() -> None:
    """A primary that comes back without its last records leaves edges with values that it never had."""
    assert judged(fresh(), history_ms=ASKED - 500) == Finding(Verdict.IN_FLIGHT, 500)
    assert judged(fresh(), history_ms=ASKED - 10_001).verdict is Verdict.WRONG


def test_an_answer_that_says_so_is_honestly_stale() -> None:
    """It counts since when, if that is known."""
    assert judged(stale(), Change(ASKED - 20_000)) == Finding(Verdict.STALE, 20_000)
    assert judged(stale(NEW)) == Finding(Verdict.STALE)


def test_a_default_is_honestly_stale() -> None:
    """It claims to know of nothing."""
    assert judged(Answer(200, 1, {"late": 0.5}, True)) == Finding(Verdict.STALE)


def test_a_fresh_answer_from_a_deleted_row_is_falsely_fresh() -> None:
    """Deleting is a change like any other."""
    found = judged(fresh(), Change(ASKED - 11_000, deleted=True), before=None, after=None)

    assert found == Finding(Verdict.FALSELY_FRESH, 11_000)


def test_a_stale_answer_from_a_deleted_row_has_not_been_forgotten() -> None:
    """Somebody may have asked to be; being honest about the age does not help."""
    long_ago, just_now = Change(ASKED - 11_000, deleted=True), Change(ASKED - 100, deleted=True)

    assert judged(stale(), long_ago, before=None, after=None) == Finding(Verdict.NOT_FORGOTTEN, 11_000)
    assert judged(stale(), just_now, before=None, after=None) == Finding(Verdict.STALE, 100)


def test_a_refusal_is_correct_where_nothing_can_be_computed() -> None:
    """A key without its rows has no prediction."""
    assert judged(Answer(404), before=None, after=None).verdict is Verdict.CORRECT
    assert judged(Answer(404), before=None).verdict is Verdict.CORRECT


@pytest.mark.parametrize("status", [0, 404, 503])
def test_no_answer_is_unavailable(status: int) -> None:
    """The audit is about answers, and counts where there are none."""
    assert judged(Answer(status)).verdict is Verdict.UNAVAILABLE


def test_an_outage_is_unavailable_even_where_nothing_can_be_computed() -> None:
    """Only a refusal speaks about the key."""
    assert judged(Answer(503), before=None, after=None).verdict is Verdict.UNAVAILABLE


def test_only_an_answer_that_differs_needs_the_logs() -> None:
    """Reading them costs the primary something."""
    assert is_settled(fresh(NEW), NEW, OLD)
    assert is_settled(Answer(503), NEW)
    assert is_settled(Answer(200, 1, {"late": 0.5}, True), NEW)
    assert not is_settled(fresh(OLD), NEW, NEW)
    assert not is_settled(stale(OLD), NEW, NEW)
