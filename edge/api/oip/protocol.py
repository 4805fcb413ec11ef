"""Every path of the protocol, and who answers it; `shapes.DOORS` lists them for others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edge.api.authority import require_admin
from edge.api.oip.by_key import ByKey
from edge.api.oip.by_tensors import ByTensors
from edge.api.oip.compression import read_decoded
from edge.api.oip.decoding import decoded
from edge.api.oip.errors import send_error
from edge.api.oip.infer import Infer
from edge.api.oip.metadata import model_config, model_metadata, server_metadata
from edge.api.oip.paths import PREFIX, V1_PREFIX, V1_SUFFIX
from edge.api.oip.reply import NotReady, Reply, json_reply
from edge.api.oip.repository import Repository
from edge.api.oip.shapes import Health, IndexRequest, ModelReady, RepositoryRequest, Statistics
from edge.api.oip.statistics import of_model, of_variant
from edge.api.oip.targets import chosen_predictor, known
from edge.api.oip.v1 import V1Predict
from edge.api.problems import status_of
from edge.api.wire import REST, path_segments, send_response
from precompute.errors import InvalidRequest, ModelUnavailable, Overloaded, VersionMissing

if TYPE_CHECKING:
    from edge.app import Edge

#: Bodies of the repository's doors hold next to nothing.
_SMALL_BODY_BYTES = 16 << 10
#: What a model takes and gives is known once it has been loaded, for which whoever asks first waits.
_LOADED_WITHIN_S = 30.0

S = TypeVar("S")


class OpenInference:
    """The doors of one edge, as one ASGI application."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        by_key = ByKey(edge.ladder, edge.serving, edge.auto, edge.experiments, edge.settings, edge.hot.count)
        by_tensors = ByTensors(edge.live, edge.serving, edge.settings)
        self._infer = Infer(by_key, by_tensors, edge.stats, edge.settings.max_body_bytes)
        self._v1 = V1Predict(by_tensors, edge.serving, edge.stats, edge.settings)
        self._repository = Repository(edge.serving, edge.links.writes, edge.node)

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route(PREFIX, self),
            Route(PREFIX + "/" + REST, self),
            Route(V1_PREFIX + "{model}" + V1_SUFFIX, self),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; every failure is an error as the protocol has them, and the connection survives."""
        try:
            reply = await self._answer(scope, receive)
        except Exception as error:
            await send_error(send, error)
        else:
            await send_response(send, 200, reply.headers, reply.body, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        if scope["path"].startswith(V1_PREFIX):
            return await self._predict_v1(scope, receive)
        match [segment for segment in path_segments(scope, PREFIX) if segment]:
            case []:
                return _got(scope, server_metadata())
            case ["health", "live"]:
                return _got(scope, Health(live=True))
            case ["health", "ready"]:
                if not self._edge.ready:
                    raise NotReady("this server does not take requests just now")
                return _got(scope, Health(live=True, ready=True))
            case ["models", "stats"]:
                return _got(scope, await self._statistics(list(self._edge.serving.project.models)))
            case ["models", model, "versions", version, *rest] if len(rest) <= 1:
                return await self._of_model(scope, receive, model, version, rest)
            case ["models", model, *rest] if len(rest) <= 1:
                return await self._of_model(scope, receive, model, None, rest)
            case ["repository", "index"]:
                _require(scope, "POST")
                wanted = await self._small(scope, receive, IndexRequest)
                return json_reply(self._repository.index(ready=wanted.ready))
            case ["repository", "models", model, ("load" | "unload") as what]:
                return await self._moved(scope, receive, model, what)
        raise HTTPException(404, "no such path; /v2 and /v2/models/{model} are")

    async def _of_model(
        self, scope: Scope, receive: Receive, model: str, version: str | None, rest: list[str]
    ) -> Reply:
        what = rest[0] if rest else "metadata"
        if what == "infer":
            _require(scope, "POST")
            return await self._counted(model, self._infer.answer(scope, receive, model, version))
        if what == "stats" and version is None:
            return _got(scope, await self._statistics([self._edge.serving.project.model(model).name]))
        if what not in ("metadata", "ready", "config", "stats"):
            raise HTTPException(404, "no such path; a model has /ready, /config, /stats and /infer")
        predictor = chosen_predictor(self._edge.serving, model, version)
        servable = predictor.servable
        match what:
            case "ready":
                if servable.version not in self._edge.serving.ready(model):
                    raise ModelUnavailable(f"model {model!r} version {servable.version} is not ready")
                return _got(scope, ModelReady(model, ready=True))
            case "stats":
                found = of_variant(await self._edge.totals(), model, servable.variant, str(servable.version))
                return _got(scope, Statistics([found]))
        servable = await known(self._edge.serving, predictor, asyncio.get_running_loop().time() + _LOADED_WITHIN_S)
        if what == "config":
            return _got(scope, model_config(servable, self._edge.settings.max_keys_per_request))
        return _got(scope, model_metadata(servable, self._edge.serving.ready(model)))

    async def _statistics(self, models: list[str]) -> Statistics:
        totals = await self._edge.totals()
        return Statistics([of_model(totals, model, self._version(model)) for model in models])

    def _version(self, model: str) -> str:
        """That of the default variant; empty if none serves."""
        try:
            return str(self._edge.serving.predictor(model).servable.version)
        except VersionMissing:
            return ""

    async def _moved(self, scope: Scope, receive: Receive, model: str, what: str) -> Reply:
        _require(scope, "POST")
        require_admin(scope, self._edge.settings.admin_token)
        wanted = await self._small(scope, receive, RepositoryRequest)
        unknown = [name for name in wanted.parameters or {} if name != "unload_dependents"]
        if unknown:
            raise InvalidRequest(f"parameter {unknown[0]!r:.80}: what is served comes from the registry, not from here")
        moved = self._repository.load if what == "load" else self._repository.unload
        return json_reply(await moved(model))

    async def _predict_v1(self, scope: Scope, receive: Receive) -> Reply:
        _require(scope, "POST")
        model = path_segments(scope, V1_PREFIX)[0].removesuffix(V1_SUFFIX)
        return await self._counted(model, self._v1.answer(scope, receive, model))

    async def _counted(self, model: str, answer: Awaitable[Reply]) -> Reply:
        """Counts a request that got no prediction."""
        try:
            return await answer
        except Exception as error:
            known = model if model in self._edge.serving.project.models else ""
            self._edge.stats.failed(known, status_of(error), shed=isinstance(error, Overloaded))
            raise

    async def _small(self, scope: Scope, receive: Receive, kind: type[S]) -> S:
        """A body that may be missing."""
        body = await read_decoded(scope, receive, _SMALL_BODY_BYTES)
        return decoded(msgspec.json.Decoder(kind), body or b"{}", "the request's JSON")


def _got(scope: Scope, document: object) -> Reply:
    _require(scope, "GET")
    return json_reply(document)


def _require(scope: Scope, method: str) -> None:
    allowed = ("GET", "HEAD") if method == "GET" else (method,)
    if scope["method"] not in allowed:
        raise HTTPException(405, f"this path takes {' and '.join(allowed)}", {"allow": ", ".join(allowed)})
