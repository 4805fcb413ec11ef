"""The three variants: their candidates, how one is fitted, and how it becomes an ONNX file.

Needs the extra `train`. Missing values are dealt with inside the models: trees send NaN down a branch of its
own, the logistic regression fills it in.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deploy.demo import graphs
from deploy.demo.features import FEATURES
from deploy.demo.tables import Floats

_OTHERS = [place for place, name in enumerate(FEATURES) if not name.startswith("live.")]
_DELAY = [FEATURES.index("live.dep_delay")]
_WAITING = [FEATURES.index("live.waiting")]


def _logistic(unknown_delay: float, unknown_waiting: float) -> Any:
    """A logistic regression; what stands for "no report yet" is a parameter.

    A mean would not do: flights without a report are late less often than flights with an average one.
    """
    filled = ColumnTransformer(
        [
            ("others", SimpleImputer(), _OTHERS),
            ("delay", SimpleImputer(strategy="constant", fill_value=unknown_delay), _DELAY),
            ("waiting", SimpleImputer(strategy="constant", fill_value=unknown_waiting), _WAITING),
        ]
    )
    return make_pipeline(filled, StandardScaler(), LogisticRegression(max_iter=500))


def _boosted(count: int, learning_rate: float, leaves: int, considered: float) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=count,
        learning_rate=learning_rate,
        max_leaf_nodes=leaves,
        max_features=considered,
        min_samples_leaf=200,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    )


def _boosted_candidates(count: int, *settings: tuple[float, int, float]) -> dict[str, Callable[[], Any]]:
    return {
        f"{count} trees, rate {rate}, {leaves} leaves, {considered:.0%} of features a split": partial(
            _boosted, count, rate, leaves, considered
        )
        for rate, leaves, considered in settings
    }


def _logistic_candidates(*settings: tuple[float, float]) -> dict[str, Callable[[], Any]]:
    return {
        f"logistic regression, unknown delay {delay:g}, unknown waiting {waiting:g}": partial(_logistic, delay, waiting)
        for delay, waiting in settings
    }


#: What the validation months choose from. More leaves on 300 trees would burst the megabyte for all files.
CANDIDATES: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "fast": _logistic_candidates((5, -10), (10, -10), (15, -10), (20, -10), (15, -20)),
    "default": _boosted_candidates(60, (0.15, 31, 1.0), (0.2, 31, 1.0), (0.2, 31, 0.3), (0.15, 63, 0.3)),
    "accurate": _boosted_candidates(300, (0.05, 31, 1.0), (0.04, 31, 0.3), (0.06, 31, 0.3), (0.08, 31, 0.3)),
}


def fit(make: Callable[[], Any], matrix: Floats, late: NDArray[np.bool_]) -> Any:
    """A fitted candidate."""
    return make().fit(matrix, late)


def probabilities(model: Any, matrix: Floats) -> NDArray[np.float64]:
    """Probability of being late by scikit-learn, shape [N]."""
    result: NDArray[np.float64] = model.predict_proba(matrix)[:, 1]
    return result


def to_onnx(model: Any) -> bytes:
    """The fitted model as the bytes of an ONNX file, see `graphs`."""
    if isinstance(model, HistGradientBoostingClassifier):
        trees = [stage[0].nodes for stage in model._predictors]
        return graphs.boosted(trees, float(np.ravel(model._baseline_prediction)[0]))
    filled, scaler, regression = (step for _, step in model.steps)
    fill = np.empty(len(FEATURES))
    for _, imputer, columns in filled.transformers_:
        fill[columns] = imputer.statistics_
    # The scaler sees the columns as filled; that is the order of the features, because the live view is their last.
    return graphs.logistic(fill, scaler.mean_, regression.coef_[0] / scaler.scale_, float(regression.intercept_[0]))
