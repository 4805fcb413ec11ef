"""How good probabilities were, once the outcomes are known."""

import numpy as np
from numpy.typing import NDArray

#: Keeps the logarithm finite when a model was certain and wrong.
_EPSILON = 1e-7

Outcomes = NDArray[np.bool_]
Probabilities = NDArray[np.floating]


def auc(outcome: Outcomes, probability: Probabilities) -> float:
    """Chance that a late flight was rated above a punctual one, ties counting half; NaN if one is absent."""
    positives = int(outcome.sum())
    negatives = len(outcome) - positives
    if not positives or not negatives:
        return float("nan")
    _, place, count = np.unique(probability, return_inverse=True, return_counts=True)
    mean_rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((mean_rank[outcome].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(outcome: Outcomes, probability: Probabilities) -> float:
    """Mean negative logarithm of the probability given to what happened, in nats."""
    certain = np.clip(probability.astype(np.float64), _EPSILON, 1 - _EPSILON)
    return float(-np.mean(np.log(np.where(outcome, certain, 1 - certain))))


def base_log_loss(outcome: Outcomes) -> float:
    """Log-loss of always answering with the share of late flights."""
    return log_loss(outcome, np.full(len(outcome), outcome.mean()))
