"""`POST /v1/invalidate`: orders over HTTP, for whoever has the admin token."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec
from starlette.types import Receive, Scope, Send

from edge.api.authority import WrongToken, caller, require_admin
from edge.api.problems import send_problem
from edge.api.wire import Header, read_body, send_json
from edge.link import Link
from precompute import orders
from precompute.errors import InvalidRequest, NearcastError
from precompute.manifest import Project
from precompute.settings import Settings
from precompute.store import checked

log = logging.getLogger(__name__)

INVALIDATE = "/v1/invalidate"
#: An order names one thing.
MAX_BODY_BYTES = 16 << 10

CHALLENGE: tuple[Header, ...] = ((b"www-authenticate", b'Bearer realm="nearcast"'),)


class Invalidation(msgspec.Struct, forbid_unknown_fields=True):
    """The body: a model (with `key`, or all of it), or a view with an entity."""

    model: str | None = None
    key: str | None = None
    view: str | None = None
    entity: str | None = None
    all: bool = False
    dry_run: bool = False
    refresh: bool = False
    why: str = ""


class Invalidate:
    """One ASGI application."""

    def __init__(self, project: Project, primary: Link, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._project = project
        self._primary = primary
        self._settings = settings
        self._now_ms = now_ms
        self._decoder = msgspec.json.Decoder(Invalidation)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; nothing is read of a body whose sender may not."""
        try:
            require_admin(scope, self._settings.admin_token)
            wanted = self._decode(await read_body(scope, receive, MAX_BODY_BYTES))
            document = await self._act(wanted, caller(scope))
        except NearcastError as error:
            await send_problem(send, error, extra=CHALLENGE if isinstance(error, WrongToken) else ())
        else:
            await send_json(send, 200, document)

    def _decode(self, body: bytes) -> Invalidation:
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(
                f'the body must be JSON like {{"model": "...", "key": "...", "why": "..."}}: {error}'
            ) from None

    async def _act(self, wanted: Invalidation, who: str) -> dict[str, object]:
        what = orders.target(
            self._project,
            model=wanted.model,
            key=wanted.key,
            view=wanted.view,
            entity=wanted.entity,
            everything=wanted.all,
        )
        replies = await self._primary.run(orders.hot_commands(self._project, what, self._settings.hot_keys))
        # Ten thousand keys take a while to parse.
        hot = await asyncio.to_thread(orders.hot_behind, self._project, what, replies)
        order = None if wanted.dry_run else await self._give(what, wanted, hot, who)
        return orders.report(what, hot, order)

    async def _give(
        self, what: orders.Target, wanted: Invalidation, hot: list[orders.HotKey], who: str
    ) -> orders.Order:
        (reply,) = await self._primary.run([orders.append_command(what)])
        order = orders.given(
            what,
            checked(reply),
            who=who,
            why=wanted.why,
            now_ms=self._now_ms(),
            hot_keys=len(hot),
            refreshed=len(hot) if wanted.refresh else 0,
        )
        refreshes = orders.refresh_commands(hot) if wanted.refresh else []
        for done in await self._primary.run([*orders.note_commands(order), *refreshes]):
            checked(done)
        log.info("invalidated %s for %s: %s", what, who, order.why or "no reason given")
        return order
