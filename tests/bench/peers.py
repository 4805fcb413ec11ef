"""What a user would write instead, as a tutorial shows it: run by uvicorn with its defaults, one process, one core.

Defaults means with uvloop, httptools and a line of access log for each request, which is half of a small answer's cost.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.ports import free_port
from tests.bench.cores import Missing, Running, server

REDIS = "BENCH_REDIS"
MODEL = "BENCH_MODEL"
BODIES = "BENCH_BODIES"
TTL_MS = "BENCH_TTL_MS"


@contextmanager
def peer(directory: Path, name: str, *, access_log: bool = True, **environment: str) -> Iterator[Running]:
    """Runs one of the two applications below."""
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "--factory", f"tests.bench.peers:{name}", "--port", str(port)]
    argv += ["--loop", "uvloop", "--http", "httptools", *([] if access_log else ["--no-access-log"])]
    with server(argv, port, directory / f"{name}.log", **environment) as it:
        yield it


def plain() -> Starlette:
    """A route of Starlette's that looks the answer up in a dict."""
    bodies: dict[str, str] = json.loads(Path(os.environ[BODIES]).read_text())

    async def predict(request: Request) -> Response:
        body = bodies.get(request.path_params["key"])
        return Response(body, 200 if body else 404, media_type="application/json")

    return Starlette(routes=[Route("/{key}", predict)])


def tutorial() -> Any:
    """FastAPI, a JSON cache in Redis, features in Redis hashes, and ONNX Runtime, each used as its own guide shows."""
    try:
        from fastapi import FastAPI, HTTPException
    except ImportError:
        raise Missing("fastapi is not installed") from None
    import numpy as np
    import onnxruntime as ort
    import redis.asyncio as redis
    from pydantic import BaseModel

    class Prediction(BaseModel):
        model: str
        key: str
        outputs: dict[str, list[float]]

    app = FastAPI()
    client = redis.from_url(os.environ[REDIS], decode_responses=True)
    session = ort.InferenceSession(os.environ[MODEL])
    ttl_ms = int(os.environ[TTL_MS])

    @app.get("/{key}", response_model=Prediction)
    async def predict(key: str) -> Prediction:
        cached = await client.get(f"prediction:{key}")
        if cached:
            return Prediction(**json.loads(cached))
        features = await client.hgetall(f"features:{key}")
        if not features:
            raise HTTPException(404, "no such user")
        row = np.array([[float(features[f"f{i}"]) for i in range(len(features))]], dtype=np.float32)
        (output,) = session.run(None, {"x": row})
        prediction = Prediction(model="score", key=key, outputs={"y": output[0].tolist()})
        await client.set(f"prediction:{key}", prediction.model_dump_json(), px=ttl_ms)
        return prediction

    return app
