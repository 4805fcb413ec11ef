"""`GET /v1/models` and `GET /v1/models/{model}`: versions, variants, and how they do on this node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edge.api.problems import send_problem
from edge.api.wire import REST, path_segments, send_json
from edge.profiles import Profiles
from edge.replica import Replica
from edge.serving import Serving
from edge.sleeper import Sleeper
from edge.stats import Tier
from precompute.durations import Durations
from precompute.errors import InvalidRequest, NearcastError
from precompute.keys import active_key, versions_key
from precompute.models import AUTO, Model
from precompute.registry import Version
from precompute.snapshot import Snapshot
from precompute.store import checked
from precompute.updates import timestamp

if TYPE_CHECKING:
    from edge.app import Edge

MODELS = "/v1/models"

Document = dict[str, Any]


def model_doors(edge: Edge) -> list[Route]:
    """Where models are shown."""
    models = Models(edge.serving, edge.profiles, edge.replica, edge.totals)
    return [Route(MODELS, models, methods=["GET"]), Route(MODELS + "/" + REST, models, methods=["GET"])]


class Models:
    """One ASGI application; looks at everything and changes nothing."""

    def __init__(
        self, serving: Serving, profiles: Profiles, replica: Replica, totals: Callable[[], Awaitable[Snapshot]]
    ) -> None:
        self._serving = serving
        self._profiles = profiles
        self._replica = replica
        self._totals = totals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            document = await self._document([s for s in path_segments(scope, MODELS) if s])
        except NearcastError as error:
            await send_problem(send, error)
        else:
            await send_json(send, 200, document)

    async def _document(self, segments: list[str]) -> Document:
        if len(segments) > 1:
            raise InvalidRequest(f"ask for all models with GET {MODELS}, for one with GET {MODELS}/<model>")
        if segments:
            model = self._serving.project.model(segments[0])
            return {**self._model(model, await self._totals()), "versions": await self._versions(model.name)}
        totals = await self._totals()
        return {"models": [self._model(model, totals) for model in self._serving.project.models.values()]}

    def _model(self, model: Model, totals: Snapshot) -> Document:
        serving = {p.servable.variant: p for p in self._serving.variants(model.name)}
        answers = {key[1:]: took for key, took in totals.answers.items() if key[0] == model.name}
        return {
            # As the first version of KServe's protocol has it.
            "name": model.name,
            "ready": bool(serving),
            "key": model.shape(),
            "default_variant": model.default_variant,
            "routing": AUTO if model.is_routed else "fixed",
            "variants": [
                self._variant(
                    model, name, serving.get(name), {t: took for (v, t), took in answers.items() if v == name}
                )
                for name in model.variants
            ],
            "failures": [
                {"version": version, "reason": reason}
                for (name, version), reason in self._serving.failures.items()
                if name == model.name
            ],
        }

    def _variant(self, model: Model, name: str, sleeper: Sleeper | None, took: Mapping[str, Durations]) -> Document:
        recent = self._profiles.latency(model.name, name, Tier.LIVE)
        return {
            "variant": name,
            "quality": model.variants[name].quality,
            "version": None if sleeper is None else sleeper.servable.version,
            "loaded": sleeper is not None and sleeper.awake is not None,
            "taken_out": None if sleeper is None or not sleeper.is_out() else str(sleeper.unavailable()),
            # As measured when it was loaded, or as its file lets expect.
            "memory_bytes": None if sleeper is None else sleeper.loaded_bytes,
            # Of this process, over some seconds: what routing decides by.
            "recent_live": None
            if recent is None
            else {
                "count": recent.count,
                "average_ms": _short(recent.average_ms),
                "p95_ms": _short(recent.p95_ms),
                "p99_ms": _short(recent.p99_ms),
            },
            # Of the whole node, since it started.
            "answers": {tier: _latency(durations) for tier, durations in took.items()},
        }

    async def _versions(self, model: str) -> list[Document]:
        versions, active = await self._replica.run([("HVALS", versions_key(model)), ("HVALS", active_key(model))])
        serving, ready = {int(number) for number in checked(active)}, set(self._serving.loaded(model))
        return [_version(v, serving, ready) for v in _newest_first(checked(versions))]


def _newest_first(records: Iterable[bytes]) -> list[Version]:
    return sorted((msgspec.json.decode(text, type=Version) for text in records), key=lambda v: -v.version)


def _version(version: Version, serving: set[int], ready: set[int]) -> Document:
    return {
        "version": version.version,
        "variant": version.variant,
        "active": version.version in serving,
        "loaded": version.version in ready,
        "file_bytes": version.size,
        "sha256": version.sha256,
        "published_at": timestamp(version.published_ms),
        "note": version.note,
    }


def _latency(took: Durations) -> Document:
    quantiles = took.quantiles_s(0.95, 0.99) or [0.0, 0.0]
    return {
        "count": took.count,
        "average_ms": _short(took.total_ns / took.count / 1e6) if took.count else None,
        "p95_ms": _short(quantiles[0] * 1000),
        "p99_ms": _short(quantiles[1] * 1000),
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")
