import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from deploy.demo import tables
from deploy.demo.encodings import late
from deploy.demo.features import FEATURES
from deploy.demo.moments import moments, scored
from deploy.demo.scores import auc, base_log_loss, log_loss
from precompute.runtime import Session

DEMO = Path(tables.__file__).parent
VARIANTS = ("fast", "default", "accurate")
#: What knowing the carrier, the destination, the number or the hour alone would not reach.
GAIN = 0.05


@pytest.fixture(scope="module")
def sessions():
    """The three files, loaded."""
    return {name: Session.load((DEMO / "models" / f"{name}.onnx").read_bytes()) for name in VARIANTS}


def ask(session, matrix):
    """The probability of being late."""
    return session.run({"features": matrix})["probabilities"][:, 1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_onnx_answers_as_scikit_learn_did(sessions, variant):
    """The files reproduce the models that were trained, missing values included."""
    reference = pq.read_table(DEMO / "data" / "reference.parquet")
    matrix = np.column_stack([reference[name].to_numpy() for name in FEATURES])

    answer = ask(sessions[variant], matrix)

    np.testing.assert_allclose(answer, reference[variant].to_numpy(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_answer_does_not_depend_on_its_batch(sessions, variant):
    """The same row gives the same bits alone, among a few and among many."""
    reference = pq.read_table(DEMO / "data" / "reference.parquet")
    matrix = np.column_stack([reference[name].to_numpy() for name in FEATURES])

    together = ask(sessions[variant], matrix)

    for size in (1, 7, 64):
        parts = [ask(sessions[variant], matrix[at : at + size]) for at in range(0, len(matrix), size)]
        np.testing.assert_array_equal(together, np.concatenate(parts))


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_hour_before_departure_models_beat_what_any_one_feature_of_the_flight_knows(sessions, variant, known):
    """On the shipped days, the ranking is clearly better than that by hour or by past late shares."""
    flights = known.window.flights
    parts = moments(flights, scored(flights, 0, 10**9))
    hour_before = next(part for part in parts if part.name == "1 h before")
    matrix = known.matrix(hour_before.rows, hour_before.at_min)
    outcome = late(flights)[hour_before.rows]
    single = [FEATURES.index(f"flight.{name}") for name in ("departs", "carrier_late", "dest_late", "number_late")]
    floor = max(auc(outcome, matrix[:, place]) for place in single) + GAIN

    answer = ask(sessions[variant], matrix)

    assert floor < auc(outcome, answer)
    assert log_loss(outcome, answer) < base_log_loss(outcome)


def departed(known):
    """Rows at departure, what became of the flights, and their delays."""
    flights = known.window.flights
    part = next(part for part in moments(flights, scored(flights, 0, 10**9)) if part.name == "departed")
    return known.matrix(part.rows, part.at_min), late(flights)[part.rows], flights.dep_delay[part.rows]


@pytest.mark.parametrize("variant", ["default", "accurate"])
def test_trees_add_to_a_delay_that_is_known(sessions, variant, known):
    """The departure delay is the strongest feature, and the others still improve on it."""
    matrix, outcome, delay = departed(known)

    answer = ask(sessions[variant], matrix)

    assert auc(outcome, answer) > auc(outcome, delay)


def test_the_logistic_regression_keeps_nearly_all_of_a_delay_that_is_known(sessions, known):
    """One sum cannot say that congestion matters less once a flight has left, but it loses little by that."""
    matrix, outcome, delay = departed(known)

    answer = ask(sessions["fast"], matrix)

    assert auc(outcome, answer) > auc(outcome, delay) - 0.01


def test_a_row_without_any_value_has_an_answer(sessions):
    """NaN is dealt with inside the files."""
    nothing = np.full((1, len(FEATURES)), np.nan, dtype=np.float32)

    answers = [ask(session, nothing)[0] for session in sessions.values()]

    assert all(0 < answer < 1 for answer in answers)


def test_files_stay_small():
    """Models under a megabyte together, data under two."""
    assert sum(file.stat().st_size for file in (DEMO / "models").glob("*.onnx")) < 1_000_000
    assert sum(file.stat().st_size for file in (DEMO / "data").glob("*.parquet")) < 2_000_000


def test_the_manifest_declares_the_quality_that_was_measured():
    """The model card's AUC one hour before departure is what the variants claim."""
    rows = [line.split("|") for line in (DEMO / "MODEL_CARD.md").read_text().splitlines() if "| 1 h before |" in line]
    measured = {row[4].strip(): round(float(row[6]), 3) for row in rows}

    declared = tomllib.loads((DEMO / "nearcast.toml").read_text())["models"]["late"]["variants"]

    assert measured == {name: variant["quality"] for name, variant in declared.items()}
