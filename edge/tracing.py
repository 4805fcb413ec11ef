"""What is put around an edge's parts when it is traced; one that is not has none of it.

Hits in memory have no spans, with one exception: a request that comes with a trace which is being recorded leaves the
lane, and is answered by the application, like all misses then.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.answer import Ladder
from edge.api.predict import PREFIX
from edge.ask import Answer
from edge.flying import Flying
from edge.lane import LaneProtocol
from precompute.tracing import Tracing

_SAMPLED = 1
_CONTEXT = frozenset({b"traceparent", b"tracestate"})
#: Probes and scrapes are no requests of anybody.
_TRACED = ("/v1/", "/v2/")


def traced_ladder(tracing: Tracing) -> type[Ladder]:
    """A ladder with spans for what a request waits for."""

    class TracedLadder(Ladder):
        async def read(self, names: Sequence[str], deadline: float) -> Sequence[bytes | None]:
            """As `Ladder.read`."""
            with tracing.span("replica read", db_system="redis", nearcast_keys=len(names)):
                return await super().read(names, deadline)

        async def landed(self, flying: Flying) -> list[Answer | Exception]:
            """As `Ladder.landed`."""
            model = flying.asks[0].predictor.servable.model.name
            with tracing.span("inference", nearcast_model=model, nearcast_keys=len(flying.asks)):
                return await super().landed(flying)

    return TracedLadder


class TracedApp:
    """A span for each request; what came with it is its parent."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http" or not scope["path"].startswith(_TRACED):
            await self._app(scope, receive, send)
            return
        path, route = scope["path"], route_of(scope["path"])
        name = f"{scope['method']} {route}"
        with self._tracing.span(name, "server", _context(scope), http_route=route, url_path=path) as span:
            span.set_attribute("http.request.method", scope["method"])

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if tier := dict(message["headers"]).get(b"server-timing"):
                        span.set_attribute("nearcast.tier", tier.partition(b";")[0].decode())
                await send(message)

            await self._app(scope, receive, watched)


def _context(scope: Scope) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CONTEXT}


def route_of(path: str) -> str:
    """A path without what somebody asked for: few names for many requests."""
    if path.startswith(PREFIX):
        return f"{PREFIX}{{model}}/{{key}}" if "/" in path[len(PREFIX) :] else f"{PREFIX}{{model}}"
    return "/".join(path.split("/")[:3])


def is_recorded(traceparent: bytes) -> bool:
    """Whether a W3C `traceparent` says that its trace is being recorded."""
    try:
        return len(traceparent) >= 55 and bool(int(traceparent[53:55], 16) & _SAMPLED)
    except ValueError:
        return False


def traced_lane(protocol: type[LaneProtocol]) -> type[LaneProtocol]:
    """A lane that leaves requests whose trace is being recorded to the application."""

    class TracedLane(protocol):  # type: ignore[misc, valid-type]
        def on_header(self, name: bytes, value: bytes) -> None:
            """Called by the parser."""
            super().on_header(name, value)
            if name.lower() == b"traceparent" and is_recorded(value):
                self._conditional = True

    return TracedLane
