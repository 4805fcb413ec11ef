"""`GET /livez`: the process answers; `GET /readyz`: it wants requests, and what it knows of its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from edge.app import Edge

LIVE = "/livez"
READY = "/readyz"


def health_doors(edge: Edge) -> list[Route]:
    """Where balancers look; both answer GET and HEAD."""

    async def ready(_: Request) -> Response:
        return JSONResponse(readiness(edge), 200 if edge.ready else 503)

    return [Route(LIVE, _live), Route(READY, ready)]


async def _live(_: Request) -> Response:
    return JSONResponse({"live": True})


def readiness(edge: Edge) -> dict[str, object]:
    """The body of `/readyz`."""
    lag_s = edge.follower.lag_s()
    return {
        "ready": edge.ready,
        "replica_connected": edge.links.reads.is_connected,
        "primary_connected": edge.links.writes.is_connected,
        "lag_s": round(lag_s, 3) if lag_s < 1e9 else None,
        "models": [
            {"model": s.model.name, "variant": s.variant, "version": s.version} for s in edge.serving.servables()
        ],
        "failures": [
            {"model": model, "version": version, "reason": reason}
            for (model, version), reason in edge.serving.failures.items()
        ],
    }
