"""Every door of an edge: which path leads to which application."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.routing import Route

from edge.api.admin import INVALIDATE, Invalidate
from edge.api.health import health_doors
from edge.api.models import model_doors
from edge.api.oip.protocol import OpenInference
from edge.api.predict import PREFIX, Predict
from edge.api.rank import RANK, Rank
from edge.api.why import WHY, Why
from edge.api.wire import REST
from edge.metrics import MetricsPage
from edge.openapi.door import Description
from edge.openapi.examples import ExampleKeys

if TYPE_CHECKING:
    from edge.app import Edge


def doors(edge: Edge, now_ms: Callable[[], int]) -> list[Route]:
    """The routes of one edge; the first that fits is taken."""
    serving, follower, predict = edge.serving, edge.follower, predict_door(edge)
    why = Why(edge.ladder, serving, edge.replica, follower.freshness, follower.lag_s, now_ms)
    return [
        Route(PREFIX + REST, predict, methods=["GET", "HEAD", "POST"]),
        Route(RANK + REST, rank_door(edge, predict), methods=["POST"]),
        Route(INVALIDATE, Invalidate(serving.project, edge.links.writes, edge.settings, now_ms), methods=["POST"]),
        Route(WHY + REST, why, methods=["GET"]),
        *OpenInference(edge).routes(),
        *model_doors(edge),
        *health_doors(edge),
        Route("/metrics", MetricsPage(edge.totals, list(serving.project.views.values())), methods=["GET", "HEAD"]),
        *description(edge, now_ms).routes(),
        *edge.board.routes(),
    ]


def predict_door(edge: Edge) -> Predict:
    """The one of predictions, to which there is a short cut as well."""
    return Predict(edge.ladder, edge.serving, edge.stats, edge.settings, edge.hot.count, edge.auto, edge.experiments)


def rank_door(edge: Edge, predict: Predict) -> Rank:
    """The one of rankings."""
    counted = edge.hot.count
    return Rank(edge.ladder, edge.serving, edge.stats, edge.settings, counted, predict, edge.auto, edge.experiments)


def description(edge: Edge, now_ms: Callable[[], int]) -> Description:
    """What all doors say of themselves."""
    examples = ExampleKeys(edge.ladder, edge.replica)
    return Description(edge.serving, examples, edge.settings.max_keys_per_request, now_ms)
