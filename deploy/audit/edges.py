"""Asks an edge as any client would: one GET after the other on a connection that is kept."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from deploy.audit.verdict import Answer
from precompute.errors import ConfigError
from precompute.models import Key, Model

_TIMEOUT_S = 10.0


class EdgeClient:
    """One edge, by URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError(f"{url!r} is no URL of an edge; write http://host:port")
        made = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.url = url
        self._base = parts.path.rstrip("/")
        self._connection = made(parts.netloc, timeout=_TIMEOUT_S)

    def ask(self, model: Model, key: Key) -> Answer:
        """The edge's answer; status 0 if there is none."""
        status, body = self._get(target(model, key))
        return _read(body) if status == 200 else Answer(status)

    def lag_s(self) -> float | None:
        """How far behind its primary the edge says it may be; None if it does not say."""
        _, body = self._get("/readyz")
        lag_s = body.get("lag_s")
        return float(lag_s) if isinstance(lag_s, int | float) else None

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()

    def _get(self, path: str) -> tuple[int, Mapping[str, Any]]:
        try:
            try:
                return self._exchange(path)
            except (ConnectionError, http.client.BadStatusLine):
                # A kept connection may have been closed between two requests; on a new one that is an answer.
                self._connection.close()
                return self._exchange(path)
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            return 0, {}

    def _exchange(self, path: str) -> tuple[int, Mapping[str, Any]]:
        self._connection.request("GET", self._base + path, headers={"Accept": "application/json"})
        response = self._connection.getresponse()
        document = orjson.loads(response.read())
        return response.status, document if isinstance(document, dict) else {}


def target(model: Model, key: Key) -> str:
    """Path and query of a GET for this key."""
    path = f"/v1/predict/{quote(model.name, safe='')}/{quote(':'.join(key.parts), safe=':~,@+!*')}"
    context = {field.name: _spelled(value) for field, value in zip(model.context, key.context, strict=True)}
    return f"{path}?{urlencode(context)}" if context else path


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(body: Mapping[str, Any]) -> Answer:
    return Answer(
        200, body["version"], body["outputs"], bool(body.get("stale")), _ms(body["as_of"]), _ms(body["computed_at"])
    )


def _ms(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)
