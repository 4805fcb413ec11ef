"""What the leading scheduler looks after, one look at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from precompute import hotkeys
from precompute.entry import EPOCH_RANGE, epoch_of
from precompute.hotkeys import MergeRule
from precompute.job_record import Progress
from precompute.keys import entry_key
from precompute.manifest import Project
from precompute.models import Model
from precompute.settings import Settings
from precompute.store import Store, checked
from precompute.updates import parse_epoch
from workers.chunks import now_ms
from workers.expiry import Watchlist, left_s, shortest
from workers.jobs import Jobs
from workers.refresh_sender import RefreshSender
from workers.stalls import StallWatch
from workers.warm_versions import WarmVersions

log = logging.getLogger(__name__)

#: Commands of one pipeline; the primary serves others in between.
_SLICE = 500
#: A job that nobody has worked on for so long never will be: its lister was stopped, or all its workers.
ABANDONED_MS = 7 * 86_400_000
#: With which a model's hot keys are computed.
Versions = tuple[int, ...]


class HotKeyMerging:
    """Folds what edges have counted into each model's hot keys."""

    def __init__(self, store: Store, project: Project, rule: MergeRule) -> None:
        self._store = store
        self._project = project
        self._rule = rule

    def look(self) -> None:
        """Merges the windows that wait. Raises StoreUnavailable."""
        for model in self._project.models:
            hotkeys.merge(self._store, model, self._rule, now_ms())


class ExpiryRefresh:
    """Has hot predictions recomputed before they expire, or because they are not there."""

    def __init__(
        self,
        store: Store,
        project: Project,
        sender: RefreshSender,
        settings: Settings,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._project = project
        self._warm = WarmVersions(store, project)
        self._sender = sender
        self._settings = settings
        self._clock_s = clock_s
        self._lists: dict[str, tuple[tuple[Versions, int], Watchlist]] = {}

    def look(self) -> None:
        """Queues what is due, as far as there is room. Raises StoreUnavailable."""
        epoch = parse_epoch(self._store.call("INFO", "replication"))
        for model in self._project.models.values():
            versions = self._warm.of(model.name)
            if versions and model.policy.refresh != "never":
                self._look_at(model, versions, epoch)

    def _look_at(self, model: Model, versions: Versions, epoch: int) -> None:
        watchlist = self._watchlist(model, versions, epoch)
        now_s = self._clock_s()
        due = watchlist.due(dict(hotkeys.top(self._store, model.name, self._settings.hot_keys)), now_s)
        for at in range(0, len(due), _SLICE):
            keys = due[at : at + _SLICE]
            lives = [self._lives(model, version, epoch, keys) for version in versions]
            wanted = watchlist.near_end(keys, list(map(shortest, zip(*lives, strict=True))), now_s)
            wanted = wanted[: self._sender.room(now_s) // len(versions)] if wanted else []
            self._sender.send(model.name, wanted, rows=len(versions))
            watchlist.asked(wanted, now_s)

    def _lives(self, model: Model, version: int, epoch: int, keys: list[str]) -> list[float | None]:
        """Freshness left; none where the entry is from before the primary was replaced, which edges cannot judge."""
        names = [entry_key(model.name, version, key) for key in keys]
        replies = self._store.run(
            [*(("PTTL", name) for name in names), *(("GETRANGE", name, *EPOCH_RANGE) for name in names)]
        )
        lives = [left_s(checked(reply), model.policy) for reply in replies[: len(names)]]
        epochs = [epoch_of(checked(reply)) for reply in replies[len(names) :]]
        return [life_s if known == epoch else None for life_s, known in zip(lives, epochs, strict=True)]

    def _watchlist(self, model: Model, versions: Versions, epoch: int) -> Watchlist:
        # A new version starts with nothing computed, and a new history with nothing that counts as fresh, so what was
        # known of the old one's entries says nothing.
        known = self._lists.get(model.name)
        if known is None or known[0] != (versions, epoch):
            known = self._lists[model.name] = (versions, epoch), Watchlist(model.policy, self._settings.look_every_s)
        return known[1]


class JobMending:
    """Queues again what jobs have lost, and lets go of jobs that nobody will finish."""

    def __init__(
        self, jobs: Jobs, fence: Callable[[], int | None], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._jobs = jobs
        self._fence = fence
        self._clock_s = clock_s
        self._stalls: dict[str, StallWatch] = {}

    def look(self) -> None:
        """Looks at every unfinished job. Raises StoreUnavailable."""
        # Once for all of them: a number asked for later might be that of no term at all, and would let anything pass.
        fence = self._fence()
        if fence is None:
            return
        unfinished = [p for p in self._jobs.all() if not p.finished_ms]
        self._stalls = {p.job.id: self._stalls.get(p.job.id) or StallWatch() for p in unfinished}
        for progress in unfinished:
            self._mend(progress, fence)

    def _mend(self, progress: Progress, fence: int) -> None:
        job = progress.job
        if now_ms() - max(progress.active_ms, job.created_ms) > ABANDONED_MS:
            log.warning("job %s is abandoned: nobody has worked on it for days", job.id)
            self._jobs.abandon(progress)
        elif self._jobs.mend(progress, self._stalls[job.id], self._clock_s(), None if job.fence is None else fence):
            log.warning("job %s stood still; its unfinished chunks are queued again", job.id)
