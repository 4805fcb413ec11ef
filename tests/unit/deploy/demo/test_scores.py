import math

import numpy as np
import pytest

from deploy.demo.scores import auc, base_log_loss, log_loss


def test_auc_is_the_share_of_pairs_in_order():
    """Every late flight against every punctual one, ties counting half."""
    choice = np.random.default_rng(1)
    outcome = choice.random(60) < 0.3
    probability = choice.integers(0, 8, 60) / 8

    pairs = [(p > q) + (p == q) / 2 for p in probability[outcome] for q in probability[~outcome]]

    assert np.mean(pairs) == pytest.approx(auc(outcome, probability))


def test_auc_needs_both_outcomes():
    """A day without a late flight has no AUC."""
    assert math.isnan(auc(np.zeros(3, dtype=bool), np.arange(3.0)))


def test_log_loss_of_a_coin_is_the_logarithm_of_two():
    """Half and half costs one bit."""
    outcome = np.array([True, False])

    assert math.log(2) == pytest.approx(log_loss(outcome, np.array([0.5, 0.5])))
    assert math.log(2) == pytest.approx(base_log_loss(outcome))


def test_certainty_in_error_costs_much_but_not_everything():
    """One wrong certainty must not turn a day's figure into infinity."""
    assert 10 < log_loss(np.array([True]), np.array([0.0])) < 20
