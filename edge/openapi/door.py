"""`/openapi.json` and `/docs`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.assets import Asset, assets
from edge.openapi.described import Described
from edge.openapi.document import document
from edge.openapi.examples import ExampleKeys
from edge.openapi.node_paths import DOCS, OPENAPI
from edge.openapi.outputs import Outputs
from edge.serving import Serving
from precompute.errors import ModelUnavailable, PermanentError
from precompute.models import Key
from precompute.predictor import Predictor

#: Examples are looked for this seldom: they may be read by anybody, and asking for them costs reads.
LOOK_AGAIN_MS = 60_000
#: The page builds its markup from the document, which nobody but the project's owner writes, and styles what it builds.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Description:
    """The document, made when it is asked for and kept for a while."""

    def __init__(self, serving: Serving, examples: ExampleKeys, max_keys: int, now_ms: Callable[[], int]) -> None:
        self._serving = serving
        self._examples = examples
        self._max_keys = max_keys
        self._now_ms = now_ms
        self._assets = assets(Path(__file__).with_name("assets"), _POLICY)
        self._page = self._assets.pop("index.html")
        self._kept: Asset | None = None
        self._kept_of = -1
        self._until_ms = 0
        self._turn = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Where they are found."""
        methods = ["GET", "HEAD"]
        return [
            Route(OPENAPI, self._openapi, methods=methods),
            Route(DOCS, self._page.answer, methods=methods),
            Route(DOCS + "/assets/{name:path}", self._asset, methods=methods),
        ]

    async def _openapi(self, request: Request) -> Response:
        async with self._turn:
            kept = self._kept
            if kept is None or self._kept_of != self._serving.generation or self._now_ms() >= self._until_ms:
                kept = await self._make()
        return await kept.answer(request)

    async def _asset(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return await asset.answer(request)

    async def _make(self) -> Asset:
        generation, predictors = self._serving.generation, self._predictors()
        examples = await self._examples.find(list(predictors.values()))
        # Hundreds of models take a while to describe.
        self._kept = await asyncio.to_thread(self._written, predictors, examples)
        self._kept_of, self._until_ms = generation, self._now_ms() + LOOK_AGAIN_MS
        return self._kept

    def _predictors(self) -> dict[str, Predictor]:
        """Of the default variants that have a version."""
        found: dict[str, Predictor] = {}
        for model in self._serving.project.models:
            try:
                found[model] = self._serving.predictor(model)
            except PermanentError:
                continue
        return found

    def _written(self, predictors: Mapping[str, Predictor], examples: Mapping[str, Sequence[Key]]) -> Asset:
        project = self._serving.project
        tier_header = project.tiers.header if project.tiers.factors else ""
        described = [
            Described(model, _outputs(predictors.get(name)), examples.get(name, ()), tier_header)
            for name, model in project.models.items()
        ]
        return Asset.of(orjson.dumps(document(project, described, self._max_keys)), "application/json")


def _outputs(predictor: Predictor | None) -> Outputs | None:
    if predictor is None:
        return None
    try:
        return Outputs(predictor.servable.rules, predictor.servable.session.signature)
    except ModelUnavailable:  # It was never loaded, and nothing is known of its file.
        return None
