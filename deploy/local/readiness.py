"""Whether a part of the stack is ready for others."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from urllib.parse import urlsplit

_TIMEOUT_S = 2.0


def answers_http(url: str) -> Callable[[], bool]:
    """A check that is true once `GET url` (http, no redirects) answers 2xx."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"

    def check() -> bool:
        connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", target)
            return 200 <= connection.getresponse().status < 300
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check
