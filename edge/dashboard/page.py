"""The dashboard's page and its assets, served from the package: nothing is built, nothing comes from elsewhere."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGE = "/dashboard"
ASSETS = "/dashboard/assets/"

_DIRECTORY = Path(__file__).with_name("assets")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: Nothing runs but the package's own files, and no text ever becomes markup: keys come from whoever asks.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    # A new release may not meet assets of an old one, so each use asks first; the answer is an empty 304.
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page, held in memory as it is and compressed; each form has an ETag of its own."""

    body: bytes
    zipped: bytes
    media_type: str
    digest: str

    @classmethod
    def read(cls, path: Path) -> Asset:
        """Reads it from the package."""
        body = path.read_bytes()
        # No time inside, so that all processes hold the same bytes.
        return cls(body, gzip.compress(body, mtime=0), _TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:32])

    async def answer(self, request: Request) -> Response:
        """The file, or word that the client's copy is the same."""
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        etag = f'"{self.digest}{"-gzip" if zipped else ""}"'
        headers = {**_HEADERS, "etag": etag}
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        if not zipped:
            return Response(self.body, media_type=self.media_type, headers=headers)
        return Response(self.zipped, media_type=self.media_type, headers={**headers, "content-encoding": "gzip"})


class Page:
    """The whole page; its files are read once."""

    def __init__(self) -> None:
        files = [path for path in sorted(_DIRECTORY.rglob("*")) if path.suffix in _TYPES]
        assets = {path.relative_to(_DIRECTORY).as_posix(): Asset.read(path) for path in files}
        self._index = assets.pop("index.html")
        self._assets = assets

    def routes(self) -> list[Route]:
        """Where it is found."""
        methods = ["GET", "HEAD"]
        return [
            Route(PAGE, self._index.answer, methods=methods),
            Route(ASSETS + "{name:path}", self._asset, methods=methods),
        ]

    async def _asset(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return await asset.answer(request)
