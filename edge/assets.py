"""Files that are served to browsers: held in memory as they are and compressed, and asked for again with an ETag."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; each form has an ETag of its own."""

    body: bytes
    zipped: bytes
    media_type: str
    digest: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, body: bytes, media_type: str, policy: str = "default-src 'none'") -> Asset:
        """A file with these bytes, and what a page made of it may load (`Content-Security-Policy`)."""
        headers = {
            # A new release may not meet assets of an old one, so each use asks first; the answer is an empty 304.
            "cache-control": "no-cache",
            "content-security-policy": policy,
            "referrer-policy": "no-referrer",
            "vary": "accept-encoding",
            "x-content-type-options": "nosniff",
        }
        # No time inside, so that all processes hold the same bytes.
        return cls(body, gzip.compress(body, mtime=0), media_type, hashlib.sha256(body).hexdigest()[:32], headers)

    @classmethod
    def read(cls, path: Path, policy: str) -> Asset:
        """Reads it from the package."""
        return cls.of(path.read_bytes(), TYPES[path.suffix], policy)

    async def answer(self, request: Request) -> Response:
        """The file, or word that the client's copy is the same."""
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        etag = f'"{self.digest}{"-gzip" if zipped else ""}"'
        headers = {**self.headers, "etag": etag}
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        if not zipped:
            return Response(self.body, media_type=self.media_type, headers=headers)
        return Response(self.zipped, media_type=self.media_type, headers={**headers, "content-encoding": "gzip"})


def assets(directory: Path, policy: str) -> dict[str, Asset]:
    """All files of a directory that browsers are served, by their path in it."""
    files = [path for path in sorted(directory.rglob("*")) if path.suffix in TYPES]
    return {path.relative_to(directory).as_posix(): Asset.read(path, policy) for path in files}
