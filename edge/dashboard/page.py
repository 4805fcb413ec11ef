"""The dashboard's page and its assets, served from the package: nothing is built, nothing comes from elsewhere."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.assets import assets

PAGE = "/dashboard"
ASSETS = "/dashboard/assets/"

#: Nothing runs but the package's own files, and no text ever becomes markup: keys come from whoever asks.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


class Page:
    """The whole page; its files are read once."""

    def __init__(self) -> None:
        self._assets = assets(Path(__file__).with_name("assets"), _POLICY)
        self._index = self._assets.pop("index.html")

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
