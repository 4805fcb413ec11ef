"""`POST /dashboard/jobs/{name}/run`: has a declared job run now, for whoever has the admin token."""

from __future__ import annotations

import logging
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from edge.api.admin import CHALLENGE
from edge.api.authority import WrongToken, caller, require_admin
from edge.api.problems import send_problem
from edge.api.wire import path_segments, send_json
from edge.link import Link
from precompute import declared_jobs, ordered_runs
from precompute.errors import InvalidRequest, NearcastError, UnknownJob
from precompute.manifest import Project
from precompute.settings import Settings
from precompute.store import checked

log = logging.getLogger(__name__)

RUN = "/dashboard/jobs/"


class RunJob:
    """One ASGI application. The leading scheduler takes the order; this one knows no workers."""

    def __init__(self, project: Project, primary: Link, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._project = project
        self._primary = primary
        self._settings = settings
        self._now_ms = now_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            require_admin(scope, self._settings.admin_token)
            job, *rest = path_segments(scope, RUN)
            if rest != ["run"]:
                raise InvalidRequest(f"have a job run with POST {RUN}<name>/run")
            await self._order(job, caller(scope))
        except NearcastError as error:
            await send_problem(send, error, extra=CHALLENGE if isinstance(error, WrongToken) else ())
        else:
            await send_json(send, 202, {"job": job, "ordered": True})

    async def _order(self, job: str, who: str) -> None:
        found = declared_jobs.declarations(self._project, *await self._primary.run(declared_jobs.COMMANDS))
        if job not in found.jobs:
            raise UnknownJob(job, sorted(found.jobs))
        order = ordered_runs.OrderedRun(job, who, self._now_ms())
        for reply in await self._primary.run(ordered_runs.give_commands(order)):
            checked(reply)
        log.info("job %s was ordered by %s", job, who)
